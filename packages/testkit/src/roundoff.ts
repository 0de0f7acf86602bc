// The judge: a graph's values in float64 by the references of its ops, and for every element how
// far a float32 back end may be from it. For sums of products that is c·ULP·Σ|x·w|, a bound that
// grows with what was summed; errors of earlier nodes are carried on.

import {
  argMax,
  avgPoolGradOp,
  avgPoolOp,
  broadcastStrides,
  broadcastToOp,
  concatOp,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  eachWindow,
  fullOp,
  isElementwise,
  logSoftmaxOp,
  matmulOp,
  maxOp,
  maxPoolGradOp,
  maxPoolIndicesOp,
  maxPoolOp,
  maxPoolPickOp,
  resampleOp,
  oneHotOp,
  padOp,
  scatterAddOp,
  randomOp,
  reshapeOp,
  sliceOp,
  softmaxOp,
  sumOp,
  gatherOp,
  castOp,
  compareOp,
  transposeOp,
  variable,
  walk,
  type ConvGeometry,
  type ElementwiseParams,
  type ResampleParams,
  type PoolGeometry,
  whereOp,
  type CastParams,
} from "@conv/ops";
import {
  arrayOf,
  constantsOf,
  hostArray,
  sizeOf,
  type Graph,
  type HostArray,
  type Node,
  type Step,
  type Value,
} from "@conv/tensor";
import { LARGEST, ULP, uncertain } from "./roundoff-expr.ts";

/**
 * Values and the error each may carry (NaN: anything goes); `error` is null where all are exact.
 */
export interface Bounded {
  readonly value: HostArray;
  readonly error: HostArray | null;
}

/**
 * The c of c·ULP·Σ|x·w| for every kernel that sums: in order, in blocks or as a tree, fused or not.
 */
export const SUM_FACTOR = 16;

/**
 * Runs a graph on exact inputs; one result per output. Throws for an op that has no rule here.
 * Convolutions that one of `steps` computes are held to the bound that the step states.
 */
export function evaluateBounded(
  graph: Graph,
  inputs: readonly HostArray[],
  steps: readonly Step[] = [],
): Bounded[] {
  const known = new Map<Value, Bounded>();
  graph.inputs.forEach((v, i) => known.set(v, { value: inputs[i], error: null }));
  for (const v of constantsOf(graph)) known.set(v, { value: arrayOf(v), error: null });
  for (const node of graph.nodes) {
    const from = node.inputs.map((v) => known.get(v)!);
    const [value] = node.op.reference(
      from.map((x) => x.value),
      node.params,
    );
    known.set(node.outputs[0], { value, error: errorOf(node, from, value, steps) });
  }
  return graph.outputs.map((v) => known.get(v)!);
}

type Rule = (
  node: Node,
  inputs: readonly Bounded[],
  y: HostArray,
  steps: readonly Step[],
) => HostArray | null;

function errorOf(
  node: Node,
  inputs: readonly Bounded[],
  y: HostArray,
  steps: readonly Step[],
): HostArray | null {
  if (isElementwise(node)) return elementwiseError(node.params, inputs, y);
  const rule = rules.get(node.op);
  if (!rule)
    throw new Error(`testkit: no rule for the error of op ${node.op.name}; add one in roundoff.ts`);
  return rule(node, inputs, y, steps);
}

const apply = (node: Node, inputs: readonly HostArray[]): HostArray =>
  node.op.reference(inputs, node.params)[0];
const mapped = (x: HostArray, f: (v: number, i: number) => number): HostArray => ({
  ...x,
  data: x.data.map(f),
});
const errorsOf = ({ value, error }: Bounded): HostArray => error ?? hostArray(value);

/**
 * What takes part in rounding: NaN and infinities do not, for a result that sees one is NaN or
 * infinite exactly.
 */
const finite = (x: HostArray): HostArray =>
  mapped(x, (v) => (Number.isFinite(v) ? Math.abs(v) : 0));
const errorsIn = ({ value, error }: Bounded): HostArray | null =>
  error && mapped(error, (e, i) => (Number.isFinite(value.data[i]) || Number.isNaN(e) ? e : 0));
