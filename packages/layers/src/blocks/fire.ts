// The fire module of SqueezeNet: Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, "SqueezeNet:
// AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016. Parts as in
// torchvision.

import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { branches } from "../layers/branch.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingUniform } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";

const conv = (channels: number, kernel: number): Layer =>
  pipe(conv2d(channels, kernel, { padding: kernel >> 1, init: kaimingUniform() }), relu());

/**
 * A 1×1 convolution to `squeeze` channels, then parallel 1×1 and 3×3 convolutions to `expand`
 * channels each: x (n, ic, h, w) → (n, 2·expand, h, w). Parts squeeze, expand1x1, expand3x3.
 */
export const fire = (squeeze: number, expand: number): Layer =>
  pipe(
    sequential({ squeeze: conv(squeeze, 1) }),
    branches({ expand1x1: conv(expand, 1), expand3x3: conv(expand, 3) }),
  );
