// Pooling layers in one, two and three dimensions, with PyTorch's names and defaults: the stride is the kernel. Adaptive ones are told their
// output instead of a kernel.

import { avgPool, concat, maxPool, mean, perAxis, slice, type AvgPoolOptions, type MaxPoolOptions, type PerAxis } from "@conv/ops";
import type { Value } from "@conv/tensor";
import { checkRank } from "./conv.ts";
import type { Layer } from "./layer.ts";

function max(rank: number, kernel: PerAxis, options?: MaxPoolOptions): Layer {
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

function adaptive(rank: number, output: PerAxis): Layer {
  const type = `adaptiveAvgPool${rank}d`;
  const sizes = perAxis(type, "output", output, rank, 1);
  return {
    type,
    forward(x) {
      checkRank(type, x, rank);
      const input = x.shape.slice(2);
      if (input.every((size, a) => size === sizes[a])) return x;
      if (input.every((size, a) => size % sizes[a] === 0))
        return avgPool(
          x,
          input.map((size, a) => size / sizes[a]),
        );
      return sizes.reduce((value, size, a) => meansAlong(value, a + 2, size), x);
    },
  };
}

/** Means of `size` windows along an axis, window i from ⌊i·n/size⌋ to ⌈(i + 1)·n/size⌉: they overlap where size does not divide n. */
function meansAlong(x: Value, axis: number, size: number): Value {
  const n = x.shape[axis];
  const windows = Array.from({ length: size }, (_, i) => {
    const [begin, end] = [Math.floor((i * n) / size), Math.ceil(((i + 1) * n) / size)];
    const start = x.shape.map((_size, a) => (a === axis ? begin : 0));
    return mean(slice(x, start, x.shape.with(axis, end - begin)), axis, true);
  });
  return concat(windows, axis);
}

/** Largest value of each window: x (n, c, w) → (n, c, w′). */
export const maxPool1d = (kernel: PerAxis, options?: MaxPoolOptions): Layer => max(1, kernel, options);
/** Largest value of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const maxPool2d = (kernel: PerAxis, options?: MaxPoolOptions): Layer => max(2, kernel, options);
/** Largest value of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const maxPool3d = (kernel: PerAxis, options?: MaxPoolOptions): Layer => max(3, kernel, options);
/** Mean of each window: x (n, c, w) → (n, c, w′). */
export const avgPool1d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(1, kernel, options);
/** Mean of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const avgPool2d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(2, kernel, options);
/** Mean of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const avgPool3d = (kernel: PerAxis, options?: AvgPoolOptions): Layer => average(3, kernel, options);
/** Mean of each of `output` windows that share the input out as evenly as can be: x (n, c, w) → (n, c, output). */
export const adaptiveAvgPool1d = (output: PerAxis): Layer => adaptive(1, output);
/** Mean of each of `output` windows that share the input out as evenly as can be: x (n, c, h, w) → (n, c, …output); 1 gives the mean of each map. */
export const adaptiveAvgPool2d = (output: PerAxis): Layer => adaptive(2, output);
/** Mean of each of `output` windows that share the input out as evenly as can be: x (n, c, d, h, w) → (n, c, …output). */
export const adaptiveAvgPool3d = (output: PerAxis): Layer => adaptive(3, output);
