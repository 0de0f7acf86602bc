// Local response normalization: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with
// Deep Convolutional Neural Networks", 2012, section 3.3, with PyTorch's names: its alpha is
// divided by the size, the paper's is not.

import { avgPool, map, reshape, square } from "@conv/ops";
import { checkOptions, message, shapeError } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import type { Layer } from "./layer.ts";

export interface LocalResponseNormOptions {
  /** The paper's α times the size: 5e-4 for its 1e-4 and 5 channels. */
  readonly alpha?: number | undefined;
  readonly beta?: number | undefined;
  /** The paper has 2. */
  readonly k?: number | undefined;
}

/**
 * y = x / (k + alpha/size · Σ x²)^beta, the sum over `size` neighboring channels, of which
 * ⌊size/2⌋ come before and absent ones count as 0: x (n, c, …) → the same shape. Throws RangeError
 * for a size, and ShapeError for other numbers, out of range.
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
      // One channel more in front, so that channels are an axis over which a window slides: (n, 1,
      // c, …).
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
