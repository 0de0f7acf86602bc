// A residual network of 3-D convolutions for video, R3D-18: Tran, Wang, Torresani, Ray, LeCun and
// Paluri, "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR 2018, with
// the tensors named as in torchvision.

import { projected } from "../blocks/residual.ts";
import { relu } from "../layers/activation.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv3d, type ConvLayerOptions } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { batchNorm3d } from "../layers/norm.ts";
import { adaptiveAvgPool3d } from "../layers/pool.ts";
import { classesOf, normalInit, type ClassifierOptions } from "./imagenet.ts";

/** Convolution, normalization, and an activation if `activated`. */
const conv = (
  channels: number,
  kernel: number | readonly number[],
  options: ConvLayerOptions,
  activated: boolean,
): Layer =>
  sequential([
    conv3d(channels, kernel, { bias: false, init: kaimingNormal({ mode: "out" }), ...options }),
    activated ? pipe(batchNorm3d(), relu()) : batchNorm3d(),
  ]);

function block(channels: number, stride: number): Layer {
  const main = sequential({
    conv1: conv(channels, 3, { stride, padding: 1 }, true),
    conv2: conv(channels, 3, { padding: 1 }, false),
  });
  return projected(channels, stride, main, conv(channels, 1, { stride }, false));
}

const stage = (channels: number, stride: number): Layer =>
  sequential([block(channels, stride), block(channels, 1)]);

/**
 * Clips of 16 frames, 3×16×112×112, normalized, to the logits of the 400 classes of Kinetics.
 * 33,371,472 parameters.
 */
export function r3d18(options?: ClassifierOptions): Model {
  const classes = classesOf("r3d18", options, 400);
  return {
    name: "r3d18",
    input: [3, 16, 112, 112],
    classes,
    layer: sequential({
      stem: conv(64, [3, 7, 7], { stride: [1, 2, 2], padding: [1, 3, 3] }, true), // → 64×16×56×56
      layer1: stage(64, 1),
      layer2: stage(128, 2), // → 128×8×28×28
      layer3: stage(256, 2), // → 256×4×14×14
      layer4: stage(512, 2), // → 512×2×7×7
      avgpool: pipe(adaptiveAvgPool3d(1), flatten()),
      fc: linear(classes, { init: normalInit(0.01) }),
    }),
  };
}
