// Sums and maxima over any axes, of x or of an expression over several inputs. Neighboring axes are
// merged, so that kept and reduced axes alternate. A workgroup of up to 256 invocations is a table
// of `rows` × `columns`: each column makes one output, or four neighboring ones. Its rows share the
// terms, and join their results as a tree in workgroup memory.
//
//   innermost axis reduced   y[o] = Σ over the terms; rows are neighbors along the innermost axis,
//                            and read vectors of four where its length allows it
//   innermost axis kept      y[o, k…] = Σ over the terms; columns are neighbors along k, and make
//                            vectors of four outputs where its length allows it
//
// Where outputs are few and terms are many, the terms are cut into parts, and a second stage
// reduces the parts. The cut depends on the shape alone, so that the order of additions never
// differs between runs. An invocation adds its terms in blocks (sums.ts).

import { inputName, mergeAxes, type Axis, countOf } from "@conv/compiler";
import { broadcastStrides, maxOp, sumOp, type Expr, type ReduceParams } from "@conv/ops";
import { sizeOf, type Spec } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  outputAt,
  scratchAt,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Place,
  type Task,
} from "../../compile/code.ts";
import { loopInBlocks } from "../../wgsl/sums.ts";
import { coordinates, emitExprs, indent, literal, mainOf, offsetOf } from "../../wgsl/wgsl.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import { eachElement, finishOf, streamTime, type Finish } from "./each.ts";

/**
 * What is reduced, unless it is an input: an expression over inputs i0, i1, …, which broadcast to
 * `shape`.
 */
export interface Terms {
  readonly of: Expr;
  readonly shape: readonly number[];
}

/**
 * The axes and the terms of a task of {@link reduce}: the first input, unless inlining set them.
 */
export function termsOf({ params, inputs }: Pick<Task, "params" | "inputs">): ReduceParams & Terms {
  const {
    of = inputName(0),
    shape = inputs[0].shape,
    ...rest
  } = params as ReduceParams & Partial<Terms>;
  return { ...rest, of, shape };
}

type Join = (a: string, b: string) => string;

/** A sum, or a maximum. */
interface Reducer {
  readonly label: string;
  /** Joins two results of a type. */
  join(T: string): Join;
  /** A sum begins with 0; a maximum begins with a term, which is read twice. */
  readonly startsAtZero: boolean;
}

const SUM: Reducer = { label: "sum", join: () => (a, b) => `${a} + ${b}`, startsAtZero: true };
const MAX: Reducer = {
  label: "max",
  join: (T) => (a, b) => `max_of${T === "f32" ? "" : 4}(${a}, ${b})`,
  startsAtZero: false,
};

const THREADS = 256;
/**
 * Invocations of a workgroup of a software adapter, none of which share terms: waiting at barriers
 * takes it longer than the work.
 */
const SOFTWARE_THREADS = 16;

export const reduce: GpuKernel = {
  name: "reduce",
  ops: [sumOp, maxOp],
  fuses: ["channel", "column", "element"],
  estimate: streamTime,
  build(task, caps) {
    const { axes, of, shape } = termsOf(task);
    const finish = finishOf(task);
    // Over an empty axis: only sums, and they are 0.
    if (sizeOf(shape) === 0)
      return {
        scratch: [],
        stages: [
          eachElement(task, { label: "sum of nothing", reads: [], body: "", result: "0.0f" }),
        ],
      };
    const inputs = task.inputs.slice(0, task.inputs.length - finish.reads.length);
    return reduction(task.op === maxOp ? MAX : SUM, { of, shape }, axes, inputs, finish, caps);
  },
};

/** Σ x over these axes, times `scale`: means of whole planes. */
export function scaledSum(task: Task, axes: readonly number[], scale: number, caps: Caps): GpuCode {
  const finish = finishOf(task);
  const scaled: Finish = {
    ...finish,
    store: (result, element) => finish.store(`(${result}) * ${literal(scale)}`, element),
  };
  const [x] = task.inputs;
  return reduction(SUM, { of: inputName(0), shape: x.shape }, axes, [x], scaled, caps);
}

