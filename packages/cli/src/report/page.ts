// The costs of a network as one self-contained page: charts that Vega has drawn beforehand, tables,
// and the tree of layers to unfold.

import {
  bytesPerNumber,
  conventionNames,
  formatBytes,
  formatCount,
  operationsHead,
  operationConventions,
  conventions,
  type LayerFormula,
  type LayerSummary,
  type Memory,
} from "@conv/analysis";
import type { Costs, Growth, SummaryOptions } from "../commands/summary.ts";
import { reservedRows } from "../reserved.ts";
import type { StepTime } from "../timing.ts";
import { depthPicture, leavesOf, usedKinds } from "./depth.ts";
import { colors, svgOf, widths, type Picture } from "./draw.ts";
import { fieldPictures } from "./field.ts";
import { intensityPicture, rooflinePicture, timeKinds } from "./roofline.ts";
import { style } from "./style.ts";
import { timePicture } from "./time.ts";

const escape = (text: string) =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

const figure = async (picture: Picture) => `<figure>${await svgOf(picture)}</figure>`;

/** A picture for wide pages and one for telephones, of which one is shown. */
async function twice(draw: (width: number) => Picture | null): Promise<string> {
  const [wide, narrow] = [draw(widths.wide), draw(widths.narrow)];
  return wide && narrow
    ? `<div class="wide">${await figure(wide)}</div><div class="narrow">${await figure(narrow)}</div>`
    : "";
}

/** What the colors of a picture stand for. */
const legend = (entries: readonly (readonly [name: string, color: string])[]) =>
  `<ul class="legend">${entries.map(([name, color]) => `<li><i style="--c:${color}"></i>${escape(name)}</li>`).join("")}</ul>`;

export interface PageOptions extends Pick<SummaryOptions, "convention"> {
  readonly formulas: readonly LayerFormula[];
  readonly growth: readonly Growth[];
}

/** The page's text. */
export async function pageOf(
  { summary, inference, training, untrainable, timing }: Costs,
  { convention, formulas, growth }: PageOptions,
): Promise<string> {
  const { model, input, totals, layers, torchinfo } = summary;
  const head = operationsHead(convention);
  const kinds = usedKinds(leavesOf(layers));
  const depth = await twice((width) => depthPicture(layers, convention, head, width));
  const time = [
    await twice((width) =>
      timePicture(`Predicting, batch ${input[0]}`, inference, colors.blue, width),
    ),
    training
      ? await twice((width) =>
          timePicture(
            `Training, batch ${input[0]}: forward, then back`,
            training,
            colors.purple,
            width,
          ),
        )
      : "",
  ].join("\n");
  const fields = fieldPictures(input, layers);
  const field = fields
    ? `${legend(fields.legend.map((l) => [`${l.name} ${l.size}`, l.color]))}<div class="row-of">${[...(await Promise.all(fields.pictures.map(figure))), await twice(fields.growth)].join("")}</div>`
    : "";
  const roofline = await twice((width) =>
    timing ? rooflinePicture(timing, width) : intensityPicture(layers, width),
  );
  const dotColors = timing
    ? Object.entries(timeKinds).filter(
        ([kind]) => kind === "predicted" || timing.measured !== undefined,
      )
    : usedKinds(leavesOf(layers).filter((l) => l.macs > 0));
  const fact = (name: string, value: string) => `<div><dd>${value}</dd><dt>${name}</dt></div>`;
  const row = (cells: readonly string[]) =>
    `<tr>${cells.map((c, i) => (i ? `<td class="n">${c}</td>` : `<th scope="row">${c}</th>`)).join("")}</tr>`;
  const table = (heads: readonly string[], rows: readonly (readonly string[])[]) =>
    `<div class="scroll"><table><thead><tr>${heads.map((h, i) => `<th scope="col"${i ? ' class="n"' : ""}>${h}</th>`).join("")}</tr></thead><tbody>${rows.map(row).join("\n")}</tbody></table></div>`;
  const all = totals.operations[convention];
  const memoryRows = (
    of: (m: Memory) => string,
    name: string,
    also = training ? of(training) : "–",
  ) => [name, of(inference), also];
  const whys = new Map(
    formulas.map((f) => [
      f.path,
      `MACs: ${f.macs.symbols} = ${f.macs.numbers}\nparameters: ${f.parameters.symbols} = ${f.parameters.numbers}`,
    ]),
  );
  const reserved = timing?.reserved && reservedRows(timing.reserved, timing.on);
  const taken = (l: StepTime) => l.measured ?? l.predicted;
  const ms = (seconds: number) => (seconds * 1e3).toPrecision(3);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(model)}: what it costs</title>
