// The costs of a network as one self-contained page: charts, drawn by Vega, tables, and the tree of
// layers, which unfolds.

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
  type TrainingMemory,
} from "@conv/analysis";
import { reservedRows } from "../reserved.ts";
import type { StepTime, Timing } from "../timing.ts";
import type { Costs, Growth, SummaryOptions } from "./costs.ts";
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

/** A picture for wide pages and one for phones; the page shows one of them. */
async function twice(draw: (width: number) => Picture | null): Promise<string> {
  const [wide, narrow] = [draw(widths.wide), draw(widths.narrow)];
  return wide && narrow
    ? `<div class="wide">${await figure(wide)}</div>` +
        `<div class="narrow">${await figure(narrow)}</div>`
    : "";
}

/** The meaning of the colors of a picture. */
const legend = (entries: readonly (readonly [name: string, color: string])[]) =>
  `<ul class="legend">${entries
    .map(([name, color]) => `<li><i style="--c:${color}"></i>${escape(name)}</li>`)
    .join("")}</ul>`;

export interface PageOptions extends Pick<SummaryOptions, "convention"> {
  readonly formulas: readonly LayerFormula[];
  readonly growth: readonly Growth[];
}

/** The page's text. */
export async function pageOf(costs: Costs, options: PageOptions): Promise<string> {
  const { model, input, totals, layers } = costs.summary;
  const { convention } = options;
  const head = operationsHead(convention);
  const leaves = leavesOf(layers);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escape(model)}: costs</title>
<style>${style}</style>
<h1>${escape(model)}</h1>
<p>Input ${input.join("×")}. The name of each number, or the end of the page, says what it
counts.</p>
${factsOf(costs, head, totals.operations[convention])}
<h2>Costs of each layer</h2>
<p>One bar for each layer, in the order of computation; the names below are those of modules.</p>
${legend(usedKinds(leaves))}
${await twice((width) => depthPicture(layers, convention, head, width))}
${await memoryOf(costs)}
${await fieldOf(costs)}
${await rooflineOf(costs)}
${growthOf(costs, options.growth)}
${operationsOf(costs)}
${treeOf(costs, options, head)}
</html>
`;
}

const row = (cells: readonly string[]) =>
  `<tr>${cells
    .map((c, i) => (i ? `<td class="n">${c}</td>` : `<th scope="row">${c}</th>`))
    .join("")}</tr>`;

const headCell = (name: string, kind = "") => `<th scope="col"${kind}>${name}</th>`;

/** A table that scrolls where it is too wide: names in the first column, numbers in the others. */
const table = (heads: readonly string[], rows: readonly (readonly string[])[]) =>
  `<div class="scroll"><table><thead><tr>${heads
    .map((h, i) => headCell(h, i ? ' class="n"' : ""))
    .join("")}</tr></thead><tbody>${rows.map(row).join("\n")}</tbody></table></div>`;

const ms = (seconds: number) => (seconds * 1e3).toPrecision(3);

/** The totals at the head of the page. */
function factsOf({ summary, inference, training, timing }: Costs, head: string, all: number) {
  const { parameters, backward } = summary.totals;
  const facts = [
    ["parameters", formatCount(parameters)],
    [escape(head), formatCount(all)],
    ["backward MACs (dx + dw)", formatCount(backward.dx + backward.dw)],
    [`memory, inference (${inference.dtype})`, formatBytes(inference.total)],
  ];
  if (training) facts.push(["memory, training with Adam", formatBytes(training.total)]);
  if (timing) {
    const { on, predicted, measured } = timing;
    facts.push(
      measured === undefined
        ? [`predicted time on the ${escape(on)}`, `${ms(predicted)} ms`]
        : [
            `predicted / measured time on the ${escape(on)}`,
            `${ms(predicted)} / ${ms(measured)} ms`,
          ],
    );
  }
  return `<dl class="facts">
${facts.map(([name, value]) => `<div><dd>${value}</dd><dt>${name}</dt></div>`).join("\n")}
</dl>`;
}

async function memoryOf({ summary, inference, training, untrainable, timing }: Costs) {
  const batch = `batch ${summary.input[0]}`;
  const pictures = [
    await twice((w) => timePicture(`Inference, ${batch}`, inference, colors.blue, w)),
    training
      ? await twice((w) => timePicture(`Training, ${batch}`, training, colors.purple, w))
      : "",
  ];
  const both = (name: string, of: (m: Memory) => number) => [
    name,
    formatBytes(of(inference)),
    training ? formatBytes(of(training)) : "–",
  ];
  const trained = (name: string, of: (m: TrainingMemory) => number) => [
    name,
    "–",
    training ? formatBytes(of(training)) : "–",
  ];
  const rows = [
    both("parameters", (m) => m.parameters),
    both("buffers", (m) => m.buffers),
    trained("gradients", (m) => m.gradients),
    trained("Adam state", (m) => m.optimizer),
    trained("activations kept for backward, including the input", (m) => m.kept),
    both("peak", (m) => m.peak.bytes),
    both("total", (m) => m.total),
  ];
  if (timing && !timing.reserved)
    rows.push(["memory of the compiled program", formatBytes(timing.programBytes), "–"]);
  const reserved = timing?.reserved && reservedRows(timing.reserved, timing.on);
  return `<h2>Memory over time</h2>
<p>Memory between input and output at each step, node by node, without fusion; parameters, gradients
and optimizer state are added to it.</p>
${pictures.join("\n")}
${untrainable ? `<p>Training is not possible at ${batch}: ${escape(untrainable)}.</p>` : ""}
${table(["bytes", "inference", "training"], rows)}
${
  reserved
    ? `<p>Memory that compiled programs reserve: the peak of each part, then the whole, in which
parts share memory. A training step updates parameters and state in place.</p>
${table(reserved[0], reserved.slice(1))}`
    : ""
}`;
}

async function fieldOf({ summary: { input, layers } }: Costs): Promise<string> {
  const fields = fieldPictures(input, layers);
  if (!fields) return "";
  const figures = await Promise.all(fields.pictures.map(figure));
  return `<h2>Receptive field</h2>
