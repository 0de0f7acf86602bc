// The two ways of a U-Net: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for
// Biomedical Image Segmentation", MICCAI 2015.

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
   * Of the 3×3 convolutions: 0 as in the paper, so that each takes a border of 1; or 1, which keeps
   * the size.
   */
  readonly padding?: 0 | 1 | undefined;
}

const init = kaimingNormal();

/** Two 3×3 convolutions with relu. Parts conv1, conv2. */
export function unetConvs(channels: number, options: UnetOptions = {}): Layer {
  checkOptions("unetConvs", options, "padding");
  const { padding = 0 } = options;
  const conv = () => pipe(conv2d(channels, 3, { padding, init }), relu());
  return sequential({ conv1: conv(), conv2: conv() });
}

/**
 * The way down: pooling by 2, then two convolutions, x (n, ic, h, w) → (n, channels, h/2 − 4, w/2 −
 * 4), with padding (n, channels, h/2, w/2). Parts conv1, conv2.
 */
export const unetDown = (channels: number, options?: UnetOptions): Layer =>
  pipe(maxPool2d(2), unetConvs(channels, options));

/**
 * The way up: what `below` makes of x, doubled in size by a transposed convolution, joined to the
 * middle of x, then two convolutions, x (n, ic, h, w) → (n, channels, h′, w′). Parts below, up,
 * conv1, conv2. Throws ShapeError where it came back larger than x.
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

/** The middle of x, of this size. */
function middle(x: Value, size: readonly number[]): Value {
  const start = size.map((s, a) => (x.shape[a + 2] - s) >> 1);
  if (start.some((s) => s < 0))
    throw shapeError(
      "unetUp",
      "larger-output",
      message`the inner layers turned ${{ shape: formatShape(x.shape.slice(2)) }} into ${{ size: formatShape(size) }}, must not be larger`,
    );
  return slice(x, [0, 0, ...start], [x.shape[0], x.shape[1], ...size]);
}
