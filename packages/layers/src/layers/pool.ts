// Pooling layers in one, two and three dimensions, with PyTorch's names and defaults: the stride is
// the kernel. Adaptive pooling takes the size of the output instead of a kernel; global pooling has
// one window, the whole map.

import * as ops from "@conv/ops";
import {
  concat,
  perAxis,
  slice,
  type AvgPoolOptions,
  type PerAxis,
  type PoolOptions,
} from "@conv/ops";
import { message, shapeError, type Value } from "@conv/tensor";
import { checkRank } from "./conv.ts";
import type { Layer } from "./layer.ts";
import { configured, type SpatialOptions } from "./options.ts";

export type MaxPoolLayerOptions = PoolOptions & SpatialOptions;
export type AvgPoolLayerOptions = AvgPoolOptions & SpatialOptions;

/** A pooling layer over `rank` spatial axes. */
function pooling(
  type: string,
  rank: number,
  options: SpatialOptions | undefined,
  names: string,
  apply: (x: Value) => Value,
): Layer {
  const layer: Layer = {
    type: `${type}${rank}d`,
    forward(x) {
      checkRank(`${type}${rank}d`, x, rank);
      return apply(x);
    },
  };
  return configured(layer, options ?? {}, `layout ${names}`);
}

/** Names of {@link PoolOptions}, for `checkOptions`. */
export const POOL = "stride padding dilation ceilMode";
export const windowOf = ({
  stride,
  padding,
  dilation,
  ceilMode,
}: PoolOptions = {}): PoolOptions => ({ stride, padding, dilation, ceilMode });

