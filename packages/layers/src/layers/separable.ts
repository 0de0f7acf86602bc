// Convolutions with fewer multiplications: depthwise (each channel separately), pointwise (1×1),
// and separable (depthwise, then pointwise).

import type { PerAxis } from "@conv/ops";
import { mustBe } from "../checks.ts";
import { checkRank, CONV, conv1d, conv2d, conv3d, type ConvLayerOptions } from "./conv.ts";
import type { Init } from "./init.ts";
import type { Constraint, Layer, Regularizer } from "./layer.ts";
import { checkLayerOptions, LAYER, WEIGHT } from "./options.ts";

const convs = [conv1d, conv2d, conv3d];

export interface DepthwiseOptions extends Omit<ConvLayerOptions, "groups"> {
  /** Output channels for each input channel; they are adjacent. Default: 1. */
  readonly depthMultiplier?: number | undefined;
}

const DEPTHWISE = `${CONV} ${LAYER} paddingMode flipKernel depthMultiplier`;

function depthwise(rank: number, kernel: PerAxis, given: DepthwiseOptions): Layer {
  const type = `depthwiseConv${rank}d`;
  checkLayerOptions(type, given, DEPTHWISE);
  const { depthMultiplier = 1, ...options } = given;
  mustBe("a whole number ≥ 1", type, { depthMultiplier });
  // One layer for each number of channels, so that a depthwise layer that is used twice shares its
  // parameters.
  const made = new Map<number, Layer>();
  return {
    type,
    ...(options.name !== undefined && { name: options.name }),
    forward(x, ctx) {
      checkRank(type, x, rank);
      const channels = x.shape[options.layout === "channels-last" ? rank + 1 : 1];
      const layer =
        made.get(channels) ??
        convs[rank - 1](channels * depthMultiplier, kernel, { ...options, groups: channels });
      made.set(channels, layer);
      return layer.forward(x, ctx);
    },
  };
}

/**
 * Convolution of each channel separately: y[c·m + j] = w[c·m + j] ⋆ x[c], with m = depthMultiplier;
 * x (n, c, w) → (n, c·m, w′). Parameters weight (c·m, 1, kernel), bias (c·m). Throws ShapeError if
 * the geometry does not fit.
 */
export const depthwiseConv1d = (kernel: PerAxis, options: DepthwiseOptions = {}): Layer =>
  depthwise(1, kernel, options);
/** {@link depthwiseConv1d} over two spatial axes: x (n, c, h, w) → (n, c·m, h′, w′). */
export const depthwiseConv2d = (kernel: PerAxis, options: DepthwiseOptions = {}): Layer =>
  depthwise(2, kernel, options);
/** {@link depthwiseConv1d} over three spatial axes. */
export const depthwiseConv3d = (kernel: PerAxis, options: DepthwiseOptions = {}): Layer =>
  depthwise(3, kernel, options);

export type PointwiseOptions = Omit<
  ConvLayerOptions,
  "padding" | "paddingMode" | "dilation" | "flipKernel"
>;

function pointwise(rank: number, outChannels: number, options: PointwiseOptions): Layer {
  checkLayerOptions(
    `pointwiseConv${rank}d`,
    options,
    `stride groups layout inChannels precision ${WEIGHT} ${LAYER}`,
  );
  return convs[rank - 1](outChannels, 1, options);
}

/**
 * Convolution with a kernel of 1: y[o] = Σ w[o, c]·x[c] + b[o] at every position; x (n, c, w) → (n,
 * outChannels, w).
 */
export const pointwiseConv1d = (outChannels: number, options: PointwiseOptions = {}): Layer =>
  pointwise(1, outChannels, options);
/** {@link pointwiseConv1d} over two spatial axes. */
export const pointwiseConv2d = (outChannels: number, options: PointwiseOptions = {}): Layer =>
  pointwise(2, outChannels, options);
/** {@link pointwiseConv1d} over three spatial axes. */
export const pointwiseConv3d = (outChannels: number, options: PointwiseOptions = {}): Layer =>
  pointwise(3, outChannels, options);

/** Options `depthwise…` apply to the depthwise convolution, `weight…` to the pointwise one. */
export interface SeparableOptions extends DepthwiseOptions {
  readonly depthwiseInit?: Init | undefined;
  readonly depthwiseRegularizer?: Regularizer | undefined;
  readonly depthwiseConstraint?: Constraint | undefined;
}

function separable(
  rank: number,
  outChannels: number,
  kernel: PerAxis,
  given: SeparableOptions,
): Layer {
  const type = `separableConv${rank}d`;
  checkLayerOptions(
    type,
    given,
    `${DEPTHWISE} depthwiseInit depthwiseRegularizer depthwiseConstraint`,
  );
  const {
    name,
    depthMultiplier,
    depthwiseInit,
    depthwiseRegularizer,
    depthwiseConstraint,
    ...options
  } = given;
  const first = depthwise(rank, kernel, {
    ...options,
    depthMultiplier,
    bias: false,
    activation: undefined,
    outputRegularizer: undefined,
    weightInit: depthwiseInit,
    weightRegularizer: depthwiseRegularizer,
    weightConstraint: depthwiseConstraint,
  });
  const second = convs[rank - 1](outChannels, 1, {
    ...options,
    inChannels: undefined,
    stride: 1,
    padding: 0,
    dilation: 1,
    paddingMode: "zeros",
  });
  return {
    type,
    ...(name !== undefined && { name }),
    forward: (x, ctx) => ctx.child("pointwise", second, ctx.child("depthwise", first, x)),
  };
}

/**
 * A depthwise convolution without bias, then a pointwise one: x (n, c, w) → (n, outChannels, w′),
 * with c·m·(kernel + outChannels) multiplications per position instead of c·kernel·outChannels.
 * Parts depthwise (weight) and pointwise (weight, bias).
 */
export const separableConv1d = (
  outChannels: number,
  kernel: PerAxis,
  options: SeparableOptions = {},
): Layer => separable(1, outChannels, kernel, options);
/** {@link separableConv1d} over two spatial axes (Chollet, "Xception", CVPR 2017). */
export const separableConv2d = (
  outChannels: number,
  kernel: PerAxis,
  options: SeparableOptions = {},
): Layer => separable(2, outChannels, kernel, options);
/** {@link separableConv1d} over three spatial axes. */
export const separableConv3d = (
  outChannels: number,
  kernel: PerAxis,
  options: SeparableOptions = {},
): Layer => separable(3, outChannels, kernel, options);