/** Axes by kind; `strides` are of y, then of the inputs. */
interface Walk {
  readonly kept: readonly Axis[];
  readonly reduced: readonly Axis[];
  readonly outputs: number;
  readonly terms: number;
  /** Whether the innermost axis is reduced. */
  readonly runs: boolean;
  /** Neighbors that are read as one vector: terms, or outputs. */
  readonly width: 1 | 4;
  /** How each input is read: one element at a time where it has no innermost axis. */
  readonly widths: readonly (1 | 4)[];
}

function walkOf(shape: readonly number[], rows: readonly number[], inputs: readonly Spec[]): Walk {
  const axes = mergeAxes(
    shape,
    [rows, ...inputs.map((s) => s.shape)].map((s) => broadcastStrides(s, shape)),
  );
  const inner = axes.at(-1)!;
  const width = inner.size % 4 === 0 && inner.strides.every((s) => s < 2) ? 4 : 1;
  const widths = inputs.map((_, i) => (width === 4 && inner.strides[i + 1] === 1 ? 4 : 1));
  const scaled = axes.map(({ size, strides: [y, ...own] }, a) =>
    a === axes.length - 1
      ? { size: size / width, strides: [y, ...own] } // from vector to vector
      : { size, strides: [y, ...own.map((s, i) => s / widths[i])] },
  );
  const reduces = ({ strides, size }: Axis) => strides[0] === 0 && size > 1;
  const [kept, reduced] = [
    scaled.filter((_, a) => !reduces(axes[a])),
    scaled.filter((_, a) => reduces(axes[a])),
  ];
  return {
    kept,
    reduced,
    outputs: countOf(kept),
    terms: countOf(reduced),
    runs: reduces(inner),
    width,
    widths,
  };
}

function reduction(
  reducer: Reducer,
  { of, shape }: Terms,
  axes: readonly number[],
  inputs: readonly Spec[],
  finish: Finish,
  caps: Caps,
): GpuCode {
  const keptShape = shape.map((size, a) => (axes.includes(a) ? 1 : size));
  const walk = walkOf(shape, keptShape, inputs);
  const from = inputs.map((_, i) => inputAt(i));
  const table = tableOf(walk, caps);
  const wanted = caps.software
    ? SWIFTSHADER.reductionThreads / walk.outputs
    : GUESSES.reductionGroups / Math.ceil(walk.outputs / table.columns);
  const parts = Math.min(
    Math.ceil(wanted),
    Math.floor(walk.terms / (table.rows * GUESSES.terms * 4)),
  );
  if (parts <= 1) {
    const whole = { reducer, of, walk, table: { ...table, parts: 1 }, from };
    return { scratch: [], stages: [stageOf({ ...whole, into: outputAt(0), finish })] };
  }
  const partial: Spec = { dtype: "float32", shape: [parts, sizeOf(keptShape)] };
  const between: Finish = {
    functions: "",
    reads: [],
    store: (result, element) => `y[${element}] = ${result};`,
  };
  const joined = walkOf(partial.shape, [1, sizeOf(keptShape)], [partial]);
  return {
    scratch: [{ bytes: sizeOf(partial.shape) * 4 }],
    stages: [
      stageOf({
        reducer,
        of,
        walk,
        table: { ...table, parts },
        from,
        into: scratchAt(0),
        finish: between,
      }),
      stageOf({
        reducer,
        of: inputName(0),
        walk: joined,
        table: { ...tableOf(joined, caps), parts: 1 },
        from: [scratchAt(0)],
        into: outputAt(0),
        finish,
      }),
    ],
  };
}

/**
 * The invocations of a workgroup, and the parts into which the terms are cut: each column makes a
 * part of an output.
 */
interface Table {
  readonly rows: number;
  readonly columns: number;
  readonly parts: number;
}

