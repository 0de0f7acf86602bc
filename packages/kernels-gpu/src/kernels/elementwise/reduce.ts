// Sums and maxima over any axes, of x or of what an expression makes of several inputs on the way.
// Neighboring axes are merged, which leaves kept and reduced ones in turn. A workgroup of up to
// 256 is a table of `rows` × `columns` invocations: each column makes an output (or four
// neighboring ones), its rows share the terms, and join their results as a tree in workgroup
// memory.
//
//   innermost reduced:  y[o] = Σ over the terms, rows neighbors along the run          vectors of four along the run where it has them
//   innermost kept:     y[o, k…] = Σ over the terms, columns neighbors along k         vectors of four outputs where there are
//
// Where outputs are few and terms are many the terms are cut into parts, and a second stage reduces
// these. The cut depends on the shape alone, and nothing is added in an order that could differ
// between runs. An invocation adds its terms in blocks (sums.ts).

import { inputName, mergeAxes, type Axis } from "@conv/compiler";
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
import { coordinates, emitExprs, indent, literal, mainOf, offsetOf } from "../../wgsl/wgsl.ts";
import { loopInBlocks } from "../gemm/sums.ts";
import { eachElement, finishOf, streamTime, type Finish } from "./each.ts";

/**
 * What is reduced, if it is not an input: an expression over inputs i0, i1, …, which broadcast to
 * `shape`.
 */
export interface Terms {
  readonly of: Expr;
  readonly shape: readonly number[];
}

type Join = (a: string, b: string) => string;

/**
 * How two results of a type become one. A sum begins with 0, a maximum with a term, which comes
 * twice then.
 */
const joins: Readonly<Record<string, (T: string) => Join>> = {
  [sumOp.name]: () => (a, b) => `${a} + ${b}`,
  [maxOp.name]: (T) => (a, b) => `max_of${T === "f32" ? "" : 4}(${a}, ${b})`,
};

const THREADS = 256;
/** Terms that an invocation should have at least before others share its work. */
const TERMS = 8;
/**
 * Workgroups that keep a GPU busy. On a software adapter waiting for each other takes longer than
 * the work: no terms are shared.
 */
const BUSY = 1024;
/** Invocations that keep a software adapter busy, and invocations of its workgroups. */
const SOFTWARE = { busy: 64, threads: 16 };

const served: ReadonlySet<unknown> = new Set([sumOp, maxOp]);

export const reduce: GpuKernel = {
  name: "reduce",
  fuses: ["channel", "column", "element"],
  unsupportedReason: (task) => (served.has(task.op) ? null : "sums and finds maxima"),
  estimate: streamTime,
  build(task, caps) {
    const {
      axes,
      of = inputName(0),
      shape = task.inputs[0].shape,
    } = task.params as ReduceParams & Partial<Terms>;
    const finish = finishOf(task);
    // Over an empty axis: only sums, and they are 0.
    if (sizeOf(shape) === 0)
      return {
        scratch: [],
        stages: [
          eachElement(task, { label: "sum of nothing", reads: [], body: "", result: "0.0f" }),
        ],
      };
    const rows = shape.map((size, a) => (axes.includes(a) ? 1 : size));
    const inputs = task.inputs.slice(0, task.inputs.length - finish.reads.length);
    return reduction(task.op.name, { of, shape }, inputs, rows, finish, caps);
  },
};

/** Σ x over these axes, times `scale`: means of whole planes. */
export function scaledSum(task: Task, axes: readonly number[], scale: number, caps: Caps): GpuCode {
  const { shape } = task.inputs[0];
  const finish = finishOf(task);
  const scaled: Finish = {
    ...finish,
    store: (result, element) => finish.store(`(${result}) * ${literal(scale)}`, element),
  };
  const rows = shape.map((size, a) => (axes.includes(a) ? 1 : size));
  return reduction(sumOp.name, { of: inputName(0), shape }, [task.inputs[0]], rows, scaled, caps);
}

