// Convolution as mathematics defines it: with a flipped kernel, over every overlap ("full"). It is
// commutative and associative, a∗b = b∗a and (a∗b)∗c = a∗(b∗c); the cross-correlation of networks
// is not.

import { flip as reversed, walk } from "@conv/ops";
import {
  evaluate,
  hostArray,
  type HostArray,
  message,
  shapeError,
  spec,
  stridesOf,
  trace,
  type Value,
} from "@conv/tensor";

/**
 * (a∗b)[n] = Σ_k a[k]·b[n − k] over all axes, in float64. Along each axis, sizes a and b give the
 * size a + b − 1. Throws ShapeError if the numbers of axes differ or a size is 0.
 */
export function convolveFull(a: HostArray, b: HostArray): HostArray {
  if (a.shape.length !== b.shape.length)
    throw shapeError(
      "convolveFull",
      "rank",
      message`a has ${{ a: a.shape.length }} axes, b has ${{ b: b.shape.length }}`,
    );
  a.shape.forEach((size, axis) => {
    if (size === 0 || b.shape[axis] === 0)
      throw shapeError(
        "convolveFull",
        "empty",
        message`sizes ${{ a: size }} and ${{ b: b.shape[axis] }} must not be 0`,
        axis,
      );
  });
  const y = hostArray(spec(a.shape.map((size, axis) => size + b.shape[axis] - 1)));
  const steps = stridesOf(y.shape);
  walk(a.shape, [steps], (i, [at]) =>
    walk(b.shape, [steps], (j, [beside]) => (y.data[at + beside] += a.data[i] * b.data[j])),
  );
  return y;
}

/**
 * Reverses an array along all axes from `startAxis` on (default: 0, all axes). With 2 it flips the
 * kernels of a weight (oc, ic, …kernel), which turns cross-correlation into convolution.
 */
export function flip(x: HostArray, startAxis = 0): HostArray {
  const axes = [...x.shape.keys()].slice(startAxis);
  return evaluate(
    trace((v: Value) => reversed(v, axes), [spec(x.shape, x.dtype)]),
    [x],
  )[0];
}
