// Batch normalisation: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
// Shift", ICML 2015. Predicting, it is one multiplication and one addition a channel, which back ends fuse into the convolution before it.

import { map, mean, reshape, square, sub } from "@conv/ops";
import { formatShape, shapeError, sizeOf, type Value } from "@conv/tensor";
import { ones, zeros } from "./init.ts";
import type { Layer } from "./layer.ts";

export interface BatchNormOptions {
  /** Added to the variance. */
  readonly eps?: number;
  /** How far each training step moves the running statistics towards those of its batch. */
  readonly momentum?: number;
}

/** `x` has one of these numbers of axes. */
function batchNorm(type: string, axes: readonly number[], { eps = 1e-5, momentum = 0.1 }: BatchNormOptions = {}): Layer {
  if (!(eps > 0 && Number.isFinite(eps))) throw shapeError(type, `eps ${eps} is not a finite number > 0`);
  if (!(momentum >= 0 && momentum <= 1)) throw shapeError(type, `momentum ${momentum} is not in [0, 1]`);
  return {
    type,
    forward(x, ctx) {
      if (!axes.includes(x.shape.length)) throw shapeError(type, `input has ${x.shape.length} axes, needs ${axes.join(" or ")}`);
      const shape = [x.shape[1]];
      const [weight, bias] = [ctx.param("weight", shape, ones), ctx.param("bias", shape, zeros)];
      const running = { mean: ctx.buffer("running_mean", shape, zeros), var: ctx.buffer("running_var", shape, ones) };
      const batches = ctx.buffer("num_batches_tracked", [], zeros);
      const scaleBy = (variance: Value) => map("batchNormScale", ["div", "a", ["sqrt", ["add", "b", eps]]], [weight, variance]);
      const along = (v: Value) => reshape(v, [1, ...shape, ...x.shape.slice(2).map(() => 1)]);
      // weight · (x − mean) / √(var + eps) + bias; scale and shift come first, so that they are known when the epilogue needs them.
      const normalised = (scale: Value, shift: Value, v: Value) => map("batchNorm", ["add", ["mul", "a", "c"], "b"], [along(scale), along(shift), v]);
      if (!ctx.training) {
        const scale = scaleBy(running.var);
        return normalised(scale, map("batchNormShift", ["sub", "a", ["mul", "b", "c"]], [bias, running.mean, scale]), x);
      }
      const { centred, average, variance, count } = statistics(type, x);
      const follow = (name: string, old: Value, now: Value, factor: number) =>
        ctx.update(name, map("follow", ["add", ["mul", 1 - momentum, "a"], ["mul", momentum * factor, "b"]], [old, now]));
      follow("running_mean", running.mean, reshape(average, shape), 1);
      follow("running_var", running.var, reshape(variance, shape), count / (count - 1)); // the unbiased estimate, as in PyTorch
      ctx.update("num_batches_tracked", map("count", ["add", "a", 1], [batches]));
      return normalised(scaleBy(reshape(variance, shape)), bias, centred);
    },
  };
}

/** x minus its mean over all axes but that of the channels, that mean, the variance, and how many values each channel has. */
function statistics(type: string, x: Value) {
  const others = x.shape.flatMap((_, a) => (a === 1 ? [] : [a]));
  const count = sizeOf(others.map((a) => x.shape[a]));
  if (count < 2) throw shapeError(type, `training needs more than one value a channel, input ${formatShape(x.shape)} has ${count}`);
  const average = mean(x, others, true);
  const centred = sub(x, average);
  return { centred, average, variance: mean(square(centred), others, true), count };
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias, channel by channel: x (n, c) or (n, c, w) → the same shape. Training takes mean and
 * variance of the batch and lets the running ones follow; predicting takes the running ones. Parameters weight (c), bias (c); buffers
 * running_mean (c), running_var (c), num_batches_tracked. Throws ShapeError where a batch to train on has one value a channel.
 */
export const batchNorm1d = (options?: BatchNormOptions): Layer => batchNorm("batchNorm1d", [2, 3], options);
/** As {@link batchNorm1d}: x (n, c, h, w) → the same shape. */
export const batchNorm2d = (options?: BatchNormOptions): Layer => batchNorm("batchNorm2d", [4], options);
/** As {@link batchNorm1d}: x (n, c, d, h, w) → the same shape. */
export const batchNorm3d = (options?: BatchNormOptions): Layer => batchNorm("batchNorm3d", [5], options);