/** Axes by kind; `strides` are of y, then of the inputs. */
interface Walk {
  readonly kept: readonly Axis[];
  readonly reduced: readonly Axis[];
  readonly outputs: number;
  readonly terms: number;
  /** Whether the innermost axis is reduced. */
  readonly runs: boolean;
  /** Neighbors that are read as one vector: terms of a run, or outputs. */
  readonly width: 1 | 4;
  /**
   * How each input is read: where it stands still along the innermost axis, one element at a time.
   */
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
  const volume = (list: readonly Axis[]) => sizeOf(list.map(({ size }) => size));
  return {
    kept,
    reduced,
    outputs: volume(kept),
    terms: volume(reduced),
    runs: reduces(inner),
    width,
    widths,
  };
}

function reduction(
  name: string,
  { of, shape }: Terms,
  inputs: readonly Spec[],
  rows: readonly number[],
  finish: Finish,
  caps: Caps,
): GpuCode {
  const walk = walkOf(shape, rows, inputs);
  const places = inputs.map((_, i) => inputAt(i));
  const table = tableOf(walk, caps);
  const wanted = caps.software
    ? SOFTWARE.busy / walk.outputs
    : BUSY / Math.ceil(walk.outputs / table.columns);
  const parts = Math.min(Math.ceil(wanted), Math.floor(walk.terms / (table.rows * TERMS * 4)));
  if (parts <= 1)
    return {
      scratch: [],
      stages: [
        stage(name, of, walk, { ...table, parts: 1 }, { from: places, into: outputAt(0), finish }),
      ],
    };
  const partial: Spec = { dtype: "float32", shape: [parts, sizeOf(rows)] };
  const between: Finish = {
    functions: "",
    reads: [],
    store: (result, element) => `y[${element}] = ${result};`,
  };
  const joined = walkOf(partial.shape, [1, sizeOf(rows)], [partial]);
  return {
    scratch: [{ bytes: sizeOf(partial.shape) * 4 }],
    stages: [
      stage(
        name,
        of,
        walk,
        { ...table, parts },
        { from: places, into: scratchAt(0), finish: between },
      ),
      stage(
        name,
        inputName(0),
        joined,
        { ...tableOf(joined, caps), parts: 1 },
        { from: [scratchAt(0)], into: outputAt(0), finish },
      ),
    ],
  };
}

/**
 * The invocations of a workgroup, and into how many parts the terms are cut: each column makes a
 * part of an output.
 */
interface Table {
  readonly rows: number;
  readonly columns: number;
  readonly parts: number;
}

/**
 * Powers of two: as many rows as leave each invocation some terms, the rest columns, but not more
 * than there are outputs.
 */
function tableOf({ runs, outputs, terms }: Walk, { software }: Caps): Omit<Table, "parts"> {
  const up = (v: number) => 2 ** Math.ceil(Math.log2(v));
  if (software) return { rows: 1, columns: SOFTWARE.threads };
  if (runs) {
    const rows = Math.min(THREADS, up(Math.ceil(terms / TERMS)));
    return { rows, columns: Math.min(up(outputs), Math.max(1, 64 / rows)) };
  }
  const columns = Math.min(64, up(outputs));
  return { rows: Math.min(THREADS / columns, up(Math.ceil(terms / TERMS))), columns };
}

interface Ends {
  readonly from: readonly Place[];
  readonly into: Place;
  readonly finish: Finish;
}

