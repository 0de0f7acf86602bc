// How good answers are, besides the loss: functions of outputs and labels on the host.

import { shapeError } from "@conv/tensor";
import type { Batch } from "./data.ts";

/** The mean over a batch: outputs of `count` samples one after the other, and their labels. */
export interface Metric {
  (output: Float32Array, labels: Batch["y"], count: number): number;
  /** What the mean of a batch is over; the number of samples where absent. */
  readonly weight?: (output: Float32Array, labels: Batch["y"], count: number) => number;
}

/** The share of samples whose class is among the k with the largest outputs; of equal outputs the first counts as larger, and NaN as larger than all but no answer. */
export function topK(k: number): Metric {
  if (!Number.isSafeInteger(k) || k < 1) throw shapeError("topK", `k ${k} is not a whole number ≥ 1`);
  return (output, labels, count) => {
    const width = output.length / count;
    let right = 0;
    for (let i = 0; i < count; i++) {
      const row = output.subarray(i * width, (i + 1) * width);
      const own = row[labels[i]];
      const before = row.reduce((n, v, at) => n + Number(!(v < own || (v === own && at >= labels[i]))), 0);
      right += Number(before < k);
    }
    return right / count;
  };
}

/** Mean distance of outputs and labels that are numbers. */
export const meanAbsoluteError: Metric = (output, labels) => output.reduce((sum, v, i) => sum + Math.abs(v - labels[i]), 0) / output.length;

/** `matrix[class][answer]`: how often. */
export function confusion(classes: number, labels: ArrayLike<number>, answers: ArrayLike<number>): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]][answers[i]]++;
  return matrix;
}
