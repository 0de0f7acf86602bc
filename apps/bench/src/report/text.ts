// The outcome for a terminal, and as Markdown for documents.

import { styleText } from "node:util";
import { printable } from "@conv/tensor";
import type { Machine } from "../machine.ts";
import { geometricMean, median } from "../stats.ts";
import {
  casesOf,
  competitorsOf,
  hardest,
  type NetworkResult,
  type Ratio,
  type Result,
  type Row,
  type TrainResult,
} from "./result.ts";

/** Three significant digits: 0.0123, 1.23, 123, 12345. */
export const three = (v: number): string => (v >= 100 ? v.toFixed(0) : v.toPrecision(3));

const percent = (v: number) => `${v.toFixed(0)} %`;
const times = (ratio: number) => `${ratio.toFixed(2)}×`;

/** What all percentages and times of a run belong to. */
export const describe = (machine: Machine, node: string): string =>
  `${machine.gpu ? `${machine.gpu.adapter}, through ${machine.gpu.through}\n` : ""}${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${node}\n` +
  machine.peaks
    .map(
      (p, i) =>
        `peak ${p.gflops.toFixed(1)} GFLOP/s: ${p.of}${p === machine.peak ? " (percentages are of this)" : ""}${machine.gpu && i === 0 ? `; ${p.bandwidth.toFixed(1)} GB/s copied` : ""}`,
    )
    .join("\n");

/** One case, a line for each competitor. */
export function caseText(name: string, rows: readonly Row[], declined: Result["declined"]): string {
  const own = rows.find((r) => r.competitor === "conv" && r.verified);
  const width = Math.max(10, ...[...rows, ...declined].map((r) => r.competitor.length + 1));
  const lines = rows.map((r) => {
    const time =
      `${three(r.medianMs)} ms`.padStart(10) + ` (${three(r.p10Ms)}–${three(r.p90Ms)})`.padEnd(18);
    const speed = r.verified
      ? `${three(r.gflops).padStart(6)} GFLOP/s ${percent(r.percentOfPeak).padStart(6)}`
      : styleText("red", `REFUSED: ${r.reason}`);
    const ratio =
      own && r !== own && r.verified
        ? `   conv is ${times(r.medianMs / own.medianMs)} as fast`
        : r.kernels.length
          ? `   ${r.kernels.join(" + ")}`
          : "";
    const device =
      r.deviceMs === undefined ? "" : `   ${three(r.deviceMs)} ms by the clock of the device`;
    return `  ${r.competitor.padEnd(width)}${time}${speed}${ratio}${device}`;
  });
  const missing = declined.map((d) =>
    styleText("dim", `  ${d.competitor.padEnd(width)} —  ${d.reason}`),
  );
  return [styleText("bold", name), ...lines, ...missing].join("\n");
}

/**
 * GFLOP/s by layer and competitor, then the geometric means of the ratios, as a Markdown table that
 * is aligned in a terminal too.
 */
export function summaryTable({ rows, ratios }: Pick<Result, "rows" | "ratios">): string {
  const competitors = competitorsOf(rows);
  const cell = (name: string, competitor: string) => {
    const row = rows.find((r) => r.case === name && r.competitor === competitor);
    return row ? (row.verified ? three(row.gflops) : "refused") : "—";
  };
  const lines = [
    ["GFLOP/s", ...competitors],
    ...casesOf(rows).map((name) => [name, ...competitors.map((c) => cell(name, c))]),
  ];
  if (Object.keys(ratios).length)
    lines.push([
      "time / conv's (geometric mean)",
      ...competitors.map((c) => (ratios[c] ? times(ratios[c].geometricMean) : "")),
    ]);
  return table(lines);
}

/**
 * Against the fastest of the others on each case: the mean, the worst, and all cases on which Conv
 * is behind, with its kernels. "" without others.
 */