<style>${style}</style>
<h1>${escape(model)}</h1>
<p>Input ${input.join("×")}. Every number says by its name, or at the end of the page, what it counts.</p>
<dl class="facts">
${fact("parameters", formatCount(totals.parameters))}
${fact(escape(head), formatCount(all))}
${fact("backward MACs (dx + dw)", formatCount(totals.backward.dx + totals.backward.dw))}
${fact(`memory, predicting (${inference.dtype})`, formatBytes(inference.total))}
${training ? fact(`memory, training with Adam`, formatBytes(training.total)) : ""}
${timing ? fact(`${timing.measured === undefined ? "predicted" : "predicted / measured"} on the ${escape(timing.on)}`, `${ms(timing.predicted)}${timing.measured === undefined ? "" : ` / ${ms(timing.measured)}`} ms`) : ""}
</dl>
<h2>Along the depth</h2>
<p>A bar for each layer, in the order in which they compute; the names below are those of their modules.</p>
${legend(kinds)}
${depth}
<h2>Memory over time</h2>
<p>What is held between input and output at each step, node after node, nothing fused; parameters, gradients and the optimizer's state come on top.</p>
${time}
${untrainable ? `<p>It can't be trained at batch ${input[0]}: ${escape(untrainable)}.</p>` : ""}
${table(
  ["bytes", "predicting", "training"],
  [
    memoryRows((m) => formatBytes(m.parameters), "parameters"),
    memoryRows((m) => formatBytes(m.buffers), "buffers"),
    ["gradients", "–", training ? formatBytes(training.gradients) : "–"],
    ["Adam's state", "–", training ? formatBytes(training.optimizer) : "–"],
    [
      "activations kept for backward, the input included",
      "–",
      training ? formatBytes(training.kept) : "–",
    ],
    memoryRows((m) => formatBytes(m.peak.bytes), "peak"),
    memoryRows((m) => formatBytes(m.total), "total"),
    ...(timing && !timing.reserved
      ? [["memory of the compiled program", formatBytes(timing.programBytes), "–"]]
      : []),
  ],
)}
${reserved ? `<p>What compiled programs reserve: the most of each part at one time, then the whole, as parts share memory. A step of training writes what it changes over what it was.</p>${table(reserved[0], reserved.slice(1))}` : ""}
${field ? `<h2>Receptive field</h2>\n<p>What the middle unit of a layer sees of the input, and beyond its edges of the padding.</p>\n${field}` : ""}
<h2>${timing ? "Roofline" : "Arithmetic intensity"}</h2>
<p>${
    timing
      ? `Each step of the compiled network, on the ${escape(timing.on)}. The roofs are what it reaches: ${timing.roofs.gflops.toFixed(0)} GFLOP/s in a matrix product, ${timing.roofs.bandwidth.toFixed(1)} GB/s copied. Kernels that need fewer operations than are counted (Winograd, Fourier) and layers whose data are in a cache may lie above.`
      : "Layers to the left are bound by memory, those to the right by arithmetic. <code>--measure</code> draws them under the roofs of a machine."
  }</p>