/**
 * Powers of two: as many rows as leave each invocation some terms, and then columns, but not more
 * than there are outputs.
 */
function tableOf({ runs, outputs, terms }: Walk, { software }: Caps): Omit<Table, "parts"> {
  const up = (v: number) => 2 ** Math.ceil(Math.log2(v));
  if (software) return { rows: 1, columns: SOFTWARE_THREADS };
  if (runs) {
    const rows = Math.min(THREADS, up(Math.ceil(terms / GUESSES.terms)));
    return { rows, columns: Math.min(up(outputs), Math.max(1, 64 / rows)) };
  }
  const columns = Math.min(64, up(outputs));
  return { rows: Math.min(THREADS / columns, up(Math.ceil(terms / GUESSES.terms))), columns };
}

/** A dispatch: what it reduces, how, and where it reads and writes. */
interface Reduction {
  readonly reducer: Reducer;
  readonly of: Expr;
  readonly walk: Walk;
  readonly table: Table;
  readonly from: readonly Place[];
  readonly into: Place;
  readonly finish: Finish;
}

function stageOf(r: Reduction): GpuStage {
  const { reducer, of, walk, table, from, into, finish } = r;
  const { rows, columns, parts } = table;
  const groups = Math.ceil((walk.outputs * parts) / columns);
  const T = typeOf(walk);
  const code = [
    finish.functions,
    loader(of, walk, T),
    rows > 1 ? `var<workgroup> totals: array<${T}, ${rows * columns}>;` : "",
    mainOf(groups, rows * columns, mainBody(r)),
  ];
  return {
    label: parts > 1 ? `${reducer.label} of each of ${parts} parts` : reducer.label,
    reads: [
      ...from.map((place, i) => ({ name: inputName(i), place, width: walk.widths[i] })),
      ...finish.reads,
    ],
    writes: [{ name: "y", place: into }],
    code: code.filter(Boolean).join("\n\n"),
    groups,
  };
}

const typeOf = ({ width }: Walk): string => (width === 4 ? "vec4f" : "f32");

/** Row and column of an invocation: rows are neighbors along terms, columns along outputs. */
function placeIn({ rows, columns }: Table, runs: boolean): readonly [row: string, column: string] {
  if (rows === 1 || columns === 1)
    return [rows === 1 ? "0u" : "lane", columns === 1 ? "0u" : "lane"];
  return runs
    ? [`lane % ${rows}u`, `lane / ${rows}u`]
    : [`lane / ${columns}u`, `lane % ${columns}u`];
}

function mainBody({ reducer, walk, table, finish }: Reduction): string {
  const { kept, outputs, terms, runs, widths } = walk;
  const { rows, columns, parts } = table;
  const items = outputs * parts;
  const length = Math.ceil(terms / parts);
  const [row, column] = placeIn(table, runs);
  // Columns beyond the last do what it does, and store nothing.
  const cell = items % columns ? `min(item, ${items - 1}u)` : "item";
  const writes = [
    ...(rows > 1 ? ["row == 0u"] : []),
    ...(items % columns ? [`item < ${items}u`] : []),
  ].join(" && ");
  const stores = storeTotal(reducer, walk, finish);
  const bases = widths.map((_, i) => `base${i}`);
  const [begin, end] = parts === 1 ? ["row", `${terms}u`] : ["begin + row", "end"];
  const lines = [
    `let row = ${row};`,
    `let item = ${columns === 1 ? "group" : `group * ${columns}u + ${column}`};`,
    ...(parts === 1 ? [] : [`let part = ${cell} / ${outputs}u;`]),
    located(parts === 1 ? cell : `${cell} % ${outputs}u`, kept, "k"),
    ...bases.map((base, i) => `let ${base} = ${offsetIn(kept, i, "k")};`),
    ...(parts === 1
      ? []
      : [`let begin = part * ${length}u;`, `let end = min(begin + ${length}u, ${terms}u);`]),
    ...accumulate(reducer, walk, { begin, end, step: rows, turns: Math.ceil(length / rows) }),
    ...(rows > 1 ? tree(reducer.join(typeOf(walk)), rows, runs ? 1 : columns) : []),
    writes ? `if (${writes}) {\n${indent(stores)}\n}` : stores,
  ];
  return lines.filter(Boolean).join("\n");
}

