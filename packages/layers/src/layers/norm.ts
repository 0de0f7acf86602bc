// Batch normalization: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training
// by Reducing Internal Covariate Shift", ICML 2015. In inference it is one multiplication and one
// addition for each channel, which back ends fuse into the preceding convolution.

import { map, mean, reshape, square, sub, sum } from "@conv/ops";
import { formatShape, message, shapeError, sizeOf, type Value } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { ones, zeros } from "./init.ts";
import type { Context, Layer } from "./layer.ts";
import {
  AFFINE,
  affineOf,
  configured,
  type AffineOptions,
  type SpatialOptions,
} from "./options.ts";

export interface BatchNormOptions extends SpatialOptions, AffineOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number | undefined;
  /**
   * Factor of the batch in the running statistics: running ← (1 − momentum)·running +
   * momentum·batch. null: the mean over all steps. Default: 0.1.
   */
  readonly momentum?: number | null | undefined;
  /** Whether inference uses running statistics instead of those of its batch. Default: true. */
  readonly trackRunningStats?: boolean | undefined;
}

/** Throws RangeError for an eps or a momentum out of range. */
export function checkNorm(type: string, eps: number, momentum: number | null = null): void {
  mustBe("a finite number > 0", type, { eps });
  if (momentum !== null) mustBe("in [0, 1]", type, { momentum });
}

/** y = scale · x + shift; both are optional. */
export function scaled(name: string, x: Value, scale?: Value, shift?: Value): Value {
  if (scale && shift) return map(name, ["add", ["mul", "a", "c"], "b"], [scale, shift, x]);
  if (scale) return map(name, ["mul", "a", "b"], [scale, x]);
  return shift ? map(name, ["add", "a", "b"], [shift, x]) : x;
}

/** weight / √(variance + eps). */
export const scaleBy = (name: string, variance: Value, eps: number, weight?: Value): Value =>
  weight
    ? map(name, ["div", "a", ["sqrt", ["add", "b", eps]]], [weight, variance])
    : map(name, ["div", 1, ["sqrt", ["add", "a", eps]]], [variance]);

/**
 * x minus its mean over `axes`, the mean, and the variance; mean and variance have size 1 along
 * `axes`. The rounded mean of equal values may differ from them by an ulp, so the mean of the
 * difference is subtracted too; it is 0 in exact arithmetic, and no gradient is computed for it.
 * The sum is divided by the count, not multiplied by its reciprocal, so that equal values give
 * exactly 0.
 */
export function statisticsOf(x: Value, axes: readonly number[]) {
  const average = mean(x, axes, true);
  const rough = sub(x, average);
  const left = map(
    "mean",
    ["div", "a", sizeOf(axes.map((a) => x.shape[a]))],
    [sum(rough, axes, true)],
  );
  const centered = map("center", ["sub", "a", "b"], [rough, left], [1, 0]);
  return { centered, average, variance: mean(square(centered), axes, true) };
}

/** v (c) reshaped to broadcast with x (n, c, …). */
export const along = (x: Value, v: Value): Value =>
  reshape(v, [1, x.shape[1], ...x.shape.slice(2).map(() => 1)]);

/**
 * weight · (x − mean) / √(variance + eps) + bias for given statistics, as one multiplication and
 * one addition for each value.
 */
export function byRunning(
  x: Value,
  { average, variance }: Record<"average" | "variance", Value>,
  eps: number,
  weight?: Value,
  bias?: Value,
): Value {
  const scale = scaleBy("batchNormScale", variance, eps, weight);
  const shift = bias
    ? map("batchNormShift", ["sub", "a", ["mul", "b", "c"]], [bias, average, scale])
    : map("batchNormShift", ["neg", ["mul", "a", "b"]], [average, scale]);
  // scale and shift are computed first, so that the epilogue of the preceding op can read them
  return scaled("batchNorm", x, along(x, scale), along(x, shift));
}

/** The buffers of running statistics, and functions that update them in a training step. */
export function runningStatistics(ctx: Context, shape: readonly number[], momentum: number | null) {
  const running = {
    average: ctx.buffer("running_mean", shape, zeros),
    variance: ctx.buffer("running_var", shape, ones),
  };
  const batches = ctx.buffer("num_batches_tracked", [], zeros);
  const follow = (name: string, old: Value, now: Value, factor: number) =>
    ctx.update(
      name,
      momentum === null
        ? map(
            "follow",
            ["add", "a", ["div", ["sub", ["mul", factor, "b"], "a"], ["add", "c", 1]]],
            [old, now, batches],
          )
        : map(
            "follow",
            ["add", ["mul", 1 - momentum, "a"], ["mul", momentum * factor, "b"]],
            [old, now],
          ),
    );
  return {
    ...running,
    /**
     * `variance` is the biased estimate over `count` values; the running statistic is the unbiased
     * one, as in PyTorch.
     */
    follow(average: Value, variance: Value, count: number) {
      follow("running_mean", running.average, average, 1);
      follow("running_var", running.variance, variance, count / (count - 1));
    },
    count: () => ctx.update("num_batches_tracked", map("count", ["add", "a", 1], [batches])),
  };
}

/** `axes` lists the numbers of axes that the input may have. */
function batchNorm(type: string, axes: readonly number[], options: BatchNormOptions = {}): Layer {
  const { eps = 1e-5, momentum = 0.1, trackRunningStats = true } = options;
  checkNorm(type, eps, momentum);
  const layer: Layer = {
    type,
    forward(x, ctx) {
      if (!axes.includes(x.shape.length))
        throw shapeError(
          type,
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs ${{ needed: axes.join(" or ") }}`,
        );
      const shape = [x.shape[1]];
      const { weight, bias } = affineOf(ctx, shape, options);
      const running = trackRunningStats ? runningStatistics(ctx, shape, momentum) : null;
      if (running && !ctx.training) return byRunning(x, running, eps, weight, bias);
      const { centered, average, variance, count } = statistics(type, x);
      if (ctx.training && running) {
        running.follow(reshape(average, shape), reshape(variance, shape), count);
        running.count();
      }
      return scaled(
        "batchNorm",
        centered,
        along(x, scaleBy("batchNormScale", reshape(variance, shape), eps, weight)),
        bias && along(x, bias),
      );
    },
  };
  return configured(layer, options, `layout momentum trackRunningStats ${AFFINE}`);
}

/**
 * x minus its mean over all axes but the channels, the mean, the variance, and the number of values
 * for each channel.
 */
function statistics(type: string, x: Value) {
  const others = x.shape.flatMap((_, a) => (a === 1 ? [] : [a]));
  const count = sizeOf(others.map((a) => x.shape[a]));
  if (count < 2)
    throw shapeError(
      type,
      "one-value",
      message`mean and variance of a batch need more than one value per channel, input ${{ input: formatShape(x.shape) }} has ${{ count }}; use a larger batch`,
    );
  return { ...statisticsOf(x, others), count };
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias for each channel: x (n, c) or (n, c, w) → the same
 * shape. Training uses mean and variance of the batch and updates the running statistics, which
 * inference uses. Parameters weight (c), bias (c); buffers running_mean (c), running_var (c),
 * num_batches_tracked. Throws ShapeError if training has only one value per channel.
 */
export const batchNorm1d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm1d", [2, 3], options);
/** As {@link batchNorm1d}: x (n, c, h, w) → the same shape. */
export const batchNorm2d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm2d", [4], options);
/** As {@link batchNorm1d}: x (n, c, d, h, w) → the same shape. */
export const batchNorm3d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm3d", [5], options);