/**
 * The error of a sum of terms of this magnitude. Partial sums may overflow where it is beyond
 * float32: then nothing is known. Small terms may be lost.
 */
const sumError = (magnitude: number): number =>
  magnitude > LARGEST
    ? NaN
    : SUM_FACTOR * ULP * magnitude + (magnitude > 0 && magnitude < 2 ** -100 ? 2 ** -126 : 0);

const exact: Rule = () => null;

/** Elements are moved or chosen: so are their errors. */
const moved: Rule = (node, inputs) =>
  inputs.every((x) => x.error === null) ? null : apply(node, inputs.map(errorsOf));

/** A conversion of exact numbers is exact. A step to another number may follow an error. */
const rounded: Rule = ({ params }, [x]) => {
  const { dtype } = params as CastParams;
  if (!x.error) return null;
  const wide = dtype === "float32";
  return mapped(x.error, (e) => (wide || e === 0 ? e : NaN));
};

/** What errors of the operands may decide otherwise is unknown. */
const decided: Rule = (_, [a, b]) => {
  if (!a.error && !b.error) return null;
  const [da, db] = [errorsOf(a).data, errorsOf(b).data];
  return mapped(a.value, (v, i) =>
    Math.abs(v - b.value.data[i]) > da[i] + db[i] || da[i] + db[i] === 0 ? 0 : NaN,
  );
};

/** The error of the operand that is chosen. */
const chosen: Rule = (node, [condition, a, b]) =>
  a.error || b.error ? apply(node, [condition.value, errorsOf(a), errorsOf(b)]) : null;

/** y is a sum of inputs with weights ≥ 0. */
const summed: Rule = (node, [x]) => {
  const magnitude = apply(node, [finite(x.value)]);
  const error = errorsIn(x);
  const carried = error && apply(node, [error]);
  return mapped(magnitude, (m, i) => sumError(m) + (carried?.data[i] ?? 0));
};

/**
 * y is a sum of products of elements of two inputs: |Δy| ≤ Σ |Δa·b| + |a·Δb| + |Δa·Δb|, and the
 * sum's own c·ULP·Σ|a·b|.
 */
const products: Rule = (node, [a, b]) => {
  const [absA, absB] = [finite(a.value), finite(b.value)];
  const [errorA, errorB] = [errorsIn(a), errorsIn(b)];
  const magnitude = apply(node, [absA, absB]);
  const fromA =
    errorA && apply(node, [errorA, errorB ? mapped(absB, (v, i) => v + errorB.data[i]) : absB]);
  const fromB = errorB && apply(node, [absA, errorB]);
  return mapped(magnitude, (m, i) => sumError(m) + (fromA?.data[i] ?? 0) + (fromB?.data[i] ?? 0));
};

/**
 * Devices may multiply by the zeros around the input. So NaN may come of a weight (for the weight's
 * gradient: an output) that is not finite and meets them: where an element sees fewer of these than
 * its channels have.
 */
function meetingPadding(
  node: Node,
  inputs: readonly Bounded[],
  error: HostArray | null,
): HostArray | null {
  const at = node.op === convGradWeightOp ? 0 : 1;
  const bad = mapped(inputs[at].value, (v) => Number(!Number.isFinite(v)));
  if (node.op === matmulOp || !error || !bad.data.includes(1)) return error;
  const seen = apply(
    node,
    inputs.map((x, i) => (i === at ? bad : mapped(x.value, () => 1))),
  );
  // The same of planes that are one element each, with the number that a plane has.
  const one = (x: HostArray) =>
    hostArray({ ...x, shape: x.shape.map((size, axis) => (axis < 2 ? size : 1)) });
  const [counts, ones] = [one(bad), mapped(one(inputs[1 - at].value), () => 1)];
  const size = sizeOf(bad.shape.slice(2));
  bad.data.forEach((v, i) => (counts.data[Math.floor(i / size)] += v));
  const g = node.params as ConvGeometry;
  const [zeros, single] = [0, 1].map((v) => g.input.map(() => v));
  const small = {
    ...g,
    input: single,
    kernel: single,
    output: single,
    stride: single,
    dilation: single,
    padLo: zeros,
    padHi: zeros,
  };
  const [all] = node.op.reference(at === 0 ? [counts, ones] : [ones, counts], small);
  return mapped(error, (e, i) =>
    seen.data[i] < all.data[Math.floor((i * all.data.length) / error.data.length)] ? NaN : e,
  );
}

