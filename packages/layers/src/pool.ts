// Pooling layers in one, two and three dimensions, with PyTorch's names and defaults: the stride is the kernel.

import { avgPool, maxPool, type AvgPoolOptions, type PerAxis, type PoolOptions } from "@conv/ops";
import { checkRank } from "./conv.ts";
import type { Layer } from "./layer.ts";

function max(rank: number, kernel: PerAxis, options?: PoolOptions): Layer {
  const type = `maxPool${rank}d`;
  return {
    type,
    forward(x) {
      checkRank(type, x, rank);
      return maxPool(x, kernel, options);
    },
  };
}

function average(rank: number, kernel: PerAxis, options?: AvgPoolOptions): Layer {
  const type = `avgPool${rank}d`;
  return {
    type,
    forward(x) {
      checkRank(type, x, rank);
      return avgPool(x, kernel, options);
    },
  };
}

/** Largest value of each window: x (n, c, w) → (n, c, w′). */
export const maxPool1d = (kernel: PerAxis, options?: PoolOptions): Layer => max(1, kernel, options);
/** Largest value of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const maxPool2d = (kernel: PerAxis, options?: PoolOptions): Layer => max(2, kernel, options);
/** Largest value of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const maxPool3d = (kernel: PerAxis, options?: PoolOptions): Layer => max(3, kernel, options);
/** Mean of each window: x (n, c, w) → (n, c, w′). */
export const avgPool1d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(1, kernel, options);
/** Mean of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const avgPool2d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(2, kernel, options);
/** Mean of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const avgPool3d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(3, kernel, options);
