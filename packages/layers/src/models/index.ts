// @conv/layers/models: the networks, each a function that returns its description.

import type { Model } from "../layer.ts";
import { digitCodes } from "./digits.ts";
import { lenet5 } from "./lenet5.ts";
import { c3Table, lenet5_1998, maximumAPosteriori } from "./lenet5_1998.ts";
import { mobilenetV2 } from "./mobilenetV2.ts";
import { resnet18, resnet50 } from "./resnet.ts";
import { squeezenet1_0, squeezenet1_1 } from "./squeezenet.ts";
import { vgg16 } from "./vgg.ts";

export type { ClassifierOptions } from "./imagenet.ts";
export { c3Table, digitCodes, lenet5, lenet5_1998, maximumAPosteriori, mobilenetV2, resnet18, resnet50, squeezenet1_0, squeezenet1_1, vgg16 };

/** All networks by name. */
export const models: Readonly<Record<string, () => Model>> = {
  lenet5,
  lenet5_1998,
  resnet18,
  resnet50,
  vgg16,
  mobilenetV2,
  squeezenet1_0,
  squeezenet1_1,
};