function stage(
  name: string,
  of: Expr,
  walk: Walk,
  { rows, columns, parts }: Table,
  { from, into, finish }: Ends,
): GpuStage {
  const { kept, outputs, terms, runs, width, widths } = walk;
  const items = outputs * parts;
  const groups = Math.ceil(items / columns);
  const length = Math.ceil(terms / parts);
  const T = width === 4 ? "vec4f" : "f32";
  const join = joins[name](T);
  // Rows are neighbors where the run is, columns where outputs are.
  const [row, column] =
    rows === 1 || columns === 1
      ? [rows === 1 ? "0u" : "lane", columns === 1 ? "0u" : "lane"]
      : runs
        ? [`lane % ${rows}u`, `lane / ${rows}u`]
        : [`lane / ${columns}u`, `lane % ${columns}u`];
  // Columns beyond the last do what it does, and store nothing.
  const cell = items % columns ? `min(item, ${items - 1}u)` : "item";
  const writes = [
    ...(rows > 1 ? ["row == 0u"] : []),
    ...(items % columns ? [`item < ${items}u`] : []),
  ].join(" && ");
  const lanes = width === 1 ? ["total"] : ["x", "y", "z", "w"].map((lane) => `total.${lane}`);
  const stores =
    runs || width === 1
      ? finish.store(lanes.reduce(joins[name]("f32")), "item")
      : lanes
          .map((lane, i) => `{\n${indent(finish.store(lane, `item * 4u + ${i}u`))}\n}`)
          .join("\n");
  const bases = widths.map((_, i) => `base${i}`);
  const load = `load(${bases.join(", ")}, `;
  const body = [
    `let row = ${row};`,
    `let item = ${columns === 1 ? "group" : `group * ${columns}u + ${column}`};`,
    ...(parts === 1 ? [] : [`let part = ${cell} / ${outputs}u;`]),
    located(parts === 1 ? cell : `${cell} % ${outputs}u`, kept, "k"),
    ...bases.map((base, i) => `let ${base} = ${offsetIn(kept, i, "k")};`),
    ...(parts === 1
      ? []
      : [`let begin = part * ${length}u;`, `let end = min(begin + ${length}u, ${terms}u);`]),
    ...accumulation(
      name,
      T,
      load,
      rows,
      length,
      parts === 1 ? ["row", `${terms}u`] : ["begin + row", "end"],
    ),
    ...(rows > 1 ? tree(join, rows, runs ? 1 : columns) : []),
    writes ? `if (${writes}) {\n${indent(stores)}\n}` : stores,
  ];
  const code = [
    finish.functions,
    loader(of, walk, T),
    rows > 1 ? `var<workgroup> totals: array<${T}, ${rows * columns}>;` : "",
    mainOf(groups, rows * columns, body.filter(Boolean).join("\n")),
  ];
  return {
    label: parts > 1 ? `${name} of each of ${parts} parts` : name,
    reads: [
      ...from.map((place, i) => ({ name: inputName(i), place, width: widths[i] })),
      ...finish.reads,
    ],
    writes: [{ name: "y", place: into }],
    code: code.filter(Boolean).join("\n\n"),
    groups,
  };
}

/** `load(base0, …, term)`: the expression, of the inputs from their bases on. */
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

/** Leaves in `total` what this invocation's row has of the terms, `length` of them for all rows. */
function accumulation(
  name: string,
  T: string,
  load: string,
  rows: number,
  length: number,
  [begin, end]: readonly [string, string],
): string[] {
  const [isSum, loop] = [
    name === sumOp.name,
    { at: "term", from: begin, to: end, step: rows, T, sums: ["total"] },
  ];
  const body = ([total]: readonly string[]) =>
    `${total} = ${joins[name](T)(total, `${load}term)`)};`;
  return [
    // Of a maximum a row that has no term takes the last of all.
    `var total = ${isSum ? `${T}()` : `${load}min(${begin}, ${end} - 1u))`};`,
    loopInBlocks({ ...loop, turns: isSum ? Math.ceil(length / rows) : 1, body }),
  ];
}

/**
 * Joins the totals of the rows of a column, `apart` invocations from each other, into that of row
 * 0.
 */
const tree = (join: Join, rows: number, apart: number): string[] => [
  "totals[lane] = total;",
  "workgroupBarrier();",
  `for (var half = ${rows / 2}u; half > 0u; half /= 2u) {`,
  `  if (row < half) { totals[lane] = ${join("totals[lane]", `totals[lane + half${apart === 1 ? "" : ` * ${apart}u`}]`)}; }`,
  "  workgroupBarrier();",
  "}",
  "total = totals[lane];",
];