/**
 * Products whose step states a larger bound, over the largest of each plane instead of every
 * element.
 */
const convolved: Rule = (node, inputs, y, steps) => {
  const plain = meetingPadding(node, inputs, products(node, inputs, y, steps));
  const params = JSON.stringify(node.params);
  const roundoff = Math.max(
    ...steps
      .filter((s) => s.nodes.some((n) => n.op === node.op && JSON.stringify(n.params) === params))
      .map((s) => s.roundoff ?? 0),
  );
  if (!plain || !(roundoff > 0)) return plain;
  // The weight has no planes; both operands of its gradient have.
  const [a, b] = inputs.map((x, i) =>
    i === 0 || node.op === convGradWeightOp ? planeMax(finite(x.value)) : finite(x.value),
  );
  const magnitude = planeMax(apply(node, [a, b]));
  return mapped(plain, (e, i) => e + roundoff * ULP * magnitude.data[i]);
};

/** Every element replaced by the largest of its plane: of all with the same first two indices. */
function planeMax(x: HostArray): HostArray {
  const size = sizeOf(x.shape.slice(2));
  const result = hostArray(x);
  for (let at = 0; at < x.data.length; at += size)
    result.data.fill(
      x.data.subarray(at, at + size).reduce((a, b) => Math.max(a, b), 0),
      at,
      at + size,
    );
  return result;
}

/** For each element the largest along the axis. */
function largestAlong(axis: number, of: HostArray): Float64Array {
  const rows = of.shape.with(axis, 1);
  const strides = [broadcastStrides(rows, of.shape)];
  const largest = new Float64Array(sizeOf(rows)).fill(-Infinity);
  walk(of.shape, strides, (at, [row]) => (largest[row] = Math.max(largest[row], of.data[at])));
  const result = new Float64Array(of.data.length);
  walk(of.shape, strides, (at, [row]) => (result[at] = largest[row]));
  return result;
}

/**
 * exp of what is off by 2Δ is off by the factor e^{2Δ}; exp's own error grows with the distance
 * from the maximum.
 */
const softmaxError: Rule = ({ params }, [x], y) => {
  const { axis } = params as { axis: number };
  const top = largestAlong(axis, x.value);
  const carried = x.error && largestAlong(axis, x.error);
  return mapped(y, (v, i) =>
    v > 0
      ? v *
          ((carried ? Math.expm1(2 * carried[i]) : 0) +
            SUM_FACTOR * ULP * (2 + top[i] - x.value.data[i])) +
        (v < 2 ** -126 ? 2 ** -126 : 0)
      : 0,
  );
};

const logSoftmaxError: Rule = ({ params }, [x], y) => {
  const { axis } = params as { axis: number };
  const carried = x.error && largestAlong(axis, x.error);
  const own = 2 + Math.log(y.shape[axis]);
  return mapped(y, (v, i) =>
    Number.isFinite(v)
      ? (carried ? 2 * carried[i] : 0) + SUM_FACTOR * ULP * (own + Math.abs(v))
      : 0,
  );
};

/**
 * Inputs of a window that may be its maximum: one, unless others are as near as the errors allow.
 * Exact ties go to the first, NaN to the last.
 */
function winners({ value, error }: Bounded, seen: readonly number[]): number[] {
  const first = argMax(value.data, seen);
  if (!error) return [first];
  const least = Math.max(...seen.map((i) => value.data[i] - error.data[i]));
  const near = seen.filter((i) => !(value.data[i] + error.data[i] < least));
  return near.every((i) => error.data[i] === 0) ? [first] : near;
}

const maxPoolError: Rule = ({ params }, [x], y) => {
  if (!x.error) return null;
  const error = hostArray(y);
  eachWindow(
    params as PoolGeometry,
    (o, seen) => (error.data[o] = Math.max(...seen.map((i) => x.error!.data[i]))),
  );
  return error;
};

