// How one value is computed: the window of its stage, the weights, every product, the sum, and each
// step after it (bias, batch norm, activation), recomputed in float64 from the definitions in
// @conv/ops. The result is compared with the float32 value of the network, within a bound on
// rounding errors.

import {
  broadcastStrides,
  eachTerm,
  eachWindow,
  isElementwise,
  matmulGeometry,
  wShape,
  type ConvGeometry,
  type MatmulParams,
} from "@conv/ops";
import { sizeOf, stridesOf, type Node, type Value } from "@conv/tensor";
import { applyTo, isSquare, stepsOf, UNIT, type Bounded, type Step } from "./elementwise.ts";
import { broadcastIndex, coordinates, origin, type Place } from "./routes.ts";
import { mainOf, mapsOf, type Known, type Main, type Stage } from "./stages.ts";

/** One value of the window. */
export interface Term {
  /** Flat index in the source of the group; null in the padding. */
  readonly at: number | null;
  readonly x: number;
  /** The factor of x, or the center of its square; null where there is none. */
  readonly weight: number | null;
  /** The summand: x·weight, (x − weight)², x, or exp(x − max). */
  readonly product: number;
}

/**
 * The terms of the window in one channel of one source, `columns` wide; 0 columns for a list
 * without shape.
 */
export interface Group {
  readonly source: Value;
  readonly channel: number;
  readonly columns: number;
  readonly terms: readonly Term[];
  readonly sum: number;
}

/**
 * The operation on the window. `products`: Σ x·w. `mean`: Σ x/n. `maximum`: the largest x.
 * `squares`: Σ (x − c)². `values`: Σ x. `join`: a function of values at the same position, such as
 * their sum. `softmax`: exp(x − max) of one, to be divided by the sum of all.
 */
export type Kind = "products" | "mean" | "maximum" | "squares" | "values" | "join" | "softmax";

export interface Explanation {
  readonly kind: Kind;
  readonly groups: readonly Group[];
  /** The result of that operation, before the steps. */
  readonly total: number;
  /**
   * Index of the largest value among the terms of the only group, or of the exponentiated one.
   */
  readonly winner: number | null;
  readonly steps: readonly Step[];
  /** The recomputed value, and the value of the network. */
  readonly result: number;
  readonly shown: number;
  /**
   * Bound on the float32 rounding error of the result. For sums it starts with n·2⁻²⁴·Σ|terms|,
   * which holds for every order of summation.
   */
  readonly tolerance: number;
  /** Flat indices that the window covers in each source. */
  readonly windows: ReadonlyMap<Value, ReadonlySet<number>>;
  /** The weights that were used, as flat indices. */
  readonly used: { readonly weight: Value; readonly first: number; readonly size: number } | null;
}

/** Whether the two values agree within the bound; false for NaN. */
export const agrees = ({ result, shown, tolerance }: Explanation): boolean =>
  Math.abs(result - shown) <= tolerance;

/** The value before the steps, and its terms. */
interface Base {
  readonly kind: Kind;
  readonly groups: readonly Group[];
  readonly total: Bounded;
  readonly winner?: number | null;
  readonly used?: Explanation["used"];
  /** Steps that belong to it. */
  readonly steps?: readonly Step[];
}

/**
 * Explains value `index` of the output of a stage (flat, batch 1); null where no formula here
 * describes the stage.
 */
