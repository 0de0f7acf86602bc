// The largest element over chosen axes.

import { hostArray, message, shapeError, type Arg, type Op } from "@conv/tensor";
import { map } from "./elementwise.ts";
import {
  broadcastStrides,
  reduce,
  reduceCost,
  reduceSpec,
  sum,
  type Axes,
  type ReduceParams,
} from "./reduce.ts";
import { walk } from "./walk.ts";

/**
 * y = max x over `axes`, which stay with size 1 and may not be empty. Ties share the gradient
 * equally, as in PyTorch's amax.
 */
export const maxOp: Op<ReduceParams> = {
  name: "max",
  infer([x], { axes }) {
    const y = reduceSpec("max", x, axes);
    for (const a of axes)
      if (x.shape[a] === 0)
        throw shapeError(
          "max",
          "axis-empty",
          message`there is no maximum over ${{ size: 0 }} elements`,
          a,
        );
    return [y];
  },
  reference([x], { axes }) {
    const y = hostArray(reduceSpec("max", x, axes));
    y.data.fill(-Infinity);
    walk(
      x.shape,
      [broadcastStrides(y.shape, x.shape)],
      (at, [to]) => (y.data[to] = Math.max(y.data[to], x.data[at])),
    );
    return [y];
  },
  // dx = ct · [x = y] / (how many x = y); no x exceeds y, so x = y where not y > x.
  vjp({ inputs: [x], params: { axes }, outputs: [y] }, [ct]) {
    const wins = map("maxWins", ["sub", 1, ["gt", "b", "a"]], [x, y]);
    return [map("maxGrad", ["div", ["mul", "a", "b"], "c"], [ct, wins, sum(wins, axes, true)])];
  },
  cost: ([x], { axes }) => reduceCost(x, reduceSpec("max", x, axes)),
  simplify: ([x], { axes }) => (axes.every((a) => x.shape[a] === 1) ? x : null),
};

/** Largest element over axes (default: all, giving a scalar). */
export const max = <T extends Arg>(x: T, axes?: Axes, keepDims = false): T =>
  reduce(maxOp, x, axes, keepDims);
