// VGG: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015, with the tensors
// named as in torchvision.

import { relu } from "../activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../basic.ts";
import { conv2d } from "../conv.ts";
import { kaimingNormal, normal, zeros, type Init } from "../init.ts";
import type { Layer, Model } from "../layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../pool.ts";
import { imagenet, type ClassifierOptions } from "./imagenet.ts";

/** Channels of the convolutions of each stage; each stage ends with a pool. Configuration D of the paper. */
const stages = [
  [64, 64], // → 112×112
  [128, 128], // → 56×56
  [256, 256, 256], // → 28×28
  [512, 512, 512], // → 14×14
  [512, 512, 512], // → 7×7
];

const conv = (channels: number): Layer => conv2d(channels, 3, { padding: 1, init: kaimingNormal({ mode: "out" }) });
const init: Init = (_, role) => (role === "bias" ? zeros : normal(0, 0.01));

/** Images of 3×224×224, normalised, to the logits of 1000 classes. 138,357,544 parameters. */
export const vgg16 = ({ classes = 1000 }: ClassifierOptions = {}): Model => ({
  ...imagenet("vgg16", classes),
  layer: sequential({
    features: sequential(stages.flatMap((widths) => [...widths.flatMap((width) => [conv(width), relu()]), maxPool2d(2)])),
    avgpool: pipe(adaptiveAvgPool2d(7), flatten()), // → 25,088
    classifier: sequential([linear(4096, { init }), relu(), dropout(), linear(4096, { init }), relu(), dropout(), linear(classes, { init })]),
  }),
});