<p>The part of the input that the middle unit of a layer depends on, with the padding beyond its
edges.</p>
${legend(fields.legend.map((l) => [`${l.name} ${l.size}`, l.color]))}
<div class="row-of">${figures.join("")}${await twice(fields.growth)}</div>`;
}

async function rooflineOf({ summary: { layers }, timing }: Costs): Promise<string> {
  if (!timing) {
    const dots = usedKinds(leavesOf(layers).filter((l) => l.macs > 0));
    return `<h2>Arithmetic intensity</h2>
<p>Layers to the left are bound by memory, those to the right by arithmetic. <code>--measure</code>
draws them under the roofs of a machine.</p>
${legend(dots)}
${await twice((width) => intensityPicture(layers, width))}`;
  }
  const { on, roofs } = timing;
  const dots = Object.entries(timeKinds).filter(
    ([kind]) => kind === "predicted" || timing.measured !== undefined,
  );
  return `<h2>Roofline</h2>
<p>Each step of the compiled network on the ${escape(on)}. The roofs are measured:
${roofs.gflops.toFixed(0)} GFLOP/s in a matrix product,
${roofs.bandwidth.toFixed(1)} GB/s in a copy. Kernels that need fewer operations than are counted
(Winograd, Fourier), and layers whose data are in a cache, can lie above them.</p>
${legend(dots)}
${await twice((width) => rooflinePicture(timing, width))}
${slowestOf(timing)}`;
}

/** The 25 steps that take longest. */
function slowestOf({ layers }: Timing): string {
  const taken = (l: StepTime) => l.measured ?? l.predicted;
  const all = layers.reduce((sum, l) => sum + taken(l), 0);
  const rows = layers
    .toSorted((a, b) => taken(b) - taken(a))
    .slice(0, 25)
    .map((l) => [
      escape(l.path || "(model)"),
      ms(l.predicted),
      l.measured === undefined ? "–" : ms(l.measured),
      `${((100 * taken(l)) / all).toFixed(1)} %`,
      escape(l.kernel),
    ]);
  return table(["layer", "predicted ms", "measured ms", "share", "kernel"], rows);
}

function growthOf({ summary: { totals }, inference }: Costs, growth: readonly Growth[]): string {
  const rows = [
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
  ];
  return `<h2>Growth</h2>
${table(["", "MACs (torchvision)", "parameters", "results of all nodes"], rows)}`;
}

function operationsOf({ summary: { totals, torchinfo } }: Costs): string {
  const heads = [
    headCell("convention"),
    headCell("operations", ' class="n"'),
    headCell("what is counted", ' class="what"'),
  ];
  const rows = conventionNames.map(
    (name) =>
      `<tr><th scope="row">${name}</th><td class="n">${formatCount(totals.operations[name])}</td>` +
      `<td>${escape(operationConventions[name])}</td></tr>`,
  );
  const mega = (bytes: number) => (bytes / 1e6).toFixed(2);
  return `<h2>Operations by every convention</h2>
<div class="scroll"><table><thead><tr>${heads.join("")}</tr></thead><tbody>
${rows.join("\n")}
</tbody></table></div>
<p>Memory by torchinfo (MB of 1,000,000): input ${mega(torchinfo.input)}, forward/backward pass
${mega(torchinfo.passes)}, params ${mega(torchinfo.parameters)},
total ${mega(torchinfo.total)}.</p>`;
}

function treeOf(
  { summary: { layers, totals } }: Costs,
  { convention, formulas }: PageOptions,
  head: string,
): string {
  const formulaOf = new Map(
    formulas.map(({ path, macs, parameters }) => [
      path,
      `MACs: ${macs.symbols} = ${macs.numbers}\n` +
        `parameters: ${parameters.symbols} = ${parameters.numbers}`,
    ]),
  );
  const heads = ["layer", "type", "output", "parameters", escape(head), "output", "field"];
  const all = totals.operations[convention];
  const notes = [
    `parameters: ${escape(conventions.parameters)}`,
    `output: ${escape(conventions.activationBytes)}`,
    `field: ${escape(conventions.receptiveField)}`,
    `${escape(head)}: ${escape(operationConventions[convention])}; bars: shares of the total`,
  ];
  return `<h2>All layers</h2>
<p>Modules unfold; point at a layer to see its formulas.</p>
<div class="scroll"><div class="tree">
<div class="row head">${heads.map((name) => `<span>${name}</span>`).join("")}</div>
${layers.map((l) => branch(l, convention, all, formulaOf)).join("\n")}
</div></div>
<div class="notes">
${notes.map((note) => `<p>${note}</p>`).join("\n")}
</div>`;
}

/** A layer, with its parts below it. */
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
    `<span class="bar" style="--share:${share.toFixed(1)}%">${formatCount(
      l.operations[convention],
    )}</span>`,
    `<span>${formatBytes(l.activationBytes)}</span>`,
    `<span>${l.receptiveField.map((f) => formatCount(f.size)).join("×")}</span>`,
  ].join("");
  const why = whys.get(l.path);
  if (l.parts.length === 0)
    return `<div class="row"${why ? ` title="${escape(why)}"` : ""}>${cells}</div>`;
  return `<details><summary class="row">${cells}</summary>${l.parts.map((p) => branch(p, convention, all, whys)).join("\n")}</details>`;
}
