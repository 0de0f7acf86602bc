// Residual networks for small images: He, Zhang, Ren and Sun, "Deep Residual Learning for Image
// Recognition", CVPR 2016, section 4.2, with projection shortcuts where the shape changes.

import { convNorm2d } from "../blocks/convNorm.ts";
import { residualBasic } from "../blocks/residual.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { classesOf, type ClassifierOptions } from "./imagenet.ts";

export interface SmallOptions extends ClassifierOptions {
  /** Shape of one image (c, h, w). Default: [1, 28, 28]. */
  readonly input?: readonly number[] | undefined;
}

/** 6·n + 2 layers with weights: a convolution, three stages of n blocks, and a linear layer. */
function small(name: string, blocks: number, options: SmallOptions): Model {
  const { input = [1, 28, 28] } = options;
  const classes = classesOf(name, options, 10, "classes input");
  const stage = (channels: number, stride: number): Layer =>
    sequential(
      Array.from({ length: blocks }, (_, i) => residualBasic(channels, { stride: i ? 1 : stride })),
    );
  return {
    name,
    input,
    classes,
    layer: sequential({
      stem: convNorm2d(16, 3),
      layer1: stage(16, 1), // → 16×28×28
      layer2: stage(32, 2), // → 32×14×14
      layer3: stage(64, 2), // → 64×7×7
      avgpool: pipe(adaptiveAvgPool2d(1), flatten()),
      fc: linear(classes),
    }),
  };
}

/** Small images, by default gray 28×28, to the logits of 10 classes. 77,754 parameters. */
export const resnet8 = (options: SmallOptions = {}): Model => small("resnet8", 1, options);
/** {@link resnet8} with twice as many blocks. 174,970 parameters. */
export const resnet14 = (options: SmallOptions = {}): Model => small("resnet14", 2, options);
/** {@link resnet8} with three times as many blocks. 272,186 parameters. */
export const resnet20 = (options: SmallOptions = {}): Model => small("resnet20", 3, options);
