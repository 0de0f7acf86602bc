// Normalizations over the values of one sample, independent of the batch. Layer: Ba, Kiros and
// Hinton, "Layer Normalization", 2016. Instance: Ulyanov, Vedaldi and Lempitsky, "Instance
// Normalization: The Missing Ingredient for Fast Stylization", 2016. Group: Wu and He, "Group
// Normalization", ECCV 2018.

import { mean, mustDivide, reshape } from "@conv/ops";
import { formatShape, message, sameShape, shapeError, sizeOf, type Value } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import { checkRank } from "./conv.ts";
import type { Layer } from "./layer.ts";
import {
  along,
  byRunning,
  checkNorm,
  runningStatistics,
  scaleBy,
  scaled,
  statisticsOf,
} from "./norm.ts";
import {
  AFFINE,
  affineOf,
  configured,
  type AffineOptions,
  type LayerOptions,
  type SpatialOptions,
} from "./options.ts";

export interface StandardizeOptions extends AffineOptions {
  /** Added to the variance. Default: 1e-5. */
  readonly eps?: number | undefined;
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias, with mean and variance over the last axes, of
 * sizes `normalizedShape` (default: all axes but the batch): x (n, …) → the same shape. Parameters
 * weight and bias of shape `normalizedShape`. Throws ShapeError if the shape of x does not end with
 * it.
 */
export function layerNorm(
  normalizedShape?: number | readonly number[],
  options: StandardizeOptions & LayerOptions = {},
): Layer {
  const { eps = 1e-5 } = options;
  const wanted = typeof normalizedShape === "number" ? [normalizedShape] : normalizedShape;
  checkNorm("layerNorm", eps);
  const layer: Layer = {
    type: "layerNorm",
    forward(x, ctx) {
      const shape = x.shape.slice(wanted ? -wanted.length : 1);
      if (wanted && !sameShape(shape, wanted))
        throw shapeError(
          "layerNorm",
          "normalized-shape",
          message`normalizedShape is ${{ normalized: formatShape(wanted) }}, input has shape ${{ input: formatShape(x.shape) }}`,
        );
      const first = x.shape.length - shape.length;
      const { weight, bias } = affineOf(ctx, shape, options);
      const { centered, variance } = statisticsOf(
        x,
        shape.map((_, a) => first + a),
      );
      return scaled(
        "layerNorm",
        scaled("layerNorm", centered, scaleBy("layerNormScale", variance, eps)),
        weight,
        bias,
      );
    },
  };
  return configured(layer, options, AFFINE);
}

/** x normalized over each of `groups` groups of channels of each sample. */
function grouped(
  name: string,
  x: Value,
  groups: number,
  eps: number,
  weight?: Value,
  bias?: Value,
): Value {
  const [n, c, ...space] = x.shape;
  // (n, c, …) → (n, groups, c/groups · …)
  const { centered, variance } = statisticsOf(
    reshape(x, [n, groups, sizeOf(x.shape) / (n * groups)]),
    [2],
  );
  const shift = bias && along(x, bias);
  if (!weight)
    return scaled(
      name,
      reshape(scaled(name, centered, scaleBy(`${name}Scale`, variance, eps)), x.shape),
      undefined,
      shift,
    );
  // (n, groups, 1) and (1, groups, c/groups) → (n, c, 1, …)
  const scale = scaleBy(`${name}Scale`, variance, eps, reshape(weight, [1, groups, c / groups]));
  return scaled(
    name,
    reshape(centered, x.shape),
    reshape(scale, [n, c, ...space.map(() => 1)]),
    shift,
  );
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias, with mean and variance over c/groups channels of
 * one sample: x (n, c, …) → the same shape. Parameters weight (c), bias (c). Throws RangeError
 * unless `groups` is a whole number ≥ 1, and ShapeError if it does not divide c.
 */
export function groupNorm(
  groups: number,
  options: StandardizeOptions & SpatialOptions = {},
): Layer {
  const { eps = 1e-5 } = options;
  mustCount("groupNorm", "groups", groups);
  checkNorm("groupNorm", eps);
  const layer: Layer = {
    type: "groupNorm",
    forward(x, ctx) {
      if (x.shape.length < 2)
        throw shapeError(
          "groupNorm",
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs at least 2 (batch and channels)`,
        );
      const channels = x.shape[1];
      mustDivide("groupNorm", "channels", channels, groups);
      const { weight, bias } = affineOf(ctx, [channels], options);
      return grouped("groupNorm", x, groups, eps, weight, bias);
    },
  };
  return configured(layer, options, `layout ${AFFINE}`);
}

export interface InstanceNormOptions extends StandardizeOptions, SpatialOptions {
  /**
   * Factor of the new value in the running statistics, the mean over the samples of a training
   * step: running ← (1 − momentum)·running + momentum·new. Default: 0.1.
   */
  readonly momentum?: number | undefined;
  /** Whether inference uses running statistics from training. Default: false. */
  readonly trackRunningStats?: boolean | undefined;
}

function instanceNorm(rank: number, options: InstanceNormOptions = {}): Layer {
  const type = `instanceNorm${rank}d`;
  const { eps = 1e-5, momentum = 0.1, trackRunningStats = false } = options;
  checkNorm(type, eps, momentum);
  const layer: Layer = {
    type,
    forward(x, ctx) {
      checkRank(type, x, rank);
      const [n, c, ...space] = x.shape;
      const { weight, bias } = affineOf(ctx, [c], options, false);
      const running = trackRunningStats ? runningStatistics(ctx, [c], momentum) : null;
      if (running && !ctx.training) return byRunning(x, running, eps, weight, bias);
      const count = sizeOf(space);
      if (count < 2)
        throw shapeError(
          type,
          "one-value",
          message`mean and variance of a map need more than one value, input ${{ input: formatShape(x.shape) }} has ${{ count }}`,
        );
      if (running && ctx.training) {
        const { average, variance } = statisticsOf(reshape(x, [n, c, count]), [2]);
        running.follow(reshape(mean(average, 0), [c]), reshape(mean(variance, 0), [c]), count);
      }
      return grouped(type, x, c, eps, weight, bias);
    },
  };
  return configured(layer, options, `layout momentum trackRunningStats ${AFFINE}`);
}

/**
 * y = (x − mean) / √(var + eps), with mean and variance over each map of each sample: x (n, c, w) →
 * the same shape. With `affine` the result is multiplied by the parameter weight (c) and the
 * parameter bias (c) is added. With `trackRunningStats` it has the buffers of batch normalization,
 * of which num_batches_tracked stays 0, as in PyTorch. Throws ShapeError for a map of one value.
 */
export const instanceNorm1d = (options?: InstanceNormOptions): Layer => instanceNorm(1, options);
/** As {@link instanceNorm1d}: x (n, c, h, w) → the same shape. */
export const instanceNorm2d = (options?: InstanceNormOptions): Layer => instanceNorm(2, options);
/** As {@link instanceNorm1d}: x (n, c, d, h, w) → the same shape. */
export const instanceNorm3d = (options?: InstanceNormOptions): Layer => instanceNorm(3, options);
