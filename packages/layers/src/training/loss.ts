// Losses of the training: a mean and its weight, so that results do not depend on how samples are
// divided into batches.

import { crossEntropy, full, lossTerms, map, reshape, type LossTerms } from "@conv/ops";
import { formatShape, message, shapeError, sizeOf, Value } from "@conv/tensor";

/**
 * The loss of a batch, from outputs and labels (int32, one for each sample, unless the data set has
 * a target). It returns the sum of the losses, and the weight by which the sum is divided (number
 * of samples or labels, or sum of class weights), each of one element. If it returns a single value
 * of one element, that is the mean: for losses of @conv/ops the weight is known, for other values
 * it is the number of samples.
 */
export type Loss = (output: Value, labels: Value) => LossTerms | Value;

/** A mean loss and its weight, each of shape []. */
export interface Measured {
  readonly mean: Value;
  readonly weight: Value;
}

/**
 * The mean loss of a batch and its weight (default: cross-entropy). The mean is 0 if the weight is
 * 0. Throws ShapeError unless all results of the loss are float32 of one element.
 */
export function measure(loss: Loss = crossEntropy, output: Value, labels: Value): Measured {
  const given = loss(output, labels);
  const terms = given instanceof Value ? lossTerms(given) : given;
  const scalar = (what: string, value: unknown): Value => {
    if (!(value instanceof Value))
      throw shapeError(
        "train",
        "loss-result",
        message`the loss function returned no value for ${{ part: what }}, must return { sum, weight } or a mean, each a traced value of one element`,
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
