// Softmax along every axis, over one class and many, far from zero, and of nothing.

import { spec, sizeOf, type HostArray } from "@conv/tensor";
import { opCase, type OpCase } from "./cases/case.ts";
import { mapped, rule, SUM_FACTOR, ULP, type Rule, type Rules } from "./cases/rounding.ts";
import { broadcastStrides } from "./reduce.ts";
import { logSoftmaxOp, softmaxOp, type SoftmaxParams } from "./softmax.ts";
import { walk } from "./walk.ts";

const shapes: [number[], number][] = [
  [[10], 0],
  [[5, 1], 1],
  [[7, 10], 1],
  [[7, 10], 0],
  [[2, 3, 5], 0],
  [[2, 3, 5], 1],
  [[2, 3, 5], 2],
  [[2, 21, 3, 3], 1],
  [[3, 257], 1],
  [[64, 10], 1],
  [[0, 10], 1],
  [[3, 0], 1],
];

export const cases: readonly OpCase[] = [softmaxOp, logSoftmaxOp].flatMap((op) => [
  ...shapes.map(([shape, axis]) =>
    opCase(`${shape.join("×")} along ${axis}`, op, { axis }, [spec(shape)]),
  ),
  opCase("far out", op, { axis: 1 }, [spec([5, 9])], { data: "wide", gradient: false }),
  opCase("at ties", op, { axis: 1 }, [spec([5, 9])], { data: "ties" }),
]);

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
const softmaxError: Rule<SoftmaxParams> = ({ params }, [x], y) => {
  const { axis } = params;
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

const logSoftmaxError: Rule<SoftmaxParams> = ({ params }, [x], y) => {
  const { axis } = params;
  const carried = x.error && largestAlong(axis, x.error);
  const own = 2 + Math.log(y.shape[axis]);
  return mapped(y, (v, i) =>
    Number.isFinite(v)
      ? (carried ? 2 * carried[i] : 0) + SUM_FACTOR * ULP * (own + Math.abs(v))
      : 0,
  );
};

export const rules: Rules = [rule(softmaxOp, softmaxError), rule(logSoftmaxOp, logSoftmaxError)];
