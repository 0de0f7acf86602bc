// Losses as training takes them: a mean, and the weight that it is over, so that whatever was
// batched gives the value of one large batch.

import { crossEntropy, full, lossTerms, map, reshape, type LossTerms } from "@conv/ops";
import { formatShape, message, shapeError, sizeOf, Value } from "@conv/tensor";

/**
 * Loss of a batch, from outputs and labels (int32, one a sample, unless the data set says
 * otherwise): the sum over what was measured, and the weight of that (samples, labels, class
 * weights), of one element each. One element alone is the mean of a loss of @conv/ops, whose sum
 * and weight are known, or else is taken as the mean over the samples of the batch.
 */
export type Loss = (output: Value, labels: Value) => LossTerms | Value;

/** A mean, and what it is over, of one element each. */
export interface Measured {
  readonly mean: Value;
  readonly weight: Value;
}

/**
 * What a loss says of a batch; the mean is 0 where nothing counts. Throws ShapeError unless all
 * that it gives has one element.
 */
export function measure(loss: Loss = crossEntropy, output: Value, labels: Value): Measured {
  const given = loss(output, labels);
  const terms = given instanceof Value ? lossTerms(given) : given;
  const scalar = (what: string, value: unknown): Value => {
    if (!(value instanceof Value))
      throw shapeError(
        "train",
        "loss-result",
        message`the loss returned nothing for ${{ part: what }}; it must return { sum, weight } or one element, traced`,
      );
    if (sizeOf(value.shape) !== 1 || value.dtype !== "float32")
      throw shapeError(
        "train",
        "loss-shape",
        message`${{ part: what }} has shape ${{ shape: formatShape(value.shape) }}, must have one element`,
      );
    return reshape(value, []);
  };
  if (!terms) return { mean: scalar("the loss", given), weight: full([], output.shape[0]) };
  const weight = scalar("the weight of the loss", terms.weight);
  return {
    mean: map(
      "mean",
      ["select", ["gt", "b", 0], ["div", "a", "b"], 0],
      [scalar("the sum of the loss", terms.sum), weight],
    ),
    weight,
  };
}