/** Stores `total`: the elements of a vector are outputs, or terms, which are joined first. */
function storeTotal(reducer: Reducer, { runs, width }: Walk, finish: Finish): string {
  const lanes = width === 1 ? ["total"] : ["x", "y", "z", "w"].map((lane) => `total.${lane}`);
  if (runs || width === 1) return finish.store(lanes.reduce(reducer.join("f32")), "item");
  return lanes
    .map((lane, i) => `{\n${indent(finish.store(lane, `item * 4u + ${i}u`))}\n}`)
    .join("\n");
}

/** `load(base0, …, term)`: the expression, over the inputs from their bases on. */
function loader(of: Expr, { reduced, width, widths }: Walk, T: string): string {
  const names = Object.fromEntries(widths.map((_, i) => [inputName(i), `v${i}`]));
  const { statements, values } = emitExprs([of], names, width);
  const body = [
    located("term", reduced, "r"),
    ...widths.map((w, i) => {
      const along = offsetIn(reduced, i, "r");
      const at = `${inputName(i)}[base${i}${along === "0u" ? "" : ` + ${along}`}]`;
      return `let v${i} = ${w === width ? `${T}(${at})` : `${T}(f32(${at}))`};`;
    }),
    statements,
    `return ${values[0]};`,
  ];
  const parameters = [...widths.map((_, i) => `base${i}: u32`), "term: u32"].join(", ");
  return `fn load(${parameters}) -> ${T} {\n${indent(body.filter(Boolean).join("\n"))}\n}`;
}

const namesOf = (axes: readonly Axis[], letter: string): string[] =>
  axes.map((_, a) => `${letter}${a}`);

/** Declares the coordinates of a cell of the axes. */
const located = (cell: string, axes: readonly Axis[], letter: string): string =>
  coordinates(
    cell,
    axes.map(({ size }) => size),
    namesOf(axes, letter),
  );

/** Where in an input that cell is. */
const offsetIn = (axes: readonly Axis[], input: number, letter: string): string =>
  offsetOf(
    namesOf(axes, letter),
    axes.map(({ strides }) => strides[input + 1]),
  );

/** The terms of a row: from, to, in steps, and how many there are at most. */
interface Range {
  readonly begin: string;
  readonly end: string;
  readonly step: number;
  readonly turns: number;
}

/** Reduces the terms of the invocation's row into `total`. */
function accumulate(reducer: Reducer, walk: Walk, { begin, end, step, turns }: Range): string[] {
  const T = typeOf(walk);
  const load = (term: string) =>
    `load(${walk.widths.map((_, i) => `base${i}`).join(", ")}, ${term})`;
  // A row without terms takes the last of all for a maximum.
  const start = reducer.startsAtZero ? `${T}()` : load(`min(${begin}, ${end} - 1u)`);
  return [
    `var total = ${start};`,
    loopInBlocks({
      at: "term",
      from: begin,
      to: end,
      step,
      turns: reducer.startsAtZero ? turns : 1,
      sums: ["total"],
      T,
      body: ([total]) => `${total} = ${reducer.join(T)(total, load("term"))};`,
    }),
  ];
}

/** Joins the totals of a column, whose rows are `apart` invocations apart, into that of row 0. */
const tree = (join: Join, rows: number, apart: number): string[] => [
  "totals[lane] = total;",
  "workgroupBarrier();",
  `for (var half = ${rows / 2}u; half > 0u; half /= 2u) {`,
  `  if (row < half) { totals[lane] = ${join("totals[lane]", `totals[lane + half${apart === 1 ? "" : ` * ${apart}u`}]`)}; }`,
  "  workgroupBarrier();",
  "}",
  "total = totals[lane];",
];
