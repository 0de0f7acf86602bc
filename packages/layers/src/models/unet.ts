// U-Net: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
// Segmentation", MICCAI 2015, figure 1.

import { unetConvs, unetDown, unetUp, type UnetOptions } from "../blocks/unet.ts";
import { dropout, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { classesOf } from "./imagenet.ts";

export interface UnetModelOptions extends UnetOptions {
  /** Number of classes of a pixel, the channels of the output. Default: 2. */
  readonly classes?: number | undefined;
}

/** Channels of each level, at half the height and width of the level before. */
const widths = [64, 128, 256, 512, 1024];

/**
 * Images of 1×572×572 to the scores of two classes for the center crop of 388×388 pixels.
 * 31,030,658 parameters. With `padding: 1` the output has the size of the image, whose sides must
 * be multiples of 16.
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
