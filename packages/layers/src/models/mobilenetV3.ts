// MobileNetV3: Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le and Adam,
// "Searching for MobileNetV3", ICCV 2019, tables 1 and 2, with the tensors named as in torchvision.

import { convNorm2d } from "../blocks/convNorm.ts";
import { invertedResidual } from "../blocks/invertedResidual.ts";
import { squeezeExcitation } from "../blocks/squeezeExcitation.ts";
import { hardSigmoid, hardSwish, relu } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { classesOf, divisible, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

/**
 * A row of the tables: kernel, expansion size, channels, squeeze and excitation, activation,
 * stride.
 */
type Row = readonly [
  kernel: 3 | 5,
  expanded: number,
  channels: number,
  squeeze: boolean,
  activation: "RE" | "HS",
  stride: 1 | 2,
];

const large: readonly Row[] = [
  [3, 16, 16, false, "RE", 1], // → 112×112
  [3, 64, 24, false, "RE", 2], // → 56×56
  [3, 72, 24, false, "RE", 1],
  [5, 72, 40, true, "RE", 2], // → 28×28
  [5, 120, 40, true, "RE", 1],
  [5, 120, 40, true, "RE", 1],
  [3, 240, 80, false, "HS", 2], // → 14×14
  [3, 200, 80, false, "HS", 1],
  [3, 184, 80, false, "HS", 1],
  [3, 184, 80, false, "HS", 1],
  [3, 480, 112, true, "HS", 1],
  [3, 672, 112, true, "HS", 1],
  [5, 672, 160, true, "HS", 2], // → 7×7
  [5, 960, 160, true, "HS", 1],
  [5, 960, 160, true, "HS", 1],
];

const small: readonly Row[] = [
  [3, 16, 16, true, "RE", 2], // → 56×56
  [3, 72, 24, false, "RE", 2], // → 28×28
  [3, 88, 24, false, "RE", 1],
  [5, 96, 40, true, "HS", 2], // → 14×14
  [5, 240, 40, true, "HS", 1],
  [5, 240, 40, true, "HS", 1],
  [5, 120, 48, true, "HS", 1],
  [5, 144, 48, true, "HS", 1],
  [5, 288, 96, true, "HS", 2], // → 7×7
  [5, 576, 96, true, "HS", 1],
  [5, 576, 96, true, "HS", 1],
];

const norm = { eps: 1e-3, momentum: 0.01 };
const init = normalInit(0.01);

function build(
  name: string,
  rows: readonly Row[],
  hidden: number,
  options?: ClassifierOptions,
): Model {
  const classes = classesOf(name, options);
  const blocks = rows.map(([kernel, expanded, channels, squeeze, activation, stride]) =>
    invertedResidual(channels, {
      expanded,
      kernel,
      stride,
      norm,
      activation: activation === "HS" ? hardSwish() : relu(),
      squeeze: squeeze
        ? squeezeExcitation(divisible(expanded / 4), {
            scaleActivation: hardSigmoid(),
            init: kaimingNormal({ mode: "out" }),
          })
        : undefined,
    }),
  );
  const last = 6 * rows[rows.length - 1][2];
  const unit = { norm, activation: hardSwish() };
  return {
    ...imagenet(name, classes),
    layer: sequential({
      features: sequential([
        convNorm2d(16, 3, { stride: 2, ...unit }),
        ...blocks,
        convNorm2d(last, 1, unit),
      ]),
      avgpool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: sequential([
        linear(hidden, { init }),
        hardSwish(),
        dropout(0.2),
        linear(classes, { init }),
      ]),
    }),
  };
}

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 2,542,856 parameters. */
export const mobilenetV3Small = (options?: ClassifierOptions): Model =>
  build("mobilenetV3Small", small, 1024, options);
/** {@link mobilenetV3Small} with the layers of table 1. 5,483,032 parameters. */
export const mobilenetV3Large = (options?: ClassifierOptions): Model =>
  build("mobilenetV3Large", large, 1280, options);
