// U-Net: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
// Segmentation", MICCAI 2015, figure 1.

import { unetConvs, unetDown, unetUp, type UnetOptions } from "../blocks/unet.ts";
import { dropout, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { classesOf } from "./imagenet.ts";

export interface UnetModelOptions extends UnetOptions {
  /** Maps of the output, one for each class of a pixel. */
  readonly classes?: number | undefined;
}

/** Channels of each level; each is half as high and wide as the one before. */
const widths = [64, 128, 256, 512, 1024];

/**
 * Images of 1×572×572 to scores of two classes for the 388×388 pixels in their middle. 31,030,658
 * parameters. With `padding: 1` all pixels of images whose sides are multiples of 16.
 */
export function unet(options: UnetModelOptions = {}): Model {
  const { padding = 0 } = options;
  const classes = classesOf("unet", options, 2, "classes padding");
  const level = (i: number): Layer => {
    const down = unetDown(widths[i], { padding });
    if (i === widths.length - 1) return pipe(down, dropout());
    return sequential({ down, level: unetUp(widths[i], level(i + 1), { padding }) });
  };
  return {
    name: "unet",
    input: [1, 572, 572],
    layer: sequential({
      first: unetConvs(widths[0], { padding }),
      level: unetUp(widths[0], level(1), { padding }),
      last: conv2d(classes, 1, { init: kaimingNormal() }),
    }),
  };
}
