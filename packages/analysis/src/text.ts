// A summary as a table for people: a tree as deep as asked for, as many columns as the width
// allows, and below it what each of them counts.

import type { ReceptiveField } from "@conv/compiler";
import { checkOptions, printable } from "@conv/tensor";
import { mustBeOneOf } from "./check.ts";
import { conventionNames, operationConventions, type Convention } from "./operations.ts";
import { conventions, type Counts, type LayerSummary, type Summary } from "./summary.ts";

export interface TableOptions {
  /** By which convention operations are counted. Default: torchvision. */
  readonly convention?: Convention | undefined;
  /** With the operations of the gradients. */
  readonly backward?: boolean | undefined;
  /** Levels of the tree: 1 shows the outermost layers alone. Default: all. */
  readonly depth?: number | undefined;
}

export interface TextOptions extends TableOptions {
  /** Columns of the terminal. Where the table is wider, the least important columns go first. */
  readonly width?: number | undefined;
  /** Lines of the terminal: the tree is as deep as they allow, where no depth is asked for. */
  readonly rows?: number | undefined;
  /**
   * How words are made to stand out; as they are where absent. `heavy` is for layers with a tenth
   * or more of all operations.
   */
  readonly paint?: { readonly bold: Paint; readonly dim: Paint; readonly heavy: Paint } | undefined;
}

type Paint = (text: string) => string;

/** A column of the table, of text or of numbers. */
export interface Column {
  /** As in the JSON: `parameters`, `operations`. */
  readonly key: string;
  readonly head: string;
  readonly of: (layer: LayerSummary) => string | number;
  readonly total?: ((totals: Counts) => number) | undefined;
  readonly format: (value: number) => string;
  readonly right: boolean;
  /** Columns of higher rank go first; those of rank 0 stay. */
  readonly rank: number;
  readonly means?: string | undefined;
}

type Numeric = { readonly [K in keyof Counts]: Counts[K] extends number ? K : never }[keyof Counts];

const counted = (
  key: Numeric,
  head: string,
  rank: number,
  format: (n: number) => string = formatCount,
): Column => ({
  key,
  head,
  of: (layer) => layer[key],
  total: (totals) => totals[key],
  format,
  right: true,
  rank,
  means: conventions[key],
});

const told = (
  key: string,
  head: string,
  rank: number,
  of: Column["of"],
  means?: string,
): Column => ({
  key,
  head,
  of,
  format: formatCount,
  right: key !== "type" && key !== "output",
  rank,
  means,
});

/** The most characters of a name in a table. */
export const NAME = 80;

/** A layer's name as a table shows it. */
export const nameOf = ({ path }: Pick<LayerSummary, "path">): string =>
  printable(path, NAME) || "(model)";

/** What operations are called in a table. */
export const operationsHead = (convention: Convention): string =>
  convention === "flops2"
    ? "FLOPs (flops2)"
    : convention === "torchvision"
      ? "MACs"
      : `MACs (${convention})`;

/** Names of {@link TableOptions}. */
export const TABLE = "convention backward depth";

/** All columns but the layer's name, in their order. */
export function columnsOf({
  convention = "torchvision",
  backward = false,
}: TableOptions): Column[] {
  mustBeOneOf("summary", "convention", convention, conventionNames);
  const gradient = (key: "dx" | "dw"): Column => ({
    ...counted("macs", `MACs ${key}`, 0),
    key,
    of: (l) => l.backward[key],
    total: (t) => t.backward[key],
    means: conventions.backward,
  });
  return [
    told(
      "type",
      "type",
      3,
      (l) => `${printable(l.type, NAME)}${l.kernel ? ` ${l.kernel.join("×")}` : ""}`,
    ),
    told("output", "output", backward ? 0.5 : 0, (l) => l.output.join("×")),
    counted("parameters", "parameters", 0),
    counted("frozen", "frozen", 11),
    counted("shared", "shared", 12),
    counted("buffers", "buffers", 8),
    {
      ...counted("macs", operationsHead(convention), 0),
      of: (l) => l.operations[convention],
      total: (t) => t.operations[convention],
      means: operationConventions[convention],
    },
    ...(backward ? [gradient("dx"), gradient("dw")] : []),
    counted("flops", "FLOPs", 6),
    counted("connections", "connections", 5),
    counted("elements", "elements", 13),
    counted("activationBytes", "activations", 2, formatBytes),
    counted("movedBytes", "moved", 10, formatBytes),
    counted("parameterBytes", "weights", 4, formatBytes),
    told(
      "field",
      "field",
      1,
      (l) => l.receptiveField.map((f) => formatCount(f.size)).join("×"),
      conventions.receptiveField,
    ),
    told("jump", "jump", 7, (l) => perAxis(l.receptiveField, (f) => f.jump)),
    told("start", "start", 9, (l) => perAxis(l.receptiveField, (f) => f.start)),
  ];
}

const GAP = 2;
const HEAVY = 0.1; // of all operations

/** A layer and how deep it stands, each above its parts, down to the depth. */
export function rowsOf(
  layers: readonly LayerSummary[],
  depth = Infinity,
): (readonly [layer: LayerSummary, level: number])[] {
  const walk = (l: LayerSummary, level: number): [LayerSummary, number][] => [
    [l, level],
    ...(level + 1 < depth ? l.parts.flatMap((p) => walk(p, level + 1)) : []),
  ];
  return layers.flatMap((l) => walk(l, 0));
}

