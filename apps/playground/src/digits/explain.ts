// Where one value comes from: the window it looks at, the weights, every product, the sum, bias and activation, computed
// again in float64 from the definitions in @conv/ops and compared with the value the network computed in float32.

import {
  eachTerm,
  eachWindow,
  evaluator,
  broadcastStrides,
  matmulGeometry,
  variable,
  wShape,
  yShape,
  type AvgPoolGeometry,
  type ConvGeometry,
  type MatmulParams,
  type PoolGeometry,
} from "@conv/ops";
import { stridesOf, type Node, type Value } from "@conv/tensor";
import { unshaped, type Known, type Stage, type Tail } from "./stages.ts";

/** One value that the window holds. */
export interface Term {
  /** Place in the source, as a flat index; null in the padding. */
  readonly at: number | null;
  readonly x: number;
  /** Absent for a maximum. */
  readonly weight: number | null;
  readonly product: number;
}

/** Terms that belong together: one input channel's window, `columns` wide. */
export interface Group {
  readonly channel: number;
  readonly columns: number;
  readonly terms: readonly Term[];
  readonly sum: number;
}

/** What is done to the sum: the op's name, the operand if it has one, and what comes out. */
export interface Step {
  readonly op: string;
  readonly operand: number | null;
  readonly result: number;
}

export interface Explanation {
  readonly kind: "sum" | "max" | "none";
  readonly groups: readonly Group[];
  /** Sum of all products, or the largest value of the window. */
  readonly total: number;
  /** Index of the winner among all terms, for a maximum. */
  readonly winner: number | null;
  readonly steps: readonly Step[];
  /** The value computed again, and the value shown. */
  readonly result: number;
  readonly shown: number;
  /** The most by which float32 may differ: n·2⁻²⁴·Σ|x·w|, whatever the order of summation. */
  readonly tolerance: number;
  /** Flat indices of the source that the window covers. */
  readonly window: ReadonlySet<number>;
}

const grouped = (terms: readonly Term[], size: number, columns: number, first = 0): Group[] =>
  Array.from({ length: Math.ceil(terms.length / size) }, (_, c) => {
    const own = terms.slice(c * size, (c + 1) * size);
    return { channel: first + c, columns, terms: own, sum: own.reduce((sum, t) => sum + t.product, 0) };
  });

/** Explains value `index` of a stage's output (flat, batch 1). */
export function explain(stage: Stage, index: number, values: Known): Explanation {
  const get = (v: Value): Float32Array => {
    const data = values.get(unshaped(v));
    if (!data) throw new Error(`explain: a value of ${stage.name} is not known`);
    return data;
  };
  const groups = windowOf(stage, index, get);
  const terms = groups.flatMap((g) => g.terms);
  const isMax = stage.kind === "maxPool";
  let winner: number | null = null;
  if (isMax) terms.forEach((t, i) => (winner === null || t.x > terms[winner].x) && (winner = i));
  const total = winner === null ? groups.reduce((sum, g) => sum + g.sum, 0) : terms[winner].x;
  const steps: Step[] = [];
  let value = total;
  let size = isMax ? Math.abs(total) : terms.reduce((sum, t) => sum + Math.abs(t.product), 0);
  for (const n of stage.tail) {
    const step = applied(n, index, value, get);
    steps.push(step);
    size += Math.abs(step.operand ?? 0);
    value = step.result;
  }
  const shown = get(stage.output)[index];
  return {
    kind: stage.kind === "other" ? "none" : isMax ? "max" : "sum",
    groups,
    total,
    winner,
    steps,
    result: value,
    shown,
    tolerance: (terms.length + 8) * 2 ** -24 * Math.max(size, Math.abs(value)),
    window: new Set(terms.flatMap((t) => (t.at === null ? [] : [t.at]))),
  };
}

function windowOf({ kind, main, source }: Stage, index: number, get: (v: Value) => Float32Array): Group[] {
  if (kind === "other") return [];
  const x = get(source);
  if (kind === "conv") return convWindow(main as Node<ConvGeometry>, index, x, get(main.inputs[1]));
  if (kind === "matmul") return rowWindow(main as Node<MatmulParams>, index, x, get(main.inputs[1]));
  return poolWindow(kind, main as Node<AvgPoolGeometry>, index, x);
}

