// Losses, made of other ops; each is a scalar.

import { formatShape, sameShape, scope, shapeError, type Arg } from "@conv/tensor";
import { oneHot } from "./create.ts";
import { mul, square, sub } from "./elementwise.ts";
import { mean } from "./mean.ts";
import { sum } from "./reduce.ts";
import { logSoftmax } from "./softmax.ts";

/**
 * −1/n Σ log softmax(logits)[i, labels[i]]: logits (n, classes), labels int32 (n) → scalar. A label out of range adds
 * nothing to the sum but counts in n. Throws ShapeError.
 */
export function crossEntropy<T extends Arg>(logits: T, labels: T): T {
  const [n, classes] = logits.shape;
  if (logits.shape.length !== 2 || !sameShape(labels.shape, [n]))
    throw shapeError("crossEntropy", `logits ${formatShape(logits.shape)} and labels ${formatShape(labels.shape)} are not n×classes and n`);
  if (n === 0) throw shapeError("crossEntropy", "the batch is empty", 0);
  return scope(() => mul(sum(mul(logSoftmax(logits, 1), oneHot(labels, classes))), -1 / n));
}

/** Mean of (y − target)² over all elements; equal shapes. Throws ShapeError. */
export function squaredError<T extends Arg>(y: T, target: T): T {
  if (!sameShape(y.shape, target.shape))
    throw shapeError("squaredError", `output has shape ${formatShape(y.shape)}, target has ${formatShape(target.shape)}`);
  return scope(() => mean(square(sub(y, target))));
}
