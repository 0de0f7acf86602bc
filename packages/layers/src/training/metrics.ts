// Metrics besides the loss: functions of outputs and labels on the host.

import { message, shapeError } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import type { Batch } from "../data/data.ts";

/**
 * Computes a mean over a batch from the outputs of `count` samples, (count, …output) in row-major
 * order, and their labels.
 */
export interface Metric {
  (output: Float32Array, labels: Batch["y"], count: number): number;
  /** The weight of the mean of a batch. Default: the number of samples. */
  readonly weight?:
    | ((output: Float32Array, labels: Batch["y"], count: number) => number)
    | undefined;
}

/**
 * Top-k accuracy: the share of samples whose class is among the k classes with the largest outputs.
 * Of equal outputs the first counts as larger. NaN counts as larger than all numbers, and as a
 * wrong answer. Labels out of range are ignored. Throws RangeError unless k is a whole number ≥ 1.
 */
export function topK(k: number): Metric {
  mustCount("topK", "k", k);
  const weight: Metric["weight"] = (output, labels, count) =>
    Int32Array.from(labels, (label) => Number(label >= 0 && label < output.length / count)).reduce(
      (a, b) => a + b,
      0,
    );
  const share = (output: Float32Array, labels: Batch["y"], count: number) => {
    const width = output.length / count;
    if (labels.length !== count)
      throw shapeError(
        "topK",
        "labels",
        message`there are ${{ labels: labels.length }} labels for ${{ samples: count }} samples; topK needs one label for each sample`,
      );
    let right = 0;
    for (let i = 0; i < count; i++) {
      const row = output.subarray(i * width, (i + 1) * width);
      const own = row[labels[i]];
      const before = row.reduce(
        (n, v, at) => n + Number(!(v < own || (v === own && at >= labels[i]))),
        0,
      );
      right += Number(own !== undefined && before < k);
    }
    return right / weight(output, labels, count);
  };
  return Object.assign(share, { weight });
}

/** Mean absolute difference of outputs and labels. */
export const meanAbsoluteError: Metric = (output, labels) =>
  output.reduce((sum, v, i) => sum + Math.abs(v - labels[i]), 0) / output.length;

/**
 * The confusion matrix: `matrix[class][answer]` is the number of samples. Throws ShapeError unless
 * there is one answer for each label, and both are classes, from 0 to classes − 1.
 */
export function confusion(
  classes: number,
  labels: ArrayLike<number>,
  answers: ArrayLike<number>,
): number[][] {
  mustCount("confusion", "classes", classes);
  if (labels.length !== answers.length)
    throw shapeError(
      "confusion",
      "labels",
      message`there are ${{ labels: labels.length }} labels and ${{ answers: answers.length }} answers, must be equally many`,
    );
  for (const list of [labels, answers])
    for (let i = 0; i < list.length; i++)
      if (!(Number.isInteger(list[i]) && list[i] >= 0 && list[i] < classes))
        throw shapeError(
          "confusion",
          "class",
          message`${{ what: list === labels ? "label" : "answer" }} ${{ value: list[i] }} at index ${{ at: i }} is not one of ${{ classes }} classes, counted from 0`,
        );
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]][answers[i]]++;
  return matrix;
}
