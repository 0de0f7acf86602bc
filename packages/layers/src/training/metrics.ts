// How good answers are, besides the loss: functions of outputs and labels on the host.

import { message, shapeError } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import type { Batch } from "../data/data.ts";

/** The mean over a batch: outputs of `count` samples one after the other, and their labels. */
export interface Metric {
  (output: Float32Array, labels: Batch["y"], count: number): number;
  /** What the mean of a batch is over; the number of samples where absent. */
  readonly weight?:
    | ((output: Float32Array, labels: Batch["y"], count: number) => number)
    | undefined;
}

/**
 * The share of samples whose class is among the k with the largest outputs; of equal outputs the
 * first counts as larger, and NaN as larger than all but no answer. Labels out of range are left
 * out.
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
        message`${{ labels: labels.length }} labels for ${{ samples: count }} samples; topK needs one label a sample`,
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

/** Mean distance of outputs and labels that are numbers. */
export const meanAbsoluteError: Metric = (output, labels) =>
  output.reduce((sum, v, i) => sum + Math.abs(v - labels[i]), 0) / output.length;

/**
 * `matrix[class][answer]`: how often. Throws ShapeError unless there are as many answers as labels,
 * all of them among the classes.
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
      message`${{ labels: labels.length }} labels for ${{ answers: answers.length }} answers`,
    );
  for (const list of [labels, answers])
    for (let i = 0; i < list.length; i++)
      if (!(Number.isInteger(list[i]) && list[i] >= 0 && list[i] < classes))
        throw shapeError(
          "confusion",
          "class",
          message`${{ what: list === labels ? "label" : "answer" }} ${{ value: list[i] }} at ${{ at: i }} is not one of ${{ classes }} classes`,
        );
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]][answers[i]]++;
  return matrix;
}
