// ShuffleNet v2: Ma, Zhang, Zheng and Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN
// Architecture Design", ECCV 2018, width 1.0, with the tensors named as in torchvision.

import { convNorm2d } from "../blocks/convNorm.ts";
import { shuffleUnit } from "../blocks/shuffleUnit.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { pytorch } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, type ClassifierOptions } from "./imagenet.ts";

/**
 * A stage of table 5 of the paper: channels and number of units; the first unit halves the size.
 */
const stage = (from: number, to: number, units: number) =>
  sequential(Array.from({ length: units }, (_, i) => shuffleUnit(i === 0 ? from : to, to)));

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 2,278,604 parameters. */
export function shufflenetV2(options?: ClassifierOptions): Model {
  const classes = classesOf("shufflenetV2", options);
  return {
    ...imagenet("shufflenetV2", classes),
    layer: sequential({
      conv1: convNorm2d(24, 3, { stride: 2, init: pytorch }), // → 24×112×112
      maxpool: maxPool2d(3, { stride: 2, padding: 1 }), // → 24×56×56
      stage2: stage(24, 116, 4), // → 116×28×28
      stage3: stage(116, 232, 8), // → 232×14×14
      stage4: stage(232, 464, 4), // → 464×7×7
      conv5: convNorm2d(1024, 1, { init: pytorch }),
      pool: pipe(adaptiveAvgPool2d(1), flatten()),
      fc: linear(classes),
    }),
  };
}