const max = (rank: number, kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  pooling("maxPool", rank, options, POOL, (x) => ops.maxPool(x, kernel, windowOf(options)));
const average = (rank: number, kernel: PerAxis, options: AvgPoolLayerOptions = {}): Layer => {
  const { countIncludePad, divisorOverride } = options;
  const apply = (x: Value) =>
    ops.avgPool(x, kernel, { ...windowOf(options), countIncludePad, divisorOverride });
  return pooling("avgPool", rank, options, `${POOL} countIncludePad divisorOverride`, apply);
};
const lp = (rank: number, p: number, kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  pooling("lpPool", rank, options, POOL, (x) => ops.lpPool(x, p, kernel, windowOf(options)));

function adaptive(
  type: string,
  rank: number,
  output: PerAxis,
  options: SpatialOptions | undefined,
  pool: (x: Value, kernel: number[]) => Value,
): Layer {
  const sizes = perAxis(`${type}${rank}d`, "output", output, rank, 1);
  return pooling(type, rank, options, "", (x) => {
    const input = x.shape.slice(2);
    if (input.every((size, a) => size === sizes[a])) return x;
    if (input.every((size, a) => size % sizes[a] === 0))
      return pool(
        x,
        input.map((size, a) => size / sizes[a]),
      );
    // The last axis first, so that the gradient goes to the first of equal maxima in row-major
    // order.
    return sizes.reduceRight((value, size, a) => windowsAlong(value, a + 2, size, pool), x);
  });
}

/**
 * `size` windows along an axis of n elements. Window i is from ⌊i·n/size⌋ to ⌈(i + 1)·n/size⌉;
 * windows overlap if `size` does not divide n.
 */
function windowsAlong(
  x: Value,
  axis: number,
  size: number,
  pool: (x: Value, kernel: number[]) => Value,
): Value {
  const n = x.shape[axis];
  const windows = Array.from({ length: size }, (_, i) => {
    const [begin, end] = [Math.floor((i * n) / size), Math.ceil(((i + 1) * n) / size)];
    const start = x.shape.map((_size, a) => (a === axis ? begin : 0));
    const window = slice(x, start, x.shape.with(axis, end - begin));
    return pool(
      window,
      x.shape.slice(2).map((_size, a) => (a + 2 === axis ? end - begin : 1)),
    );
  });
  return concat(windows, axis);
}

const adaptiveAverage = (rank: number, output: PerAxis, options?: SpatialOptions): Layer =>
  adaptive("adaptiveAvgPool", rank, output, options, (x, kernel) => ops.avgPool(x, kernel));
const adaptiveMax = (rank: number, output: PerAxis, options?: SpatialOptions): Layer =>
  adaptive("adaptiveMaxPool", rank, output, options, (x, kernel) => ops.maxPool(x, kernel));

export interface GlobalPoolOptions extends SpatialOptions {
  /** Keeps the spatial axes with size 1. Default: false. */
  readonly keepDims?: boolean | undefined;
}

function global(type: string, options: GlobalPoolOptions, reduce: typeof ops.mean): Layer {
  const { keepDims = false } = options;
  const layer: Layer = {
    type,
    forward(x) {
      if (x.shape.length < 3)
        throw shapeError(
          type,
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs batch, channels and at least one spatial axis`,
        );
      return reduce(
        x,
        x.shape.slice(2).map((_, a) => a + 2),
        keepDims,
      );
    },
  };
  return configured(layer, options, "layout keepDims");
}

/** Maximum of each window: x (n, c, w) → (n, c, w′). */
export const maxPool1d = (kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  max(1, kernel, options);
/** Maximum of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const maxPool2d = (kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  max(2, kernel, options);
/** Maximum of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const maxPool3d = (kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  max(3, kernel, options);
/** Mean of each window: x (n, c, w) → (n, c, w′). */
export const avgPool1d = (kernel: PerAxis, options?: AvgPoolLayerOptions): Layer =>
  average(1, kernel, options);
/** Mean of each window: x (n, c, h, w) → (n, c, h′, w′). */
export const avgPool2d = (kernel: PerAxis, options?: AvgPoolLayerOptions): Layer =>
  average(2, kernel, options);
/** Mean of each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const avgPool3d = (kernel: PerAxis, options?: AvgPoolLayerOptions): Layer =>
  average(3, kernel, options);
/** (Σ |x|ᵖ)^(1/p) over each window: x (n, c, w) → (n, c, w′). */
export const lpPool1d = (p: number, kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  lp(1, p, kernel, options);
/** (Σ |x|ᵖ)^(1/p) over each window: x (n, c, h, w) → (n, c, h′, w′). */
export const lpPool2d = (p: number, kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  lp(2, p, kernel, options);
/** (Σ |x|ᵖ)^(1/p) over each window: x (n, c, d, h, w) → (n, c, d′, h′, w′). */
export const lpPool3d = (p: number, kernel: PerAxis, options?: MaxPoolLayerOptions): Layer =>
  lp(3, p, kernel, options);
/**
 * Mean of each of `output` windows, which cover the input evenly (as torch.nn.AdaptiveAvgPool1d): x
 * (n, c, w) → (n, c, output).
 */
export const adaptiveAvgPool1d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveAverage(1, output, options);
/**
 * {@link adaptiveAvgPool1d} over two spatial axes: x (n, c, h, w) → (n, c, …output); 1 gives the
 * mean of each map.
 */
export const adaptiveAvgPool2d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveAverage(2, output, options);
/** {@link adaptiveAvgPool1d} over three spatial axes: x (n, c, d, h, w) → (n, c, …output). */
export const adaptiveAvgPool3d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveAverage(3, output, options);
/**
 * Maximum of each of `output` windows, which cover the input evenly (as
 * torch.nn.AdaptiveMaxPool1d): x (n, c, w) → (n, c, output).
 */
export const adaptiveMaxPool1d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveMax(1, output, options);
/** {@link adaptiveMaxPool1d} over two spatial axes: x (n, c, h, w) → (n, c, …output). */
export const adaptiveMaxPool2d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveMax(2, output, options);
/** {@link adaptiveMaxPool1d} over three spatial axes: x (n, c, d, h, w) → (n, c, …output). */
export const adaptiveMaxPool3d = (output: PerAxis, options?: SpatialOptions): Layer =>
  adaptiveMax(3, output, options);
/** Mean of each map: x (n, c, …) → (n, c), or (n, c, 1, …) with `keepDims`. */
export const globalAvgPool = (options: GlobalPoolOptions = {}): Layer =>
  global("globalAvgPool", options, ops.mean);
/**
 * Maximum of each map: x (n, c, …) → (n, c), or (n, c, 1, …) with `keepDims`. Equal maxima share
 * the gradient.
 */
export const globalMaxPool = (options: GlobalPoolOptions = {}): Layer =>
  global("globalMaxPool", options, ops.max);