export function explain(stage: Stage, index: number, values: Known): Explanation | null {
  const shown = values.get(stage.output)?.[index];
  if (shown === undefined) return null;
  const reader = readerOf(stage, values);
  // Backwards through elementwise nodes, to the node that reads a window or joins values.
  const tail: { node: Node; chain: number; place: Place }[] = [];
  let place: Place = origin({ value: stage.output, index });
  let base: Base | null = null;
  while (!base) {
    const n = place.value.node;
    const main = mainOf(n);
    if (!n || (!main && !isElementwise(n))) return null;
    const flowing = n.inputs.flatMap((v, i) => (reader.isConstant(v) ? [] : [i]));
    const next = flowing.length === 1 ? origin(inputAt(place, flowing[0])) : null;
    if (!main && next && !reader.isSource(next.value)) {
      tail.unshift({ node: n, chain: flowing[0], place });
      place = next;
    } else {
      base = main ? windowOf(main, place.index, reader) : joinOf(n, place, reader);
      if (!base) return null;
    }
  }
  let result = base.total;
  const steps: Step[] = [...(base.steps ?? [])];
  for (const { node, chain, place: at } of tail) {
    if (!isElementwise(node)) return null;
    const done = stepsOf(node, chain, at, result, reader.constant);
    steps.push(...done.steps);
    result = done.result;
  }
  const windows = new Map<Value, Set<number>>();
  for (const { source, terms } of base.groups) {
    const seen = windows.get(source) ?? new Set();
    windows.set(source, seen);
    for (const { at } of terms) if (at !== null) seen.add(at);
  }
  return {
    kind: base.kind,
    groups: base.groups,
    total:
      base.kind === "softmax" ? base.groups[0].terms[base.winner ?? 0].product : base.total.value,
    winner: base.winner ?? null,
    steps,
    result: result.value,
    shown,
    tolerance: result.error + UNIT * Math.abs(result.value),
    windows,
    used: base.used ?? null,
  };
}

/** The element of input `i` that a value of the node depends on. */
function inputAt({ value, index }: Place, i: number): Place {
  const from = value.node?.inputs[i];
  if (!from) throw new Error("explain: the value has no such input");
  return { value: from, index: broadcastIndex(index, from.shape, value.shape) };
}

/** Access to the values of a stage: its sources, and constants computed from parameters. */
interface Reader {
  isSource(value: Value): boolean;
  isConstant(value: Value): boolean;
  constant(place: Place): number;
  /** The element of a source at a place, and the source. */
  read(place: Place): { source: Value; at: number; x: number };
  weights(value: Value): { weight: Value; data: Float32Array };
}

function readerOf(stage: Stage, values: Known): Reader {
  const sources = new Set(stage.sources);
  const constants = new Map<Value, boolean>();
  const isConstant = (value: Value): boolean => {
    if (sources.has(value)) return false;
    const found = constants.get(value);
    if (found !== undefined) return found;
    const { node } = value;
    const so = node ? node.inputs.every(isConstant) : values.has(value);
    constants.set(value, so);
    return so;
  };
  const constant = (place: Place): number => {
    const { value, index } = origin(place);
    const n = value.node;
    if (n === null) return values.get(value)?.[index] ?? Number.NaN;
    if (!isElementwise(n)) return Number.NaN;
    return applyTo(
      n.params.f,
      n.inputs.map((_, i) => ({ value: constant(inputAt({ value, index }, i)), error: 0 })),
    ).value;
  };
  return {
    isSource: (value) => sources.has(value),
    isConstant,
    constant,
    read(place) {
      const { value, index } = origin(place);
      return { source: value, at: index, x: values.get(value)?.[index] ?? Number.NaN };
    },
    weights(value) {
      const weight = origin({ value, index: 0 }).value;
      return { weight, data: values.get(weight) ?? new Float32Array() };
    },
  };
}

function groupOf(source: Value, terms: readonly Term[], columns: number): Group {
  const { height, width } = mapsOf(source.shape);
  const first = terms.find((t) => t.at !== null)?.at ?? 0;
  return {
    source,
    channel: Math.floor(first / (height * width)),
    columns,
    terms,
    sum: terms.reduce((sum, t) => sum + t.product, 0),
  };
}

/**
 * The sum of all terms. Every order of summation in float32 is within n·u·Σ|terms| of it, including
 * the rounding of products.
 */
function summed(groups: readonly Group[]): Bounded {
  const terms = groups.flatMap((g) => g.terms);
  const size = terms.reduce((sum, t) => sum + Math.abs(t.product), 0);
  return {
    value: groups.reduce((sum, g) => sum + g.sum, 0),
    error: (terms.length + 2) * UNIT * size,
  };
}

function windowOf(main: Main, index: number, reader: Reader): Base | null {
  switch (main.kind) {
    case "conv":
      return convWindow(main.node, index, reader);
    case "matmul":
      return rowWindow(main.node, index, reader);
    case "sum":
      return sumWindow(main.node, index, reader);
    case "softmax":
      return softmaxWindow(main, index, reader);
    default:
      return poolWindow(main, index, reader);
  }
}

/**
 * The window of a convolution for one output channel, with its padding as cells, so that windows at
 * the edge are complete.
 */
