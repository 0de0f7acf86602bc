// VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
// Recognition", ICLR 2015, configurations A, B, D and E, with the tensors named as in torchvision.

import { relu } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

/** Channels of each stage, → 112×112, 56×56, 28×28, 14×14, 7×7. */
const widths = [64, 128, 256, 512, 512];
/** Number of convolutions of each stage, which ends with max pooling. */
const depths = {
  11: [1, 1, 2, 2, 2],
  13: [2, 2, 2, 2, 2],
  16: [2, 2, 3, 3, 3],
  19: [2, 2, 4, 4, 4],
};

const init = normalInit(0.01);

function vgg(
  name: string,
  depth: keyof typeof depths,
  normalized: boolean,
  options?: ClassifierOptions,
): Model {
  const classes = classesOf(name, options);
  const conv = (channels: number) => [
    conv2d(channels, 3, { padding: 1, init: kaimingNormal({ mode: "out" }) }),
    ...(normalized ? [batchNorm2d()] : []),
    relu(),
  ];
  const stages = widths.flatMap((width, i) => [
    ...Array.from({ length: depths[depth][i] }, () => conv(width)).flat(),
    maxPool2d(2),
  ]);
  return {
    ...imagenet(name, classes),
    layer: sequential({
      features: sequential(stages),
      avgpool: pipe(adaptiveAvgPool2d(7), flatten()), // → 25,088
      classifier: sequential([
        linear(4096, { init }),
        relu(),
        dropout(),
        linear(4096, { init }),
        relu(),
        dropout(),
        linear(classes, { init }),
      ]),
    }),
  };
}

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 132,863,336 parameters. */
export const vgg11 = (options?: ClassifierOptions): Model => vgg("vgg11", 11, false, options);
/** {@link vgg11} with 13 layers. 133,047,848 parameters. */
export const vgg13 = (options?: ClassifierOptions): Model => vgg("vgg13", 13, false, options);
/** {@link vgg11} with 16 layers. 138,357,544 parameters. */
export const vgg16 = (options?: ClassifierOptions): Model => vgg("vgg16", 16, false, options);
/** {@link vgg11} with 19 layers. 143,667,240 parameters. */
export const vgg19 = (options?: ClassifierOptions): Model => vgg("vgg19", 19, false, options);
/** {@link vgg11} with batch normalization after each convolution. 132,868,840 parameters. */
export const vgg11_bn = (options?: ClassifierOptions): Model => vgg("vgg11_bn", 11, true, options);
/** {@link vgg11_bn} with 13 layers. 133,053,736 parameters. */
export const vgg13_bn = (options?: ClassifierOptions): Model => vgg("vgg13_bn", 13, true, options);
/** {@link vgg11_bn} with 16 layers. 138,365,992 parameters. */
export const vgg16_bn = (options?: ClassifierOptions): Model => vgg("vgg16_bn", 16, true, options);
/** {@link vgg11_bn} with 19 layers. 143,678,248 parameters. */
export const vgg19_bn = (options?: ClassifierOptions): Model => vgg("vgg19_bn", 19, true, options);
