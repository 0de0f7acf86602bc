// MobileNetV2: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and
// Linear Bottlenecks", CVPR 2018, with the tensors named as in torchvision.

import { convNorm2d } from "../blocks/convNorm.ts";
import { linearBottleneck } from "../blocks/invertedResidual.ts";
import { relu6 } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

/** Table 2 of the paper: t (expansion), c (channels), n (blocks), s (stride of the first). */
const stages = [
  [1, 16, 1, 1], // → 112×112
  [6, 24, 2, 2], // → 56×56
  [6, 32, 3, 2], // → 28×28
  [6, 64, 4, 2], // → 14×14
  [6, 96, 3, 1],
  [6, 160, 3, 2], // → 7×7
  [6, 320, 1, 1],
] as const;

const activation = relu6();

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 3,504,872 parameters. */
export function mobilenetV2(options?: ClassifierOptions): Model {
  const classes = classesOf("mobilenetV2", options);
  const features = [convNorm2d(32, 3, { stride: 2, activation })];
  let from = 32;
  for (const [expansion, to, blocks, stride] of stages)
    for (let i = 0; i < blocks; i++, from = to)
      features.push(linearBottleneck(to, { expanded: expansion * from, stride: i ? 1 : stride }));
  features.push(convNorm2d(1280, 1, { activation }));
  return {
    ...imagenet("mobilenetV2", classes),
    layer: sequential({
      features: sequential(features),
      pool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: sequential([dropout(0.2), linear(classes, { init: normalInit(0.01) })]),
    }),
  };
}
