// Gradients of a scalar: reverse mode of @conv/tensor with the ops of this package.

import { formatShape, kindOf, message, shapeError, sizeOf, Value, vjp } from "@conv/tensor";
import { full } from "./create.ts";
import { add } from "./elementwise.ts";

/**
 * ∂y/∂v for each v of `wrt`, in order, as graph: gradients of gradients work. y must be float32
 * with one element; where y does not depend on v the gradient is zeros. Throws ShapeError.
 */
export function grad<const W extends readonly Value[]>(
  y: Value,
  wrt: W,
): { -readonly [K in keyof W]: Value } {
  for (const v of [y, ...wrt])
    if (!(v instanceof Value))
      throw shapeError(
        "grad",
        "not-traced",
        message`takes traced values, got ${{ got: kindOf(v) }}; call it inside a function given to jit or trace`,
      );
  if (sizeOf(y.shape) !== 1)
    throw shapeError(
      "grad",
      "not-scalar",
      message`y has shape ${{ shape: formatShape(y.shape) }}, must have one element`,
    );
  for (const [i, v] of [y, ...wrt].entries())
    if (v.dtype !== "float32")
      throw shapeError(
        "grad",
        "dtype",
        message`${{ what: i === 0 ? "y" : `value ${i - 1}` }} is ${{ dtype: v.dtype }}, must be float32`,
      );
  const gradients = vjp([y], [full(y.shape, 1)], wrt, add).map(
    (ct, i) => ct ?? full(wrt[i].shape, 0),
  );
  return gradients as { -readonly [K in keyof W]: Value }; // `map` forgets how many there are
}
