// Where one value comes from: the window it looks at, the weights, every product, the sum, bias and activation, computed
// again in float64 from the definitions in @conv/ops and compared with the value the network computed in float32.

import {
  broadcastStrides,
  eachTerm,
  eachWindow,
  evaluator,
  isElementwise,
  matmulGeometry,
  variable,
  wShape,
  type ConvGeometry,
  type MatmulParams,
  type ReduceParams,
} from "@conv/ops";
import { sizeOf, stridesOf, type Node, type Value } from "@conv/tensor";
import { broadcastIndex, coordinates, origin, type Place } from "./routes.ts";
import { mainOf, type Known, type Main, type Stage } from "./stages.ts";

/** One value that the window holds. */
export interface Term {
  /** Place in the source, as a flat index; null in the padding. */
  readonly at: number | null;
  readonly x: number;
  /** Absent for a maximum. */
  readonly weight: number | null;
  /** What is added up: x·weight, or (x − weight)² in a sum of squared distances. */
  readonly product: number;
}

/** Terms that belong together: one input channel's window, `columns` wide; 0 columns for a list without shape. */
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

export type Kind = "products" | "maximum" | "squares";

export interface Explanation {
  readonly kind: Kind;
  readonly groups: readonly Group[];
  /** Sum of all products, or the largest value of the window. */
  readonly total: number;
  /** Index of the winner among the terms of the only group, for a maximum. */
  readonly winner: number | null;
  readonly steps: readonly Step[];
  /** The value computed again, and the value shown. */
  readonly result: number;
  readonly shown: number;
  /** The most by which float32 may differ: n·2⁻²⁴·Σ|terms| bounds every order of summation, n counting all operations. */
  readonly tolerance: number;
  /** Flat indices of the source that the window covers. */
  readonly window: ReadonlySet<number>;
  /** Which part of which weight was used, as flat indices. */
  readonly filter: { readonly weight: Value; readonly first: number; readonly size: number } | null;
}

type Get = (value: Value) => Float32Array | undefined;

/** Explains value `index` of a stage's output (flat, batch 1); null where it is no sum or maximum of a window. */
export function explain(stage: Stage, index: number, values: Known): Explanation | null {
  const get: Get = (v) => values.get(v);
  const shown = get(stage.output)?.[index];
  // Back through what is done one value at a time, to the node that looks at a window.
  const tail: { node: Node; chain: number; place: Place }[] = [];
  let place: Place = { value: stage.output, index };
  let main: Main | null;
  for (;;) {
    place = origin(place);
    main = mainOf(place.value.node);
    if (main || place.value === stage.source || !place.value.node) break;
    const n: Node = place.value.node;
    const chain = n.inputs.findIndex((v) => !isConstant(v, get, stage.source));
    if (chain < 0 || !isElementwise(n)) return null;
    tail.unshift({ node: n, chain, place });
    place = { value: n.inputs[chain], index: broadcastIndex(place.index, n.inputs[chain].shape, place.value.shape) };
  }
  if (!main || shown === undefined) return null;
  const { groups, filter } = windowOf(main, place.index, get, stage);
  const terms = groups.flatMap((g) => g.terms);
  let winner: number | null = null;
  if (main.kind === "maxPool") terms.forEach((t, i) => (winner === null || t.x > terms[winner].x) && (winner = i));
  const total = winner === null ? groups.reduce((sum, g) => sum + g.sum, 0) : terms[winner].x;
  const steps: Step[] = [];
  let result = total;
  let size = terms.reduce((sum, t) => sum + Math.abs(t.product), 0);
  for (const { node, chain, place: at } of tail) {
    let operand: number | null = null;
    const inputs = node.inputs.map((v, i) => (i === chain ? result : (operand = constantAt(v, at, get))));
    result = valueOf(node, inputs);
    size = Math.max(size + Math.abs(operand ?? 0), Math.abs(result));
    steps.push({ op: node.op.name, operand, result });
  }
  return {
    kind: main.kind === "maxPool" ? "maximum" : main.kind === "sum" ? "squares" : "products",
    groups,
    total,
    winner,
    steps,
    result,
    shown,
    tolerance: (terms.length + 4 * tail.length + 4) * 2 ** -24 * size,
    window: new Set(terms.flatMap((t) => (t.at === null ? [] : [t.at]))),
    filter,
  };
}

/** Whether a value depends on parameters alone: following it back meets only parameters. */
function isConstant(value: Value, get: Get, source: Value): boolean {
  const at = origin({ value, index: 0 }).value;
  return at !== source && at.node === null && get(at) !== undefined;
}

const constantAt = (value: Value, { value: y, index }: Place, get: Get): number => {
  const at = origin({ value, index: broadcastIndex(index, value.shape, y.shape) });
  return get(at.value)?.[at.index] ?? Number.NaN;
};

function valueOf(n: Node, inputs: readonly number[]): number {
  if (!isElementwise(n)) throw new Error(`explain: ${n.op.name} is not elementwise`);
  return evaluator(
    n.params.f,
    n.inputs.map((_, i) => variable(i)),
  )(inputs);
}

interface Window {
  readonly groups: Group[];
  readonly filter: Explanation["filter"];
}