const maxPoolGradError: Rule = ({ params }, [x, dy], dx) => {
  const error = hostArray(dx);
  const [hits, magnitude, size] = [hostArray(dx), hostArray(dx), finite(dy.value)];
  eachWindow(params as PoolGeometry, (o, seen) => {
    const near = winners(x, seen);
    for (const i of near) {
      error.data[i] += (dy.error?.data[o] ?? 0) + (near.length > 1 ? size.data[o] : 0);
      magnitude.data[i] += size.data[o];
      hits.data[i]++;
    }
  });
  return mapped(error, (e, i) => e + (hits.data[i] > 1 ? sumError(magnitude.data[i]) : 0));
};

/** A sum with weights of any sign; where nothing but 1 weighs one element, it is moved. */
const mixError: Rule = (node, [x]) => {
  const { rows, ...params } = node.params as ResampleParams;
  const positive = {
    ...node,
    params: { ...params, rows: rows.map((row) => row.map(([i, w]) => [i, Math.abs(w)])) },
  };
  if (rows.every((row) => row.length === 0 || (row.length === 1 && row[0][1] === 1)))
    return x.error && apply(node, [x.error]);
  const error = errorsIn(x);
  const carried = error && apply(positive, [error]);
  return mapped(
    apply(positive, [finite(x.value)]),
    (m, i) => sumError(m) + (carried?.data[i] ?? 0),
  );
};

const apart = (a: number, b: number): number => (Object.is(a, b) || a === b ? 0 : Math.abs(a - b));

const maxPoolPickError: Rule = ({ params }, [x, v], y) => {
  const error = hostArray(y);
  eachWindow(params as PoolGeometry, (o, seen) => {
    error.data[o] = Math.max(
      ...winners(x, seen).map((i) => apart(v.value.data[i], y.data[o]) + (v.error?.data[i] ?? 0)),
    );
  });
  return error;
};

const rules: ReadonlyMap<unknown, Rule> = new Map<unknown, Rule>([
  [convOp, convolved],
  [convGradInputOp, convolved],
  [convGradWeightOp, convolved],
  [matmulOp, convolved],
  [sumOp, summed],
  [avgPoolOp, summed],
  [avgPoolGradOp, summed],
  [maxPoolOp, maxPoolError],
  [maxPoolGradOp, maxPoolGradError],
  [maxPoolPickOp, maxPoolPickError],
  [maxPoolIndicesOp, exact],
  [resampleOp, mixError],
  [gatherOp, (node, [x, index]) => x.error && apply(node, [x.error, index.value])],
  [
    scatterAddOp,
    (node, [x, index]) => {
      const by = (of: HostArray) => apply(node, [of, index.value]);
      const [count, magnitude, carried] = [
        by(mapped(x.value, () => 1)),
        by(finite(x.value)),
        x.error && by(x.error),
      ];
      return mapped(
        magnitude,
        (m, i) => (count.data[i] > 1 ? sumError(m) : 0) + (carried?.data[i] ?? 0),
      );
    },
  ],
  [castOp, rounded],
  [compareOp, decided],
  [whereOp, chosen],
  [maxOp, moved],
  [broadcastToOp, moved],
  [reshapeOp, moved],
  [transposeOp, moved],
  [padOp, moved],
  [sliceOp, moved],
  [concatOp, moved],
  [fullOp, (_, __, y) => mapped(y, (v) => Math.abs(v - Math.fround(v)))],
  [randomOp, exact],
  [oneHotOp, exact],
  [softmaxOp, softmaxError],
  [logSoftmaxOp, logSoftmaxError],
]);

function elementwiseError(
  params: ElementwiseParams,
  inputs: readonly Bounded[],
  y: HostArray,
): HostArray {
  const at = uncertain(
    params.f,
    inputs.map((_, i) => variable(i)),
  );
  const error = hostArray(y);
  walk(
    y.shape,
    inputs.map((x) => broadcastStrides(x.value.shape, y.shape)),
    (i, offsets) => {
      const [, e] = at(
        inputs.map((x, j) => x.value.data[offsets[j]]),
        inputs.map((x, j) => x.error?.data[offsets[j]] ?? 0),
      );
      error.data[i] = e;
    },
  );
  return error;
}
