// The mean: a sum and a scale.

import { formatShape, message, scope, shapeError, type Arg } from "@conv/tensor";
import { mul } from "./elementwise.ts";
import { resolveAxes, sum, type Axes } from "./reduce.ts";

/**
 * Mean over axes (default: all, giving a scalar). Throws ShapeError where there is nothing to
 * average.
 */
export function mean<T extends Arg>(x: T, axes?: Axes, keepDims = false): T {
  const count = resolveAxes("mean", x, axes).reduce((n, a) => n * x.shape[a], 1);
  if (count === 0)
    throw shapeError(
      "mean",
      "empty",
      message`there is nothing to average in shape ${{ shape: formatShape(x.shape) }}`,
    );
  return scope(() => mul(sum(x, axes, keepDims), 1 / count));
}
