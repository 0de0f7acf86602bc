// The contracting and the expanding path of a U-Net: Ronneberger, Fischer and Brox, "U-Net:
// Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015.

import { concat, slice } from "@conv/ops";
import { checkOptions, formatShape, message, shapeError, type Value } from "@conv/tensor";
import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { conv2d, convTranspose2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { maxPool2d } from "../layers/pool.ts";

export interface UnetOptions {
  /**
   * Padding of the 3×3 convolutions: 0 (the default, as in the paper), which removes a border of 1
   * pixel in each; or 1, which keeps the size.
   */
  readonly padding?: 0 | 1 | undefined;
}

const init = kaimingNormal();

/**
 * Two 3×3 convolutions with relu: x (n, ic, h, w) → (n, channels, h − 4, w − 4), with padding 1 (n,
 * channels, h, w). Parts conv1, conv2.
 */
export function unetConvs(channels: number, options: UnetOptions = {}): Layer {
  checkOptions("unetConvs", options, "padding");
  const { padding = 0 } = options;
  const conv = () => pipe(conv2d(channels, 3, { padding, init }), relu());
  return sequential({ conv1: conv(), conv2: conv() });
}

/**
 * A step of the contracting path, max pooling by 2 and two convolutions: x (n, ic, h, w) → (n,
 * channels, h/2 − 4, w/2 − 4), with padding 1 (n, channels, h/2, w/2). Parts conv1, conv2.
 */
export const unetDown = (channels: number, options?: UnetOptions): Layer =>
  pipe(maxPool2d(2), unetConvs(channels, options));

/**
 * A step of the expanding path: `below` is applied to x, a transposed convolution doubles the size
 * of the result, a center crop of x is concatenated, and two convolutions follow; x (n, ic, h, w) →
 * (n, channels, h′, w′). Parts below, up, conv1, conv2. Throws ShapeError if the doubled result is
 * larger than x.
 */
export function unetUp(channels: number, below: Layer, options?: UnetOptions): Layer {
  const up = convTranspose2d(channels, 2, { stride: 2, init });
  const convs = unetConvs(channels, options);
  return {
    type: "unetUp",
    forward(x, ctx) {
      const y = ctx.child("up", up, ctx.child("below", below, x));
      return convs.forward(concat([middle(x, y.shape.slice(2)), y], 1), ctx);
    },
  };
}

/** The center crop of x of this size. */
function middle(x: Value, size: readonly number[]): Value {
  const start = size.map((s, a) => (x.shape[a + 2] - s) >> 1);
  if (start.some((s) => s < 0))
    throw shapeError(
      "unetUp",
      "larger-output",
      message`the inner layers and the upsampling turn ${{ shape: formatShape(x.shape.slice(2)) }} into ${{ size: formatShape(size) }}, which must not be larger; use an inner layer that does not enlarge its input`,
    );
  return slice(x, [0, 0, ...start], [x.shape[0], x.shape[1], ...size]);
}
