// A summary as a table for people: as many columns as the width allows, and below it what each of them counts.

import type { Field } from "./field.ts";
import { conventions, type Counts, type LayerSummary, type Summary } from "./summary.ts";

export interface TextOptions {
  /** Columns of the terminal. Where the table is wider, the least important columns go first. */
  readonly width?: number;
}

interface Column {
  readonly head: string;
  readonly of: (layer: LayerSummary, depth: number) => string;
  readonly total?: (totals: Counts) => string;
  readonly right?: boolean;
  /** Columns of higher rank go first; those of rank 0 stay. */
  readonly rank: number;
  readonly means?: keyof typeof conventions;
}

const counted = (key: keyof Counts & keyof typeof conventions, head: string, rank: number, format: (n: number) => string = formatCount): Column => ({
  head,
  of: (layer) => format(layer[key]),
  total: (totals) => format(totals[key]),
  right: true,
  rank,
  means: key,
});

const columns: readonly Column[] = [
  { head: "layer", of: (l, depth) => `${"  ".repeat(depth)}${l.path || "(model)"}`, total: () => "total", rank: 0 },
  { head: "type", of: (l) => (l.kernel ? `${l.type} ${l.kernel.join("×")}` : l.type), rank: 3 },
  { head: "output", of: (l) => l.output.join("×"), rank: 0 },
  counted("parameters", "parameters", 0),
  counted("buffers", "buffers", 7),
  counted("macs", "MACs", 0),
  counted("flops", "FLOPs", 6),
  counted("connections", "connections", 5),
  counted("activationBytes", "activations", 2, formatBytes),
  counted("parameterBytes", "weights", 4, formatBytes),
  { head: "field", of: (l) => l.receptiveField.map((f) => formatCount(f.size)).join("×"), right: true, rank: 1, means: "receptiveField" },
  { head: "jump", of: (l) => perAxis(l.receptiveField, (f) => f.jump), right: true, rank: 8 },
  { head: "start", of: (l) => perAxis(l.receptiveField, (f) => f.start), right: true, rank: 9 },
];

const GAP = 2;

/** The summary as lines of text: title, table, totals, and the convention of every number shown. */
export function formatSummary(summary: Summary, { width = 80 }: TextOptions = {}): string {
  const { model, input, totals } = summary;
  const lines = summary.layers.flatMap((l) => withParts(l, 0));
  let shown = columns.map((column) => ({
    column,
    cells: [column.head, ...lines.map(([l, depth]) => column.of(l, depth)), column.total?.(totals) ?? ""],
  }));
  const widthOf = (cells: readonly string[]) => Math.max(...cells.map((c) => c.length));
  const taken = () => shown.reduce((sum, { cells }) => sum + widthOf(cells) + GAP, -GAP);
  while (taken() > width) {
    const least = shown.reduce((a, b) => (b.column.rank > a.column.rank ? b : a));
    if (least.column.rank === 0) break;
    shown = shown.filter((c) => c !== least);
  }
  const row = (i: number) =>
    shown
      .map(({ column, cells }) => (column.right ? cells[i].padStart(widthOf(cells)) : cells[i].padEnd(widthOf(cells))))
      .join(" ".repeat(GAP))
      .trimEnd();
  const rule = "─".repeat(Math.min(taken(), width));
  const rows = lines.map((_, i) => row(i + 1));
  const notes = shown.flatMap(({ column: { head, means } }) => (means ? wrap(`${head}: ${conventions[means]}`, width) : []));
  return [`${model}, input ${input.join("×")}`, "", row(0), rule, ...rows, rule, row(lines.length + 1), "", ...notes].join("\n");
}

const withParts = (l: LayerSummary, depth: number): [LayerSummary, number][] => [[l, depth], ...l.parts.flatMap((p) => withParts(p, depth + 1))];

/** `61,706`. */
export function formatCount(n: number): string {
  return n.toLocaleString("en-US", { maximumFractionDigits: 2 });
}

/** `24.1 KiB`; powers of 1024. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return power === 0 ? `${bytes} B` : `${(bytes / 1024 ** power).toFixed(1)} ${"KMGT".charAt(power - 1)}iB`;
}

/** One number where all axes agree, else one for each. */
function perAxis(fields: readonly Field[], of: (f: Field) => number): string {
  const numbers = fields.map(of);
  return (numbers.every((v) => v === numbers[0]) ? numbers.slice(0, 1) : numbers).map((v) => formatCount(v).replace("-", "−")).join(", ");
}

/** Breaks a note into lines, the second and later ones indented. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...lines, line];
}