/** The summary as lines of text: title, table, totals, and the convention of every number shown. */
export function formatSummary(summary: Summary, options: TextOptions = {}): string {
  checkOptions("formatSummary", options, `${TABLE} width rows paint`);
  const { width = 80, rows: most, convention = "torchvision" } = options;
  const plain: Paint = (text) => text;
  const { bold, dim, heavy } = options.paint ?? { bold: plain, dim: plain, heavy: plain };
  const { model, input, totals, trainingOnly } = summary;
  const lines = rowsOf(summary.layers, options.depth ?? fitting(summary.layers, most));
  const cell = (column: Column, value: string | number) =>
    typeof value === "number" ? column.format(value) : value;
  const name: Column = {
    key: "layer",
    head: "layer",
    of: nameOf,
    format: formatCount,
    right: false,
    rank: 0,
  };
  // What no layer has needs no column.
  const columns = columnsOf(options).filter(
    (c) => !["frozen", "shared"].includes(c.key) || c.total?.(totals),
  );
  const sized = (column: Column, body: readonly string[], total: string) => {
    const cells = [column.head, ...body, total];
    return { column, cells, wide: cells.reduce((most, c) => Math.max(most, c.length), 0) };
  };
  const names = (short: boolean) => sized(name, namesOf(lines, short), "total");
  const others = columns.map((c) => {
    const body = lines.map(([l]) => cell(c, c.of(l)));
    return sized(c, body, c.total ? c.format(c.total(totals)) : "");
  });
  let shown = [names(false), ...others];
  const taken = () => shown.reduce((sum, { wide }) => sum + wide + GAP, -GAP);
  while (taken() > width) {
    const least = shown.reduce((a, b) => (b.column.rank > a.column.rank ? b : a));
    if (least.column.rank === 0) {
      shown = shown.with(0, names(true));
      break;
    }
    shown = shown.filter((c) => c !== least);
  }
  const row = (i: number) =>
    shown
      .map(({ column, cells, wide }) =>
        column.right ? cells[i].padStart(wide) : cells[i].padEnd(wide),
      )
      .join(" ".repeat(GAP))
      .trimEnd();
  const rule = dim("─".repeat(Math.min(taken(), width)));
  const all = totals.operations[convention];
  const rows = lines.map(([l], i) => {
    const text = row(i + 1);
    const ownShare = l.parts.length ? 0 : l.operations[convention] / all;
    return ownShare >= HEAVY ? heavy(text) : l.operations[convention] === 0 ? dim(text) : text;
  });
  const notes = [...meaningsOf(shown.map((s) => s.column))].flatMap(([means, heads]) =>
    wrap(`${heads.join(", ")}: ${means}`, width),
  );
  const idle = trainingOnly
    ? wrap(
        `${formatCount(trainingOnly)} of the parameters are in layers that only training runs`,
        width,
      ).map(dim)
    : [];
  const table = [bold(row(0)), rule, ...rows, rule, bold(row(lines.length + 1)), ...idle];
  return [
    `${bold(printable(model, NAME))}, input ${input.join("×")}`,
    "",
    ...table,
    "",
    ...notes.map(dim),
  ].join("\n");
}

/** What the columns count, with the heads of those that it is said of. */
export function meaningsOf(columns: readonly Column[]): Map<string, string[]> {
  const meanings = new Map<string, string[]>();
  for (const { head, means } of columns)
    if (means) meanings.set(means, [...(meanings.get(means) ?? []), head]);
  return meanings;
}

/**
 * The layers' names, indented by their levels, short ones without that of the layer above; a mark
 * where there are parts that are not shown, the next line being another layer's.
 */
function namesOf(lines: ReturnType<typeof rowsOf>, short: boolean): string[] {
  const above: string[] = [];
  return lines.map(([l, level], i) => {
    above[level] = l.path;
    const own = short && level ? l.path.slice(above[level - 1].length + 1) : l.path;
    const folded = l.parts.length > 0 && lines[i + 1]?.[0] !== l.parts[0];
    return `${"  ".repeat(level)}${nameOf({ path: own })}${folded ? " ▸" : ""}`;
  });
}

/** The greatest depth at which the tree has at most so many lines; at least 1. */
function fitting(layers: readonly LayerSummary[], most = Infinity): number {
  const levels = Math.max(0, ...rowsOf(layers).map(([, level]) => level)) + 1;
  let depth = levels;
  while (depth > 1 && rowsOf(layers, depth).length > most) depth--;
  return depth;
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });

/** `61,706`. */
export const formatCount = (n: number): string => grouped.format(n);

/** `24.1 KiB`; powers of 1024. */
export function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  return power === 0
    ? `${bytes} B`
    : `${(bytes / 1024 ** power).toFixed(1)} ${"KMGT".charAt(power - 1)}iB`;
}

/** One number where all axes agree, else one for each. */
function perAxis(fields: readonly ReceptiveField[], of: (f: ReceptiveField) => number): string {
  const numbers = fields.map(of);
  return (numbers.every((v) => v === numbers[0]) ? numbers.slice(0, 1) : numbers)
    .map((v) => formatCount(v).replace("-", "−"))
    .join(", ");
}

/** Breaks a note into lines, the second and later ones indented. */
export function wrap(text: string, width: number): string[] {
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
