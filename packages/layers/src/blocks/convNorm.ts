// Convolution without bias, batch normalization and activation, the usual unit of networks since
// 2015.

import type { Padding } from "@conv/ops";
import { checkOptions } from "@conv/tensor";
import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal, type Init } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { batchNorm2d, type BatchNormOptions } from "../layers/norm.ts";

export interface ConvNormOptions {
  readonly stride?: number | undefined;
  /** Default: ⌊(kernel − 1)/2⌋·dilation, which keeps the size at stride 1 for odd kernels. */
  readonly padding?: Padding | undefined;
  readonly dilation?: number | undefined;
  readonly groups?: number | undefined;
  /** Default: relu; null for none. */
  readonly activation?: Layer | null | undefined;
  readonly norm?: BatchNormOptions | undefined;
  /** Of the convolution. Default: normal with variance 2/fan_out (He et al. 2015). */
  readonly init?: Init | undefined;
  /** Names of the convolution and the normalization. Default: "0" and "1". */
  readonly names?: readonly [conv: string, norm: string] | undefined;
}

/**
 * activation(batchNorm(conv(x))): x (n, ic, h, w) → (n, channels, h′, w′). Parts "0" (the
 * convolution) and "1" (normalization and activation), or the names in `names`.
 */
export function convNorm2d(
  channels: number,
  kernel: number | readonly [number, number],
  options: ConvNormOptions = {},
): Layer {
  checkOptions("convNorm2d", options, "stride padding dilation groups activation norm init names");
  const {
    stride = 1,
    dilation = 1,
    groups = 1,
    activation = relu(),
    norm,
    init = kaimingNormal({ mode: "out" }),
    names = ["0", "1"],
  } = options;
  const sizes = typeof kernel === "number" ? [kernel, kernel] : kernel;
  const { padding = sizes.map((size) => ((size - 1) >> 1) * dilation) } = options;
  return sequential([
    [names[0], conv2d(channels, sizes, { stride, padding, dilation, groups, bias: false, init })],
    [names[1], activation ? pipe(batchNorm2d(norm), activation) : batchNorm2d(norm)],
  ]);
}
