// The inception module of GoogLeNet (Szegedy et al., "Going deeper with convolutions", CVPR 2015),
// and the five of Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the
// Inception Architecture for Computer Vision", CVPR 2016). With batch normalization, and parts as
// in torchvision.

import { pipe, sequential } from "../layers/basic.ts";
import { parallel } from "../layers/branch.ts";
import { normal } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { avgPool2d, maxPool2d } from "../layers/pool.ts";
import { convNorm2d, type ConvNormOptions } from "./convNorm.ts";

type Kernel = number | readonly [number, number];

const unit =
  (std: number) =>
  (channels: number, kernel: Kernel, options: ConvNormOptions = {}): Layer =>
    convNorm2d(channels, kernel, {
      names: ["conv", "bn"],
      norm: { eps: 1e-3 },
      init: normal(0, std),
      ...options,
    });
/** Convolution, normalization (ε = 0.001) and relu of GoogLeNet: parts conv and bn. */
export const googlenetConv = unit(0.01);
/** Convolution, normalization (ε = 0.001) and relu of Inception v3: parts conv and bn. */
export const inceptionConv = unit(0.1);

/** Channels of an inception module of GoogLeNet, in the order of table 1 of the paper. */
export type InceptionV1Widths = readonly [
  by1x1: number,
  reduce3x3: number,
  by3x3: number,
  reduce5x5: number,
  by5x5: number,
  pooled: number,
];

/**
 * Four parallel branches, concatenated: 1×1; 1×1 then 3×3; 1×1 then `kernel`×`kernel`; 3×3 max
 * pooling then 1×1. x (n, ic, h, w) → (n, by1x1 + by3x3 + by5x5 + pooled, h, w). The kernel is 5
 * (the default) in the paper and 3 in torchvision. Parts branch1, branch2.0, branch2.1, branch3.0,
 * branch3.1, branch4.1.
 */
export function inceptionV1(
  [by1x1, reduce3x3, by3x3, reduce5x5, by5x5, pooled]: InceptionV1Widths,
  kernel: 3 | 5 = 5,
): Layer {
  const conv = googlenetConv;
  return parallel(
    sequential({
      branch1: conv(by1x1, 1),
    }),
    sequential({ branch2: sequential([conv(reduce3x3, 1), conv(by3x3, 3)]) }),
    sequential({ branch3: sequential([conv(reduce5x5, 1), conv(by5x5, kernel)]) }),
    sequential({ branch4: sequential([maxPool2d(3, { stride: 1, padding: 1 }), conv(pooled, 1)]) }),
  );
}

const conv = inceptionConv;
const averaged = (channels: number): Layer =>
  pipe(avgPool2d(3, { stride: 1, padding: 1 }), sequential({ branch_pool: conv(channels, 1) }));
const halved = (): Layer => maxPool2d(3, { stride: 2 });
const strided = { stride: 2, padding: 0 };

/**
 * Figure 5, with a 5×5 branch and a branch of two 3×3: x (n, ic, h, w) → (n, 224 + pooled, h, w).
 */
export const inceptionA = (pooled: number): Layer =>
  parallel(
    sequential({ branch1x1: conv(64, 1) }),
    sequential({ branch5x5_1: conv(48, 1), branch5x5_2: conv(64, 5) }),
    sequential({
      branch3x3dbl_1: conv(64, 1),
      branch3x3dbl_2: conv(96, 3),
      branch3x3dbl_3: conv(96, 3),
    }),
    averaged(pooled),
  );

/** Figure 10, which halves the size: x (n, ic, h, w) → (n, 480 + ic, (h − 1)/2, (w − 1)/2). */
export const inceptionB = (): Layer =>
  parallel(
    sequential({ branch3x3: conv(384, 3, strided) }),
    sequential({
      branch3x3dbl_1: conv(64, 1),
      branch3x3dbl_2: conv(96, 3),
      branch3x3dbl_3: conv(96, 3, strided),
    }),
    halved(),
  );

/**
 * Figure 6, with 7×7 as 1×7 and 7×1, in one branch once, in another twice: x (n, ic, h, w) → (n,
 * 768, h, w).
 */
export const inceptionC = (inner: number): Layer =>
  parallel(
    sequential({ branch1x1: conv(192, 1) }),
    sequential({
      branch7x7_1: conv(inner, 1),
      branch7x7_2: conv(inner, [1, 7]),
      branch7x7_3: conv(192, [7, 1]),
    }),
    sequential({
      branch7x7dbl_1: conv(inner, 1),
      branch7x7dbl_2: conv(inner, [7, 1]),
      branch7x7dbl_3: conv(inner, [1, 7]),
      branch7x7dbl_4: conv(inner, [7, 1]),
      branch7x7dbl_5: conv(192, [1, 7]),
    }),
    averaged(192),
  );

/**
 * Halves the size, with a branch of 7×7 before 3×3: x (n, ic, h, w) → (n, 512 + ic, (h − 1)/2, (w −
 * 1)/2).
 */
export const inceptionD = (): Layer =>
  parallel(
    sequential({ branch3x3_1: conv(192, 1), branch3x3_2: conv(320, 3, strided) }),
    sequential({
      branch7x7x3_1: conv(192, 1),
      branch7x7x3_2: conv(192, [1, 7]),
      branch7x7x3_3: conv(192, [7, 1]),
      branch7x7x3_4: conv(192, 3, strided),
    }),
    halved(),
  );

/** Figure 7, with 3×3 as parallel 1×3 and 3×1: x (n, ic, h, w) → (n, 2048, h, w). */
export const inceptionE = (): Layer =>
  parallel(
    sequential({ branch1x1: conv(320, 1) }),
    pipe(
      sequential({ branch3x3_1: conv(384, 1) }),
      parallel(
        sequential({ branch3x3_2a: conv(384, [1, 3]) }),
        sequential({ branch3x3_2b: conv(384, [3, 1]) }),
      ),
    ),
    pipe(
      sequential({ branch3x3dbl_1: conv(448, 1), branch3x3dbl_2: conv(384, 3) }),
      parallel(
        sequential({ branch3x3dbl_3a: conv(384, [1, 3]) }),
        sequential({ branch3x3dbl_3b: conv(384, [3, 1]) }),
      ),
    ),
    averaged(192),
  );
