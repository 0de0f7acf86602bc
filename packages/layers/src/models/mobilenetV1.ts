// MobileNet: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, "MobileNets:
// Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017, table 1.

import { convNorm2d } from "../blocks/convNorm.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, type ClassifierOptions } from "./imagenet.ts";

/** Channels and stride of each pair of a depthwise and a pointwise convolution. */
const pairs = [
  [64, 1], // → 112×112
  [128, 2], // → 56×56
  [128, 1],
  [256, 2], // → 28×28
  [256, 1],
  [512, 2], // → 14×14
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [512, 1],
  [1024, 2], // → 7×7
  [1024, 1],
] as const;

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 4,231,976 parameters. */
export function mobilenetV1(options?: ClassifierOptions): Model {
  const classes = classesOf("mobilenetV1", options);
  let from = 32;
  const body = pairs.map(([to, stride]) => {
    const pair = sequential([convNorm2d(from, 3, { stride, groups: from }), convNorm2d(to, 1)]);
    from = to;
    return pair;
  });
  return {
    ...imagenet("mobilenetV1", classes),
    layer: sequential({
      features: sequential([convNorm2d(32, 3, { stride: 2 }), ...body]),
      pool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: linear(classes),
    }),
  };
}