export function hardestText(result: Pick<Result, "rows" | "ratios">): string {
  const cases = hardest(result);
  if (cases.length === 0) return "";
  const behind = cases.filter((c) => c.ratio < 1);
  const describeCase = ({ row, peer, ratio }: (typeof cases)[number]) =>
    `${row.case} ${times(ratio)} (${peer}; ${row.kernels.join(" + ")})`;
  return [
    `Time of the fastest other / conv's on ${cases.length} cases: ${times(geometricMean(cases.map((c) => c.ratio)))} (geometric mean), at the worst ${describeCase(cases[0])}`,
    ...(behind.length
      ? [`Behind on ${behind.length}:`, ...behind.map((c) => `  ${describeCase(c)}`)]
      : []),
  ].join("\n");
}

/**
 * Milliseconds of each network, then of its start, with the times of each peer by those of Conv.
 */
export function networksTable({
  rows,
  ratios,
  startRatios,
}: Pick<NetworkResult, "rows" | "ratios" | "startRatios">): string {
  const competitors = competitorsOf(rows);
  const peers = competitors.filter((c) => c !== "conv");
  const section = (
    title: string,
    by: Readonly<Partial<Record<string, Ratio>>>,
    cell: (row: NetworkResult["rows"][number]) => string,
  ) => {
    const lines = casesOf(rows).map((name) => [
      name,
      ...competitors.map((c) => {
        const row = rows.find((r) => r.case === name && r.competitor === c);
        return row ? (row.verified ? cell(row) : "refused") : "—";
      }),
      ...peers.map((c) => (by[c]?.cases[name] ? times(by[c].cases[name]) : "—")),
    ]);
    const mean = [
      "geometric mean",
      ...competitors.map(() => ""),
      ...peers.map((c) => (by[c] ? times(by[c].geometricMean) : "")),
    ];
    return table([
      [title, ...competitors, ...peers.map((c) => `${c} / conv`)],
      ...lines,
      ...(peers.length && lines.length > 1 ? [mean] : []),
    ]);
  };
  const tables = [
    section(
      "ms (p10–p90)",
      ratios,
      (r) => `${three(r.medianMs)} (${three(r.p10Ms)}–${three(r.p90Ms)})`,
    ),
  ];
  if (rows.some((r) => r.startsMs.length))
    tables.push(
      section("compile and first run, ms", startRatios, (r) =>
        r.startsMs.length ? three(median(r.startsMs)) : "—",
      ),
    );
  return tables.join("\n\n");
}

/** Training steps: milliseconds and images a second of each competitor. */
export function trainTable({ rows, ratios }: Pick<TrainResult, "rows" | "ratios">): string {
  const lines = rows.map((r) => [
    r.competitor,
    `${three(r.medianMs)} (${three(r.p10Ms)}–${three(r.p90Ms)})`,
    r.imagesPerSecond.toFixed(0),
    r.verified
      ? `${r.firstLoss.toFixed(3)} → ${r.lastLoss.toFixed(3)}`
      : `REFUSED: ${r.firstLoss} → ${r.lastLoss}`,
    ratios[r.competitor] ? times(ratios[r.competitor]!.geometricMean) : "",
  ]);
  return table([
    [rows[0]?.case ?? "", "ms a step (p10–p90)", "images/s", "loss", "time / conv's"],
    ...lines,
  ]);
}

/** A Markdown table that is aligned in a terminal too. */
export function table(rows: readonly (readonly string[])[]): string {
  // names may come from a file
  const lines = rows.map((row) => row.map((cell) => printable(cell).replaceAll("|", "\\|")));
  const widths = lines[0].map((_, column) => Math.max(3, ...lines.map((l) => l[column].length)));
  const format = (cells: readonly string[]) =>
    `| ${cells.map((c, i) => (i ? c.padStart(widths[i]) : c.padEnd(widths[i]))).join(" | ")} |`;
  const rule = `|${widths.map((w, i) => (i ? `${"-".repeat(w + 1)}:` : "-".repeat(w + 2))).join("|")}|`;
  return [format(lines[0]), rule, ...lines.slice(1).map(format)].join("\n");
}
