// Regularizers: penalties of a parameter, or of the output of a layer, that are added to the
// training loss, as Keras defines them.

import { abs, add, affine, square, sum } from "@conv/ops";
import { checkOptions } from "@conv/tensor";
import type { Regularizer } from "../layers/layer.ts";

/** factor · Σ|w|. The gradient at 0 is 0. Default factor: 0.01. */
export const l1 =
  (factor = 0.01): Regularizer =>
  (w) =>
    affine(sum(abs(w)), factor);

/** factor · Σw². With `sgd` equivalent to a weight decay of 2·factor. Default factor: 0.01. */
export const l2 =
  (factor = 0.01): Regularizer =>
  (w) =>
    affine(sum(square(w)), factor);

/** l1 · Σ|w| + l2 · Σw². Both factors default to 0. */
export function l1l2(factors: {
  readonly l1?: number | undefined;
  readonly l2?: number | undefined;
}): Regularizer {
  checkOptions("l1l2", factors, "l1 l2");
  return (w) => add(l1(factors.l1 ?? 0)(w), l2(factors.l2 ?? 0)(w));
}
