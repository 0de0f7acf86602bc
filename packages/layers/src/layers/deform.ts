// Deformable convolution as a layer. Convolutions of the same input, with initial weights 0,
// compute the offsets and, in version 2, the mask. Dai et al., "Deformable Convolutional Networks",
// ICCV 2017; Zhu, Hu, Lin and Dai, "Deformable ConvNets v2", CVPR 2019.

import { affine, deformConv2d as deform, perAxis, sigmoid, type PerAxis } from "@conv/ops";
import { mustCount } from "../checks.ts";
import {
  addBias,
  checkChannels,
  checkRank,
  CONV,
  conv2d,
  geometryOf,
  type ConvLayerOptions,
} from "./conv.ts";
import { fanOf, zeros } from "./init.ts";
import type { Layer } from "./layer.ts";
import { biasOf, configured, weightOf } from "./options.ts";

export interface DeformConvOptions extends Omit<ConvLayerOptions, "paddingMode" | "flipKernel"> {
  /** Number of groups of input channels with separate offsets. Default: 1. */
  readonly offsetGroups?: number | undefined;
  /**
   * Whether each sampled value is multiplied by a mask, 2·sigmoid(convolution), which is 1
   * initially (version 2). Default: true.
   */
  readonly modulated?: boolean | undefined;
}

/**
 * Convolution that reads its input at learned offsets, with bilinear interpolation: x (n, ic, h, w)
 * → (n, outChannels, h′, w′). Parameters weight (outChannels, ic/groups, kh, kw) and bias; parts
 * offset and mask, convolutions of the same geometry to 2·offsetGroups·kh·kw and offsetGroups·kh·kw
 * channels. Their initial weights are 0, so the layer initially equals `conv2d`. Throws ShapeError
 * if the geometry does not fit.
 */
export function deformConv2d(
  outChannels: number,
  kernel: PerAxis,
  options: DeformConvOptions = {},
): Layer {
  const type = "deformConv2d";
  mustCount(type, "outChannels", outChannels);
  const { stride, padding, dilation, groups = 1, offsetGroups = 1, modulated = true } = options;
  const size = perAxis(type, "kernel", kernel, 2, 1);
  const taps = offsetGroups * size[0] * size[1];
  const beside = (channels: number) =>
    conv2d(channels, kernel, { stride, padding, dilation, init: zeros });
  const [offset, mask] = [beside(2 * taps), beside(taps)];
  const layer: Layer = {
    type,
    forward(x, ctx) {
      checkRank(type, x, 2);
      const shape = [outChannels, checkChannels(type, outChannels, x, options) / groups, ...size];
      const weight = weightOf(ctx, shape, options);
      const bias = biasOf(ctx, [outChannels], options, fanOf(shape));
      const counts = modulated ? affine(sigmoid(ctx.child("mask", mask, x)), 2) : undefined;
      const y = deform(x, weight, ctx.child("offset", offset, x), counts, geometryOf(options));
      return bias ? addBias(y, bias) : y;
    },
  };
  return configured(layer, options, `${CONV} groups offsetGroups modulated`);
}
