// Normalizations within a sample, which need no batch. Layer: Ba, Kiros and Hinton, "Layer
// Normalization", 2016. Instance: Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The
// Missing Ingredient for Fast Stylization", 2016. Group: Wu and He, "Group Normalization", ECCV
// 2018.

import { mean, reshape } from "@conv/ops";
import { formatShape, message, sameShape, shapeError, sizeOf, type Value } from "@conv/tensor";
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

export interface StandardiseOptions extends AffineOptions {
  /** Added to the variance. */
  readonly eps?: number | undefined;
}

/**
 * y = weight · (x − mean) / √(var + eps) + bias over the last axes, which have the sizes
 * `normalizedShape`, by default all but the batch: x (n, …) → the same shape. Parameters weight and
 * bias of those sizes. Throws ShapeError where x does not end in them.
 */
export function layerNorm(
  normalizedShape?: number | readonly number[],
  options: StandardiseOptions & LayerOptions = {},
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

/** The values of x standardised over each of `groups` groups of channels of each sample. */
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
 * y = weight · (x − mean) / √(var + eps) + bias, mean and variance over c/groups channels of one
 * sample: x (n, c, …) → the same shape. Parameters weight (c), bias (c). Throws ShapeError where
 * groups does not divide c.
 */
export function groupNorm(
  groups: number,
  options: StandardiseOptions & SpatialOptions = {},
): Layer {
  const { eps = 1e-5 } = options;
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
      if (!(groups >= 1 && channels % groups === 0))
        throw shapeError(
          "groupNorm",
          "groups",
          message`${{ channels }} channels do not divide into ${{ groups }} groups`,
        );
      const { weight, bias } = affineOf(ctx, [channels], options);
      return grouped("groupNorm", x, groups, eps, weight, bias);
    },
  };
  return configured(layer, options, `layout ${AFFINE}`);
}

export interface InstanceNormOptions extends StandardiseOptions, SpatialOptions {
  /**
   * Factor by which each training step moves the running statistics towards the mean over its
   * samples.
   */
  readonly momentum?: number | undefined;
  /** true: inference uses running statistics of the training. */
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
          message`statistics of a map need more than one value, input ${{ input: formatShape(x.shape) }} has ${{ count }}`,
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
 * y = (x − mean) / √(var + eps), mean and variance over each map of each sample: x (n, c, w) → the
 * same shape. With `affine` times weight (c) plus bias (c); with `trackRunningStats` buffers as of
 * batch normalization, where num_batches_tracked stands still, as in PyTorch. Throws ShapeError for
 * a map of one value.
 */
export const instanceNorm1d = (options?: InstanceNormOptions): Layer => instanceNorm(1, options);
/** As {@link instanceNorm1d}: x (n, c, h, w) → the same shape. */
export const instanceNorm2d = (options?: InstanceNormOptions): Layer => instanceNorm(2, options);
/** As {@link instanceNorm1d}: x (n, c, d, h, w) → the same shape. */
export const instanceNorm3d = (options?: InstanceNormOptions): Layer => instanceNorm(3, options);