function convWindow(
  { params: g, inputs: [x, w] }: Node<ConvGeometry>,
  index: number,
  reader: Reader,
): Base {
  const { weight, data } = reader.weights(w);
  const space = sizeOf(g.output);
  const oc = Math.floor(index / space);
  const [icg, taps] = [g.ic / g.groups, sizeOf(g.kernel)];
  const firstWeight = oc * sizeOf(wShape(g).slice(1));
  const firstChannel = Math.floor(oc / (g.oc / g.groups)) * icg;
  const strides = stridesOf([g.ic, ...g.input]);
  // The window of this output: a convolution of the same kernel with a single output, which starts
  // where the window starts.
  const start = coordinates(index - oc * space, g.output).map(
    (o, a) => o * g.stride[a] - g.padLo[a],
  );
  const span = g.kernel.map((k, a) => (k - 1) * g.dilation[a] + 1);
  const zero = span.map(() => 0);
  const one: ConvGeometry = {
    ...g,
    groups: 1,
    ic: icg,
    oc: 1,
    input: span,
    output: span.map(() => 1),
    padLo: zero,
    padHi: zero,
  };
  const terms: Term[] = [];
  const sources: Value[] = [];
  eachTerm(one, (xi, wi) => {
    const [c, ...at] = coordinates(xi, [icg, ...span]);
    const own = at.map((v, a) => v + start[a]);
    const isPadding = own.some((v, a) => v < 0 || v >= g.input[a]);
    const place = {
      value: x,
      index: [firstChannel + c, ...own].reduce((sum, v, a) => sum + v * strides[a], 0),
    };
    const from = isPadding ? null : reader.read(place);
    if (from) sources[c] ??= from.source;
    const value = data[firstWeight + wi];
    terms.push({
      at: from?.at ?? null,
      x: from?.x ?? 0,
      weight: value,
      product: (from?.x ?? 0) * value,
    });
  });
  const groups = Array.from({ length: icg }, (_, c) =>
    groupOf(
      sources[c] ?? origin({ value: x, index: 0 }).value,
      terms.slice(c * taps, (c + 1) * taps),
      g.kernel.at(-1) ?? 1,
    ),
  );
  return {
    kind: "products",
    groups,
    total: summed(groups),
    used: { weight, first: firstWeight, size: icg * taps },
  };
}

function rowWindow(
  { params, inputs: [a, b] }: Node<MatmulParams>,
  index: number,
  reader: Reader,
): Base {
  const { k, n, transposeB } = matmulGeometry(a.spec, b.spec, params);
  const { weight, data } = reader.weights(b);
  const { source } = reader.read({ value: a, index: 0 });
  const terms = Array.from({ length: k }, (_, i): Term => {
    const { at, x } = reader.read({ value: a, index: i });
    const value = transposeB ? data[index * k + i] : data[i * n + index];
    return { at, x, weight: value, product: x * value };
  });
  const groups = [groupOf(source, terms, 0)];
  return {
    kind: "products",
    groups,
    total: summed(groups),
    used: transposeB ? { weight, first: index * k, size: k } : null,
  };
}

function poolWindow(
  { kind, node: { params: g, inputs } }: Extract<Main, { kind: "maxPool" | "avgPool" }>,
  index: number,
  reader: Reader,
): Base {
  let seen: readonly number[] = [];
  eachWindow(g, (y, xs) => {
    if (y === index) seen = xs;
  });
  const columns = g.kernel.at(-1) ?? 1;
  const { source } = reader.read({ value: inputs[0], index: seen[0] });
  const read = seen.map((i) => reader.read({ value: inputs[0], index: i }));
  if (kind === "maxPool") {
    const groups = [
      groupOf(
        source,
        read.map(({ at, x }) => ({ at, x, weight: null, product: x })),
        columns,
      ),
    ];
    const winner = read.reduce((best, { x }, i) => (x > read[best].x ? i : best), 0);
    return { kind: "maximum", groups, total: { value: read[winner].x, error: 0 }, winner };
  }
  const weight = 1 / ("countIncludePad" in g && g.countIncludePad ? sizeOf(g.kernel) : seen.length);
  const groups = [
    groupOf(
      source,
      read.map(({ at, x }) => ({ at, x, weight, product: x * weight })),
      columns,
    ),
  ];
  return { kind: "mean", groups, total: summed(groups) };
}

