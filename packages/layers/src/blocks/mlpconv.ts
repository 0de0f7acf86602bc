// The mlpconv layer: Lin, Chen and Yan, "Network in Network", ICLR 2014.

import { relu } from "../layers/activation.ts";
import { sequential } from "../layers/basic.ts";
import { conv2d, type ConvLayerOptions } from "../layers/conv.ts";
import type { Layer } from "../layers/layer.ts";

/**
 * A multilayer perceptron applied at every position: a convolution, then 1×1 convolutions, with a
 * relu after each; x (n, ic, h, w) → (n, last width, h′, w′). `options` apply to the first
 * convolution, `init` to all. Parts "0", "2", "4", ….
 */
export const mlpconv = (
  widths: readonly number[],
  kernel: number,
  options: ConvLayerOptions = {},
): Layer =>
  sequential(
    widths.flatMap((width, i) => [
      i === 0
        ? conv2d(width, kernel, options)
        : conv2d(width, 1, options.init && { init: options.init }),
      relu(),
    ]),
  );
