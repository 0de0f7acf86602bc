// Local response normalization: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with
// Deep Convolutional Neural Networks", 2012, section 3.3, with PyTorch's names. Alpha is divided by
// the size, as in PyTorch and unlike the paper.

import { avgPool, map, reshape, square } from "@conv/ops";
import { checkOptions, message, shapeError } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import type { Layer } from "./layer.ts";

export interface LocalResponseNormOptions {
  /** α of the paper times `size`: 5e-4 for α = 1e-4 and 5 channels. Default: 1e-4. */
  readonly alpha?: number | undefined;
  readonly beta?: number | undefined;
  /** Default: 1; 2 in the paper. */
  readonly k?: number | undefined;
}

/**
 * y = x / (k + alpha/size · Σ x²)^beta, where the sum is over `size` neighboring channels, ⌊size/2⌋
 * of them before, with zero padding: x (n, c, …) → the same shape. The default of beta is 0.75.
 * Throws RangeError for a size out of range, and ShapeError for k ≤ 0 or alpha < 0.
 */
export function localResponseNorm(size: number, options: LocalResponseNormOptions = {}): Layer {
  checkOptions("localResponseNorm", options, "alpha beta k");
  const { alpha = 1e-4, beta = 0.75, k = 1 } = options;
  mustBe("a whole number ≥ 1", "localResponseNorm", { size });
  if (!(k > 0 && alpha >= 0))
    throw shapeError(
      "localResponseNorm",
      "number",
      message`k ${{ k }} must be > 0 and alpha ${{ alpha }} ≥ 0`,
    );
  const before = size >> 1;
  return {
    type: "localResponseNorm",
    forward(x) {
      const [n, c, ...space] = x.shape;
      if (c === undefined)
        throw shapeError(
          "localResponseNorm",
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs at least 2 (batch and channels)`,
        );
      // (n, c, …) → (n, 1, c, …), so that average pooling can slide over the channels.
      const each = space.map(() => 1);
      const padding = [[before, size - 1 - before] as const, ...space.map(() => [0, 0] as const)];
      const means = avgPool(reshape(square(x), [n, 1, c, ...space]), [size, ...each], {
        stride: 1,
        padding,
      });
      return map(
        "localResponseNorm",
        ["mul", "a", ["exp", ["mul", -beta, ["log", ["add", k, ["mul", alpha, "b"]]]]]],
        [x, reshape(means, x.shape)],
      );
    },
  };
}