/** The convolution with its padding made cells of the input, so that the window is whole at the edge. */
function convWindow({ params: g }: Node<ConvGeometry>, index: number, x: Float32Array, w: Float32Array): Group[] {
  const padded = { ...g, input: g.input.map((v, a) => v + g.padLo[a] + g.padHi[a]), padLo: g.padLo.map(() => 0), padHi: g.padHi.map(() => 0) };
  const [inner, outer] = [stridesOf([g.ic, ...g.input]), stridesOf([g.ic, ...padded.input])];
  const real = (at: number): number | null => {
    const place = outer.map((stride, axis) => Math.floor(at / stride) % (axis === 0 ? g.ic : padded.input[axis - 1]));
    const own = place.map((v, axis) => (axis === 0 ? v : v - g.padLo[axis - 1]));
    return own.some((v, axis) => axis > 0 && (v < 0 || v >= g.input[axis - 1])) ? null : own.reduce((sum, v, axis) => sum + v * inner[axis], 0);
  };
  // Only the channel that the value is of: the geometry of one filter.
  const space = yShape(g).slice(2).reduce((a, b) => a * b, 1);
  const filter = Math.floor(index / space);
  const perFilter = wShape(g).slice(1).reduce((a, b) => a * b, 1);
  const first = Math.floor(filter / (g.oc / g.groups)) * (g.ic / g.groups);
  const one = { ...padded, groups: 1, ic: g.ic / g.groups, oc: 1 };
  const terms: Term[] = [];
  eachTerm(one, (xi, wi, yi) => {
    if (yi !== index - filter * space) return;
    const at = real(xi + first * outer[0]);
    const [value, weight] = [at === null ? 0 : x[at], w[filter * perFilter + wi]];
    terms.push({ at, x: value, weight, product: value * weight });
  });
  return grouped(terms, perFilter / (g.ic / g.groups), g.kernel[g.kernel.length - 1], first);
}

function rowWindow({ params, inputs: [a, b] }: Node<MatmulParams>, index: number, x: Float32Array, w: Float32Array): Group[] {
  const { k, n, transposeB } = matmulGeometry(a.spec, b.spec, params);
  const terms = Array.from({ length: k }, (_, i): Term => {
    const weight = transposeB ? w[index * k + i] : w[i * n + index];
    return { at: i, x: x[i], weight, product: x[i] * weight };
  });
  return grouped(terms, k, 0);
}

function poolWindow(kind: "maxPool" | "avgPool", { params: g }: Node<AvgPoolGeometry | PoolGeometry>, index: number, x: Float32Array): Group[] {
  let seen: readonly number[] = [];
  eachWindow(g, (y, xs) => {
    if (y === index) seen = xs;
  });
  const size = g.kernel.reduce((a, b) => a * b, 1);
  const weight = kind === "maxPool" ? null : 1 / ("countIncludePad" in g && g.countIncludePad ? size : seen.length);
  const terms = seen.map((at): Term => ({ at, x: x[at], weight, product: x[at] * (weight ?? 1) }));
  const channel = Math.floor(index / g.output.reduce((a, b) => a * b, 1));
  return grouped(terms, Math.max(1, terms.length), g.kernel[g.kernel.length - 1], channel);
}

/** One elementwise node applied to a value of the stage; its other operands are read where broadcasting reads them. */
function applied({ node: n, chain }: Tail, index: number, value: number, get: (v: Value) => Float32Array): Step {
  const shape = n.outputs[0].shape;
  const own = stridesOf(shape);
  let operand: number | null = null;
  const inputs = n.inputs.map((v, i) => {
    if (i === chain) return value;
    const strides = broadcastStrides(v.shape, shape);
    operand = get(v)[own.reduce((sum, s, axis) => sum + (Math.floor(index / s) % shape[axis]) * strides[axis], 0)];
    return operand;
  });
  return { op: n.op.name, operand, result: evaluator(n.params.f, n.inputs.map((_, i) => variable(i)))(inputs) };
}
