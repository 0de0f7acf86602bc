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
  /** Added to the variance. */
  readonly eps?: number | undefined;
  /**
   * Factor by which each training step moves the running statistics towards those of its batch;
   * null for the mean over all steps.
   */
  readonly momentum?: number | null | undefined;
  /** false: no running statistics; inference uses those of its batch too. */
  readonly trackRunningStats?: boolean | undefined;
}

/** Throws RangeError for an eps or a momentum that is out of range. */
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
 * x minus its mean over `axes`, that mean, and the variance, with size 1 along `axes`. The rounded
 * mean of equal values may differ from them by an ulp, so the mean of the difference is subtracted
 * too. In exact arithmetic it is 0, and it has no gradient. It is divided, not multiplied by
 * 1/count, so that equal values give exactly 0.
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

/** One number for each channel, as x broadcasts with it. */
export const along = (x: Value, v: Value): Value =>
  reshape(v, [1, x.shape[1], ...x.shape.slice(2).map(() => 1)]);

/**
 * weight · (x − mean) / √(variance + eps) + bias of given statistics: one multiplication and one
 * addition for each value.
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
  // scale and shift first, so that they are known when the epilogue needs them
  return scaled("batchNorm", x, along(x, scale), along(x, shift));
}

/** The buffers of running statistics, and what a training step makes of them. */
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
     * `variance` is over all `count` values; the running statistic is the unbiased estimate, as in
     * PyTorch.
     */
    follow(average: Value, variance: Value, count: number) {
      follow("running_mean", running.average, average, 1);
      follow("running_var", running.variance, variance, count / (count - 1));
    },
    count: () => ctx.update("num_batches_tracked", map("count", ["add", "a", 1], [batches])),
  };
}

/** `x` has one of these numbers of axes. */
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
 * x minus its mean over all axes but that of the channels, that mean, the variance, and how many
 * values each channel has.
 */
function statistics(type: string, x: Value) {
  const others = x.shape.flatMap((_, a) => (a === 1 ? [] : [a]));
  const count = sizeOf(others.map((a) => x.shape[a]));
  if (count < 2)
    throw shapeError(
      type,
      "one-value",
      message`statistics of a batch need more than one value a channel, input ${{ input: formatShape(x.shape) }} has ${{ count }}`,
    );
  return { ...statisticsOf(x, others), count };
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias for each channel: x (n, c) or (n, c, w) → the same
 * shape. Training uses mean and variance of the batch and updates the running statistics; inference
 * uses these. Parameters weight (c), bias (c); buffers running_mean (c), running_var (c),
 * num_batches_tracked. Throws ShapeError for statistics of one value a channel.
 */
export const batchNorm1d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm1d", [2, 3], options);
/** As {@link batchNorm1d}: x (n, c, h, w) → the same shape. */
export const batchNorm2d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm2d", [4], options);
/** As {@link batchNorm1d}: x (n, c, d, h, w) → the same shape. */
export const batchNorm3d = (options?: BatchNormOptions): Layer =>
  batchNorm("batchNorm3d", [5], options);