/** A sum over an axis: of (x − c)² with constants c, or of values. */
function sumWindow(
  { inputs: [terms], outputs: [y] }: Node,
  index: number,
  reader: Reader,
): Base | null {
  const strides = broadcastStrides(y.shape, terms.shape);
  const found: Term[] = [];
  let source: Value | null = null;
  let squares = false;
  for (let i = 0; i < sizeOf(terms.shape); i++) {
    if (coordinates(i, terms.shape).reduce((sum, v, a) => sum + v * strides[a], 0) !== index)
      continue;
    const place = origin({ value: terms, index: i });
    if (reader.isSource(place.value)) {
      const { source: from, at, x } = reader.read(place);
      source ??= from;
      found.push({ at, x, weight: null, product: x });
      continue;
    }
    const square = place.value.node;
    const inner = square && isSquare(square) ? origin(inputAt(place, 0)) : null;
    const difference = inner?.value.node;
    if (!inner || !difference || !isElementwise(difference) || difference.inputs.length !== 2)
      return null;
    const { source: from, at, x } = reader.read(inputAt(inner, 0));
    if (!reader.isSource(from) || !reader.isConstant(difference.inputs[1])) return null;
    const weight = reader.constant(inputAt(inner, 1));
    if (
      applyTo(
        difference.params.f,
        [x, weight].map((value) => ({ value, error: 0 })),
      ).value !==
      x - weight
    )
      return null;
    source ??= from;
    squares = true;
    found.push({ at, x, weight, product: (x - weight) ** 2 });
  }
  if (!source) return null;
  const groups = [groupOf(source, found, 0)];
  const { value, error } = summed(groups);
  // The rounding of a difference counts twice in its square.
  return {
    kind: squares ? "squares" : "values",
    groups,
    total: { value, error: squares ? error + 3 * UNIT * value : error },
  };
}

/** exp(xₖ − max) / Σ exp(xᵢ − max) of a vector. */
function softmaxWindow(
  { node: { inputs } }: Extract<Main, { kind: "softmax" }>,
  index: number,
  reader: Reader,
): Base {
  const read = Array.from({ length: sizeOf(inputs[0].shape) }, (_, i) =>
    reader.read({ value: inputs[0], index: i }),
  );
  const top = read.reduce((most, { x }) => Math.max(most, x), -Infinity);
  const terms = read.map(({ at, x }): Term => ({
    at,
    x,
    weight: null,
    product: Math.exp(x - top),
  }));
  const groups = [groupOf(read[0].source, terms, 0)];
  const [own, sum] = [terms[index].product, groups[0].sum];
  // exp has the relative error of its argument's absolute one, which is a rounding of x and of the
  // maximum.
  const relative = 16 * UNIT * (1 + Math.abs(read[index].x) + Math.abs(top) + terms.length);
  return {
    kind: "softmax",
    groups,
    // Below the least normal float32, a device may give 0.
    total: { value: own / sum, error: (relative * own) / sum + 2 ** -126 },
    winner: index,
    steps: [{ sign: "div", what: "expSum", operand: sum, result: own / sum }],
  };
}

/**
 * A function of values at the same position, which the page shows as an expression: a + b, or
 * relu(x).
 */
function joinOf(n: Node, place: Place, reader: Reader): Base | null {
  if (!isElementwise(n)) return null;
  const operands: Bounded[] = [];
  const groups: Group[] = [];
  for (let i = 0; i < n.inputs.length; i++) {
    const at = inputAt(place, i);
    if (reader.isConstant(n.inputs[i])) operands.push({ value: reader.constant(at), error: 0 });
    else {
      const { source, at: index, x } = reader.read(at);
      if (!reader.isSource(source)) return null;
      operands.push({ value: x, error: 0 });
      groups.push(groupOf(source, [{ at: index, x, weight: null, product: x }], 0));
    }
  }
  if (groups.length > 1) return { kind: "join", groups, total: applyTo(n.params.f, operands) };
  // One value of a source: the step is the formula.
  const chain = n.inputs.findIndex((v) => !reader.isConstant(v));
  const { steps, result } = stepsOf(n, chain, place, operands[chain], reader.constant);
  return { kind: "join", groups, total: result, steps };
}
