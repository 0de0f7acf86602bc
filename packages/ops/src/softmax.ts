// Softmax and its logarithm along one axis, computed from x − max x so that nothing overflows.

import {
  apply,
  hostArray,
  sizeOf,
  type Arg,
  type HostArray,
  type Op,
  type Spec,
} from "@conv/tensor";
import { mustBeAxis, mustBeFloat, resolveAxis, streamCost } from "./check.ts";
import { map } from "./elementwise.ts";
import { broadcastStrides, sum } from "./reduce.ts";
import { walk } from "./walk.ts";

export interface SoftmaxParams {
  readonly axis: number;
}

function softmaxSpec(op: string, x: Spec, axis: number): Spec {
  mustBeFloat(op, "input", x);
  mustBeAxis(op, axis, x.shape.length);
  return x;
}

/** x − max, and log Σ exp(x − max), along the axis. */
function normalize(
  x: HostArray,
  axis: number,
  each: (at: number, shifted: number, logSum: number) => void,
): void {
  const rows = x.shape.with(axis, 1);
  const strides = [broadcastStrides(rows, x.shape)];
  const largest = new Float64Array(sizeOf(rows)).fill(-Infinity);
  const total = new Float64Array(sizeOf(rows));
  walk(x.shape, strides, (at, [row]) => (largest[row] = Math.max(largest[row], x.data[at])));
  walk(x.shape, strides, (at, [row]) => (total[row] += Math.exp(x.data[at] - largest[row])));
  walk(x.shape, strides, (at, [row]) => each(at, x.data[at] - largest[row], Math.log(total[row])));
}

/**
 * Per row of c elements: c − 1 comparisons, c subtractions, c exponentials, c − 1 additions, then
 * `last`.
 */
const rowCost = (x: Spec, axis: number, last: (c: number) => number) => {
  const c = x.shape[axis];
  return streamCost([x], x, c === 0 ? 0 : (sizeOf(x.shape) / c) * (4 * c - 2 + last(c)));
};

/** y = exp(x) / Σ exp(x) along `axis`. */
export const softmaxOp: Op<SoftmaxParams> = {
  name: "softmax",
  infer: ([x], { axis }) => [softmaxSpec("softmax", x, axis)],
  reference([x], { axis }) {
    const y = hostArray(x);
    normalize(x, axis, (at, shifted, logSum) => (y.data[at] = Math.exp(shifted - logSum)));
    return [y];
  },
  // dx = y · (ct − Σ ct·y)
  vjp({ params: { axis }, outputs: [y] }, [ct]) {
    const dot = sum(map("mul", ["mul", "a", "b"], [ct, y]), axis, true);
    return [map("softmaxGrad", ["mul", "b", ["sub", "a", "c"]], [ct, y, dot])];
  },
  cost: ([x], { axis }) => rowCost(x, axis, (c) => c),
};

/** y = x − log Σ exp(x) along `axis`. */
export const logSoftmaxOp: Op<SoftmaxParams> = {
  name: "logSoftmax",
  infer: ([x], { axis }) => [softmaxSpec("logSoftmax", x, axis)],
  reference([x], { axis }) {
    const y = hostArray(x);
    normalize(x, axis, (at, shifted, logSum) => (y.data[at] = shifted - logSum));
    return [y];
  },
  // dx = ct − exp(y) · Σ ct
  vjp: ({ params: { axis }, outputs: [y] }, [ct]) => [
    map("logSoftmaxGrad", ["sub", "a", ["mul", ["exp", "b"], "c"]], [ct, y, sum(ct, axis, true)]),
  ],
  cost: ([x], { axis }) => rowCost(x, axis, (c) => c + 1),
};

/** Probabilities along an axis, by default 1, that of channels and classes: exp(x) / Σ exp(x). */
export const softmax = <T extends Arg>(x: T, axis = 1): T =>
  apply(softmaxOp, { axis: resolveAxis("softmax", axis, x) }, [x])[0];

/**
 * Logarithms of the probabilities that {@link softmax} gives along the same axis, accurate also
 * where those vanish.
 */
export const logSoftmax = <T extends Arg>(x: T, axis = 1): T =>
  apply(logSoftmaxOp, { axis: resolveAxis("logSoftmax", axis, x) }, [x])[0];
