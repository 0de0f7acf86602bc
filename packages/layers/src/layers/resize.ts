// Layers without parameters that change the spatial size: padding, upsampling, pixel shuffle and
// unpooling.

import * as ops from "@conv/ops";
import type { AxisPadding, PoolOptions, PaddingMode, PerAxis, UpsampleOptions } from "@conv/ops";
import { message, shapeError } from "@conv/tensor";
import { checkRank } from "./conv.ts";
import type { Layer } from "./layer.ts";
import { configured, type SpatialOptions } from "./options.ts";
import { POOL, windowOf } from "./pool.ts";

/**
 * Elements to add: a number for both sides of all axes, or for each axis a number for both sides or
 * `[lo, hi]`.
 */
export type Around = number | readonly Exclude<AxisPadding, string>[];

function padding(rank: number, around: Around, mode: PaddingMode, options: SpatialOptions): Layer {
  const type = `pad${rank}d`;
  const layer: Layer = {
    type,
    forward(x) {
      checkRank(type, x, rank);
      const ones = Array.from({ length: rank }, () => 1);
      const { padLo, padHi } = ops.resolvePadding(type, around, x.shape.slice(2), ones, ones);
      return ops.padWith(x, padLo, padHi, mode);
    },
  };
  return configured(layer, options, "layout");
}

/**
 * Pads the axis with zeros (default), reflected, replicated or circular values: x (n, c, w) → (n,
 * c, lo + w + hi). Throws ShapeError if the input has too few elements for the mode.
 */
export const pad1d = (
  around: Around,
  mode: PaddingMode = "zeros",
  options: SpatialOptions = {},
): Layer => padding(1, around, mode, options);
/** {@link pad1d} over two spatial axes: x (n, c, h, w) → (n, c, h′, w′). */
export const pad2d = (
  around: Around,
  mode: PaddingMode = "zeros",
  options: SpatialOptions = {},
): Layer => padding(2, around, mode, options);
/** {@link pad1d} over three spatial axes. */
export const pad3d = (
  around: Around,
  mode: PaddingMode = "zeros",
  options: SpatialOptions = {},
): Layer => padding(3, around, mode, options);

/**
 * Interpolation to `size`, or by `scaleFactor`, over all spatial axes, with the modes and rules of
 * torch.nn.Upsample: x (n, c, …input) → (n, c, …output).
 */
export function upsample(options: UpsampleOptions & SpatialOptions): Layer {
  const { size, scaleFactor, mode, alignCorners } = options;
  const layer: Layer = {
    type: "upsample",
    forward: (x) => ops.upsample(x, { size, scaleFactor, mode, alignCorners }),
  };
  return configured(layer, options, "layout size scaleFactor mode alignCorners");
}

/**
 * Moves channels to space, as torch.nn.PixelShuffle with r = `factor`: x (n, c·r², h, w) → (n, c,
 * h·r, w·r). Throws ShapeError unless r² divides the channels.
 */
export const pixelShuffle = (factor: number, options: SpatialOptions = {}): Layer =>
  configured(
    { type: "pixelShuffle", forward: (x) => ops.pixelShuffle(x, factor) },
    options,
    "layout",
  );

/**
 * Moves space to channels, as torch.nn.PixelUnshuffle with r = `factor`: x (n, c, h·r, w·r) → (n,
 * c·r², h, w). Throws ShapeError unless r divides the sizes.
 */
export const pixelUnshuffle = (factor: number, options: SpatialOptions = {}): Layer =>
  configured(
    { type: "pixelUnshuffle", forward: (x) => ops.pixelUnshuffle(x, factor) },
    options,
    "layout",
  );

function unpooling(
  rank: number,
  kernel: PerAxis,
  inner: Layer,
  options: PoolOptions & SpatialOptions,
): Layer {
  const type = `maxUnpool${rank}d`;
  const layer: Layer = {
    type,
    forward(x, ctx) {
      checkRank(type, x, rank);
      const indices = ops.maxPoolIndices(x, kernel, windowOf(options));
      const pooled = ops.maxPool(x, kernel, windowOf(options));
      const windows = pooled.node?.op
        .window?.(pooled.node.params)
        .map((w) => ({ ...w, transposed: true }));
      const y = ctx.child("inner", inner, pooled);
      if (y.shape.length !== x.shape.length || y.shape.some((v, a) => v !== indices.shape[a]))
        throw shapeError(
          type,
          "inner-shape",
          message`the inner layer returns ${{ inner: y.shape.join("×") }}, the pooled input has ${{ pooled: indices.shape.join("×") }}; use an inner layer that keeps the shape`,
        );
      return ops.maxUnpool(y, indices, x.shape.slice(2), windows);
    },
  };
  return configured(layer, options, `layout ${POOL}`);
}

/**
 * Max pooling, then `inner`, then unpooling, which writes each value to the position of the maximum
 * of its window, and 0 elsewhere: x (n, c, w) → (n, c, w). Pooling and unpooling are one layer
 * because they share the positions (in PyTorch: MaxPool1d with return_indices, and MaxUnpool1d). A
 * position that is the maximum of several windows gets the sum of their values. Throws ShapeError
 * unless `inner` keeps the shape.
 */
export const maxUnpool1d = (
  kernel: PerAxis,
  inner: Layer,
  options: PoolOptions & SpatialOptions = {},
): Layer => unpooling(1, kernel, inner, options);
/**
 * {@link maxUnpool1d} over two spatial axes (Badrinarayanan, Kendall and Cipolla, "SegNet", 2015).
 */
export const maxUnpool2d = (
  kernel: PerAxis,
  inner: Layer,
  options: PoolOptions & SpatialOptions = {},
): Layer => unpooling(2, kernel, inner, options);
/** {@link maxUnpool1d} over three spatial axes. */
export const maxUnpool3d = (
  kernel: PerAxis,
  inner: Layer,
  options: PoolOptions & SpatialOptions = {},
): Layer => unpooling(3, kernel, inner, options);
