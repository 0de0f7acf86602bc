// The outcome as one self-contained page: charts that Vega has drawn, and the table.

import { parse, View, type Spec } from "vega";
import { casesOf, competitorsOf, type Result } from "./result.ts";
import { rooflineSpec } from "./roofline.ts";
import { three } from "./text.ts";

export async function page(result: Omit<Result, "direction">, title: string): Promise<string> {
  const { machine, engine, rows, ratios, commit, flags, versions } = result;
  const draw = (spec: Spec) => new View(parse(spec), { renderer: "none" }).toSVG();
  const chart = await draw(chartSpec(result));
  const roofline = rows.some((r) => r.verified) ? await draw(rooflineSpec(rows, machine)) : "";
  const competitors = competitorsOf(rows);
  const numeric = ["Median ms", "p10", "p90", "GFLOP/s", "of peak"];
  const column = (name: string) =>
    `<th scope="col"${numeric.includes(name) ? ' class="n"' : ""}>${name}</th>`;
  const head = ["Case", "Competitor", ...numeric, "Verified"].map(column).join("");
  const body = rows
    .map((r) => {
      const cells = [
        three(r.medianMs),
        three(r.p10Ms),
        three(r.p90Ms),
        three(r.gflops),
        `${r.percentOfPeak.toFixed(0)} %`,
      ];
      const verdict = r.verified ? "yes" : `no: ${r.reason}`;
      return `<tr><th scope="row">${escape(r.case)}</th><td>${r.competitor}</td>${cells.map((c) => `<td class="n">${c}</td>`).join("")}<td>${escape(verdict)}</td></tr>`;
    })
    .join("\n");
  const means = competitors
    .flatMap((c) => (ratios[c] ? [`<li>${c}: ${ratios[c].geometricMean.toFixed(2)}×</li>`] : []))
    .join("");
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Conv benchmark: ${escape(title)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; background: #fff }
figure { margin: 0; overflow-x: auto }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .15rem .6rem; text-align: left; border-bottom: 1px solid #d8dee4; font-weight: normal }
thead th { font-weight: 600 }
th.n, td.n { text-align: right }
</style>
<h1>${escape(title)}</h1>
<p>${escape(machine.cpu)}, ${machine.cores} cores, ${escape(machine.system)}; Node ${engine.node}, V8 ${engine.v8}${flags.length ? `, ${escape(flags.join(" "))}` : ""};
commit ${escape(commit)}; ${machine.gpu ? `${escape(machine.gpu.adapter)}, through ${escape(machine.gpu.through)}` : machine.threads === 1 ? "one thread" : `${machine.threads} threads`}.
Peak ${machine.peak.gflops.toFixed(1)} GFLOP/s: ${escape(machine.peak.of)}.
GFLOP/s is 2 · MAC / median time, MACs as in direct convolution.</p>
<figure>${chart}<figcaption>${competitors.map((c) => `${c}${versions[c] ? ` ${escape(versions[c])}` : ""}`).join(", ")}</figcaption></figure>
${means ? `<h2>How many times faster Conv is, geometric mean</h2><ul>${means}</ul>` : ""}
<h2>Roofline</h2>
<p>What memory (${machine.peaks[0].bandwidth.toFixed(1)} GB/s, copied) and arithmetic (${machine.peaks.map((p) => `${p.gflops.toFixed(1)} GFLOP/s, ${escape(p.of)}`).join("; ")})
allow, and what was reached. Winograd and Fourier transforms do fewer operations than are counted, and may lie above.</p>
<figure>${roofline}</figure>
<h2>All figures</h2>
<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table></div>
</html>
`;
}

const escape = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Bars of GFLOP/s, one band per layer and in it one bar per competitor. */
function chartSpec({ rows }: Pick<Result, "rows">): Spec {
  const competitors = competitorsOf(rows);
  const band = 14 * competitors.length + 10;
  return {
    $schema: "https://vega.github.io/schema/vega/v6.json",
    description: "GFLOP/s of each competitor on each layer",
    width: 760,
    height: band * casesOf(rows).length,
    padding: 5,
    data: [
      {
        name: "rows",
        values: rows
          .filter((r) => r.verified)
          .map((r) => ({
            case: r.case,
            competitor: r.competitor,
            gflops: r.gflops,
            label: three(r.gflops),
          })),
      },
    ],
    scales: [
      { name: "layer", type: "band", domain: casesOf(rows), range: "height", paddingInner: 0.15 },
      {
        name: "speed",
        type: "linear",
        domain: { data: "rows", field: "gflops" },
        range: "width",
        zero: true,
        nice: true,
      },
      { name: "color", type: "ordinal", domain: competitors, range: { scheme: "tableau10" } },
    ],
    axes: [
      { orient: "left", scale: "layer", labelLimit: 320 },
      { orient: "top", scale: "speed", title: "GFLOP/s", grid: true },
    ],
    legends: [{ fill: "color", orient: "top", direction: "horizontal" }],
    marks: [
      {
        type: "group",
        from: { facet: { data: "rows", name: "bars", groupby: "case" } },
        encode: {
          enter: { y: { scale: "layer", field: "case" }, height: { scale: "layer", band: 1 } },
        },
        signals: [{ name: "height", update: "bandwidth('layer')" }],
        scales: [{ name: "place", type: "band", domain: competitors, range: "height" }],
        marks: [
          {
            type: "rect",
            from: { data: "bars" },
            encode: {
              enter: {
                y: { scale: "place", field: "competitor" },
                height: { scale: "place", band: 0.9 },
                x: { scale: "speed", value: 0 },
                x2: { scale: "speed", field: "gflops" },
                fill: { scale: "color", field: "competitor" },
              },
            },
          },
          {
            type: "text",
            from: { data: "bars" },
            encode: {
              enter: {
                y: { scale: "place", field: "competitor", band: 0.5 },
                x: { scale: "speed", field: "gflops", offset: 4 },
                text: { field: "label" },
                baseline: { value: "middle" },
                fontSize: { value: 10 },
              },
            },
          },
        ],
      },
    ],
  };
}