${legend(dotColors)}
${roofline}
${
  timing
    ? table(
        ["layer", "predicted ms", "measured ms", "share", "kernel"],
        timing.layers
          .toSorted((a, b) => taken(b) - taken(a))
          .slice(0, 25)
          .map((l) => [
            escape(l.path || "(model)"),
            ms(l.predicted),
            l.measured === undefined ? "–" : ms(l.measured),
            `${((100 * taken(l)) / timing.layers.reduce((sum, other) => sum + taken(other), 0)).toFixed(1)} %`,
            escape(l.kernel),
          ]),
      )
    : ""
}
<h2>Growth</h2>
${table(
  ["", "MACs (torchvision)", "parameters", "results of all nodes"],
  [
    [
      "as it is",
      formatCount(totals.operations.torchvision),
      formatCount(totals.parameters),
      formatBytes(inference.activations * (4 / bytesPerNumber[inference.dtype])),
    ],
    ...growth.map((g) => [
      escape(g.what),
      formatCount(g.macs),
      formatCount(g.parameters),
      g.activations === null ? "–" : formatBytes(g.activations),
    ]),
  ],
)}
<h2>Operations by every convention</h2>
<div class="scroll"><table><thead><tr><th scope="col">convention</th><th scope="col" class="n">operations</th><th scope="col" class="what">what is counted</th></tr></thead><tbody>
${conventionNames.map((name) => `<tr><th scope="row">${name}</th><td class="n">${formatCount(totals.operations[name])}</td><td>${escape(operationConventions[name])}</td></tr>`).join("\n")}
</tbody></table></div>
<p>Torchinfo's memory (MB of 1,000,000): input ${(torchinfo.input / 1e6).toFixed(2)}, forward/backward pass ${(torchinfo.passes / 1e6).toFixed(2)}, params ${(torchinfo.parameters / 1e6).toFixed(2)}, total ${(torchinfo.total / 1e6).toFixed(2)}.</p>
<h2>All layers</h2>
<p>Modules unfold; a pointer that rests on a layer shows its formulas.</p>
<div class="scroll"><div class="tree">
<div class="row head"><span>layer</span><span>type</span><span>output</span><span>parameters</span><span>${escape(head)}</span><span>output</span><span>field</span></div>
${layers.map((l) => branch(l, convention, all, whys)).join("\n")}
</div></div>
<div class="notes">
${(["parameters", "activationBytes", "receptiveField"] as const).map((key) => `<p>${key === "activationBytes" ? "output" : key === "receptiveField" ? "field" : key}: ${escape(conventions[key])}</p>`).join("\n")}
<p>${escape(head)}: ${escape(operationConventions[convention])}; the bars are shares of the whole</p>
</div>
</html>
`;
}

/** A layer with its parts below it, to unfold. */
function branch(
  l: LayerSummary,
  convention: keyof LayerSummary["operations"],
  all: number,
  whys: ReadonlyMap<string, string>,
): string {
  const share = all ? (100 * l.operations[convention]) / all : 0;
  const cells = [
    `<span class="name">${escape(l.path || "(model)")}</span>`,
    `<span>${escape(l.kernel ? `${l.type} ${l.kernel.join("×")}` : l.type)}</span>`,
    `<span>${l.output.join("×")}</span>`,
    `<span>${formatCount(l.parameters)}</span>`,
    `<span class="bar" style="--share:${share.toFixed(1)}%">${formatCount(l.operations[convention])}</span>`,
    `<span>${formatBytes(l.activationBytes)}</span>`,
    `<span>${l.receptiveField.map((f) => formatCount(f.size)).join("×")}</span>`,
  ].join("");
  const why = whys.get(l.path);
  if (l.parts.length === 0)
    return `<div class="row"${why ? ` title="${escape(why)}"` : ""}>${cells}</div>`;
  return `<details><summary class="row">${cells}</summary>${l.parts.map((p) => branch(p, convention, all, whys)).join("\n")}</details>`;
}
