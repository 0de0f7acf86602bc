// Convolution as mathematics has it: the kernel flipped, every overlap counted ("wide" or "full").
// It commutes and associates, a∗b = b∗a and (a∗b)∗c = a∗(b∗c), which the cross-correlation of
// networks does not.

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
 * (a∗b)[n] = Σ_k a[k]·b[n − k] over any axes, in float64: sizes a and b give a + b − 1. Throws
 * ShapeError unless both have as many axes and none is empty.
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
 * The array read backwards along all axes from `startAxis` on: with 2, a weight (oc, ic, …kernel)
 * whose kernels are flipped, which turns cross-correlation into convolution.
 */
export function flip(x: HostArray, startAxis = 0): HostArray {
  const axes = [...x.shape.keys()].slice(startAxis);
  return evaluate(
    trace((v: Value) => reversed(v, axes), [spec(x.shape, x.dtype)]),
    [x],
  )[0];
}
