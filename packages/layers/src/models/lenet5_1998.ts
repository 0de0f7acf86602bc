// LeNet-5 as published: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
// document recognition", Proc. IEEE 86 (11), 1998, section II. 60,000 trainable parameters.

import { affine, exp, log, mean, map, oneHot, sub, sum } from "@conv/ops";
import { checkOptions, type Value } from "@conv/tensor";
import { rbf, subsample2d, tableConv2d, type ConnectionTable } from "../blocks/lenet.ts";
import { scaledTanh } from "../layers/activation.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { lecun1998 } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { digitCodes } from "./digits.ts";

/** Table I of the paper: the maps of S2 (of six) that each of the sixteen maps of C3 reads. */
export const c3Table: ConnectionTable = [
  [0, 1, 2],
  [1, 2, 3],
  [2, 3, 4],
  [3, 4, 5],
  [0, 4, 5],
  [0, 1, 5],
  [0, 1, 2, 3],
  [1, 2, 3, 4],
  [2, 3, 4, 5],
  [0, 3, 4, 5],
  [0, 1, 4, 5],
  [0, 1, 2, 5],
  [0, 1, 3, 4],
  [1, 2, 4, 5],
  [0, 2, 3, 5],
  [0, 1, 2, 3, 4, 5],
];

/**
 * Equation (9) of the paper: the mean over the batch of y_D + log(e⁻ʲ + Σᵢ e⁻ʸⁱ), where yᵢ =
 * −scoresᵢ is the distance to class i, and D is the correct class. It decreases the distance to the
 * correct code, and increases the distances to other codes that are smaller than about j.
 */
export const maximumAPosteriori =
  (j: number) =>
  (scores: Value, labels: Value): Value => {
    const right = sum(
      map("right", ["select", "b", "a", 0], [scores, oneHot(labels, scores.shape[1])]),
      1,
    );
    const rivals = log(affine(sum(exp(scores), 1), 1, Math.exp(-j)));
    return mean(sub(rivals, right));
  };

/**
 * Digits of 1×32×32, with background −0.1 and foreground 1.175, to scores: minus the squared
 * distance of F6 to the code of each digit. `j` is the constant of the loss (default 0.1); the
 * paper only states that it is positive.
 */
export const lenet5_1998 = (options: { readonly j?: number | undefined } = {}): Model => {
  checkOptions("lenet5_1998", options, "j");
  const { j = 0.1 } = options;
  const init = lecun1998;
  return {
    name: "lenet5_1998",
    input: [1, 32, 32],
    classes: 10,
    range: [-0.1, 1.175], // section II.A: the mean of a digit is about 0, its variance about 1
    layer: sequential({
      c1: pipe(conv2d(6, 5, { init }), scaledTanh()), // → 6×28×28
      s2: pipe(subsample2d(2, { init }), scaledTanh()), // → 6×14×14
      c3: pipe(tableConv2d(c3Table, 5, { init }), scaledTanh()), // → 16×10×10
      s4: pipe(subsample2d(2, { init }), scaledTanh()), // → 16×5×5
      c5: pipe(conv2d(120, 5, { init }), scaledTanh(), flatten()), // → 120
      f6: pipe(linear(84, { init }), scaledTanh()),
      output: rbf(digitCodes),
    }),
    loss: maximumAPosteriori(j),
  };
};
