// SqueezeNet: Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, "SqueezeNet: AlexNet-level
// accuracy with 50x fewer parameters and <0.5MB model size", 2016, versions 1.0 and 1.1, with the
// tensors named as in torchvision.

import { fire } from "../blocks/fire.ts";
import { relu } from "../layers/activation.ts";
import { dropout, flatten, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingUniform } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

const pool = "pool";
/**
 * The first convolution, then pools and the squeeze channels of the fire modules, whose expand
 * convolutions have four times as many channels each.
 */
const versions = {
  squeezenet1_0: {
    channels: 96,
    kernel: 7,
    body: [pool, 16, 16, 32, pool, 32, 48, 48, 64, pool, 64],
  },
  squeezenet1_1: {
    channels: 64,
    kernel: 3,
    body: [pool, 16, 16, pool, 32, 32, pool, 48, 48, 64, 64],
  },
} as const;

const squeezenet = (name: keyof typeof versions, options?: ClassifierOptions): Model => {
  const classes = classesOf(name, options);
  const { channels, kernel, body } = versions[name];
  const rest = body.map((part) =>
    part === pool ? maxPool2d(3, { stride: 2, ceilMode: true }) : fire(part, 4 * part),
  );
  const last = conv2d(classes, 1, { init: normalInit(0.01) });
  return {
    ...imagenet(name, classes),
    layer: sequential({
      features: sequential([
        conv2d(channels, kernel, { stride: 2, init: kaimingUniform() }),
        relu(),
        ...rest,
      ]),
      classifier: sequential([dropout(), last, relu(), pipe(adaptiveAvgPool2d(1), flatten())]),
    }),
  };
};

/** Images of 3×224×224, normalized, to the scores of 1000 classes. 1,248,424 parameters. */
export const squeezenet1_0 = (options?: ClassifierOptions): Model =>
  squeezenet("squeezenet1_0", options);
/**
 * Images of 3×224×224, normalized, to the scores of 1000 classes, with less than half of the
 * multiply-accumulates of 1.0. 1,235,496 parameters.
 */
export const squeezenet1_1 = (options?: ClassifierOptions): Model =>
  squeezenet("squeezenet1_1", options);
