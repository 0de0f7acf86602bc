// Dense blocks: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional
// Networks", CVPR 2017, with the bottlenecks (B) and the compression (C) of DenseNet-BC. Parts as
// in torchvision.

import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { parallel } from "../layers/branch.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { avgPool2d } from "../layers/pool.ts";

const init = kaimingNormal();
const activated = (): Layer => pipe(batchNorm2d(), relu());

/**
 * `depth` layers, each of which reads the concatenated outputs of all layers before it, and adds
 * `growth` channels through a bottleneck of 4·growth: x (n, ic, h, w) → (n, ic + depth·growth, h,
 * w). Parts denselayer1, denselayer2, … with norm1, conv1, norm2, conv2.
 */
export function denseBlock(depth: number, growth: number): Layer {
  const layer = () =>
    sequential({
      norm1: activated(),
      conv1: conv2d(4 * growth, 1, { bias: false, init }),
      norm2: activated(),
      conv2: conv2d(growth, 3, { padding: 1, bias: false, init }),
    });
  return sequential(
    Array.from(
      { length: depth },
      (_, i) => [`denselayer${i + 1}`, parallel(pipe(), layer())] as const,
    ),
  );
}

/**
 * The transition between dense blocks, a 1×1 convolution and average pooling by 2: x (n, ic, h, w)
 * → (n, channels, h/2, w/2). Parts norm, conv.
 */
export const denseTransition = (channels: number): Layer =>
  sequential({
    norm: activated(),
    conv: conv2d(channels, 1, { bias: false, init }),
    pool: avgPool2d(2),
  });