function windowOf(main: Main, index: number, get: Get, stage: Stage): Window {
  const read = (i: number) => {
    const at = origin({ value: main.node.inputs[0], index: i });
    return { at: at.value === stage.source ? at.index : null, x: get(at.value)?.[at.index] ?? Number.NaN };
  };
  const plane = stage.sourceMaps.height * stage.sourceMaps.width;
  const group = (terms: readonly Term[], columns: number): Group => {
    const place = terms.find((t) => t.at !== null)?.at ?? 0;
    return { channel: Math.floor(place / plane), columns, terms, sum: terms.reduce((sum, t) => sum + t.product, 0) };
  };
  switch (main.kind) {
    case "conv":
      return convWindow(main.node, index, read, get, group);
    case "matmul":
      return rowWindow(main.node, index, read, get, group);
    case "sum":
      return { groups: [group(squares(main.node, index, get, stage.source), 0)], filter: null };
    default:
      return { groups: [group(poolTerms(main, index, read), main.node.params.kernel.at(-1) ?? 1)], filter: null };
  }
}

type Read = (i: number) => { at: number | null; x: number };
type MakeGroup = (terms: readonly Term[], columns: number) => Group;

/** The convolution with its padding made cells of the input, so that the window is whole at the edge; for one filter only. */
function convWindow({ params: g, inputs }: Node<ConvGeometry>, index: number, read: Read, get: Get, group: MakeGroup): Window {
  const weight = origin({ value: inputs[1], index: 0 }).value;
  const w = get(weight) ?? new Float32Array();
  const space = sizeOf(g.output);
  const filter = Math.floor(index / space);
  const [icg, taps] = [g.ic / g.groups, sizeOf(g.kernel)];
  const firstWeight = filter * sizeOf(wShape(g).slice(1));
  const firstChannel = Math.floor(filter / (g.oc / g.groups)) * icg;
  const input = g.input.map((v, a) => v + g.padLo[a] + g.padHi[a]);
  const none = input.map(() => 0);
  const one: ConvGeometry = { ...g, groups: 1, ic: icg, oc: 1, input, padLo: none, padHi: none };
  const strides = stridesOf([g.ic, ...g.input]);
  const terms: Term[] = [];
  eachTerm(one, (xi, wi, yi) => {
    if (yi !== index - filter * space) return;
    const [c, ...at] = coordinates(xi, [icg, ...input]);
    const own = at.map((v, a) => v - g.padLo[a]);
    const isPadding = own.some((v, a) => v < 0 || v >= g.input[a]);
    const from = isPadding ? { at: null, x: 0 } : read([firstChannel + c, ...own].reduce((sum, v, a) => sum + v * strides[a], 0));
    const value = w[firstWeight + wi];
    terms.push({ ...from, weight: value, product: from.x * value });
  });
  const groups = Array.from({ length: icg }, (_, c) => group(terms.slice(c * taps, (c + 1) * taps), g.kernel.at(-1) ?? 1));
  return { groups, filter: { weight, first: firstWeight, size: icg * taps } };
}

function rowWindow({ params, inputs: [a, b] }: Node<MatmulParams>, index: number, read: Read, get: Get, group: MakeGroup): Window {
  const { k, n, transposeB } = matmulGeometry(a.spec, b.spec, params);
  const weight = origin({ value: b, index: 0 }).value;
  const w = get(weight) ?? new Float32Array();
  const terms = Array.from({ length: k }, (_, i): Term => {
    const from = read(i);
    const value = transposeB ? w[index * k + i] : w[i * n + index];
    return { ...from, weight: value, product: from.x * value };
  });
  return { groups: [group(terms, 0)], filter: transposeB ? { weight, first: index * k, size: k } : null };
}

function poolTerms({ kind, node: { params: g } }: Extract<Main, { kind: "maxPool" | "avgPool" }>, index: number, read: Read): Term[] {
  let seen: readonly number[] = [];
  eachWindow(g, (y, xs) => {
    if (y === index) seen = xs;
  });
  if (kind === "maxPool") return seen.map(read).map(({ at, x }) => ({ at, x, weight: null, product: x }));
  const weight = 1 / ("countIncludePad" in g && g.countIncludePad ? sizeOf(g.kernel) : seen.length);
  return seen.map(read).map(({ at, x }) => ({ at, x, weight, product: x * weight }));
}

/** The terms of a sum, each computed from one value of the source and one constant: (x − c)². */
function squares({ inputs: [summed], outputs: [y] }: Node<ReduceParams>, index: number, get: Get, source: Value): Term[] {
  const strides = broadcastStrides(y.shape, summed.shape);
  const terms: Term[] = [];
  for (let i = 0; i < sizeOf(summed.shape); i++) {
    const to = coordinates(i, summed.shape).reduce((sum, v, a) => sum + v * strides[a], 0);
    if (to !== index) continue;
    const leaves: { at: number | null; x: number; weight: number | null } = { at: null, x: 0, weight: null };
    const evaluate = (place: Place): number => {
      const { value, index: at } = origin(place);
      const n = value.node;
      if (value === source || n === null) {
        const v = get(value)?.[at] ?? Number.NaN;
        if (value === source) Object.assign(leaves, { at, x: v });
        else leaves.weight = v;
        return v;
      }
      return valueOf(
        n,
        n.inputs.map((v) => evaluate({ value: v, index: broadcastIndex(at, v.shape, value.shape) })),
      );
    };
    const product = evaluate({ value: summed, index: i });
    terms.push({ ...leaves, product });
  }
  return terms;
}
