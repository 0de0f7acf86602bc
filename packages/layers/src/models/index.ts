// @conv/layers/models: the networks, each a function that returns its description.

import type { Model } from "../layer.ts";
import { alexnet } from "./alexnet.ts";
import { densenet121 } from "./densenet.ts";
import { digitCodes } from "./digits.ts";
import { googlenet, googlenet5x5 } from "./googlenet.ts";
import { inceptionV3 } from "./inceptionV3.ts";
import { lenet5 } from "./lenet5.ts";
import { c3Table, lenet5_1998, maximumAPosteriori } from "./lenet5_1998.ts";
import { mobilenetV1 } from "./mobilenetV1.ts";
import { mobilenetV2 } from "./mobilenetV2.ts";
import { nin } from "./nin.ts";
import { r3d18 } from "./r3d18.ts";
import { resnet101, resnet152, resnet18, resnet34, resnet50, resnext50_32x4d, wideResnet50_2 } from "./resnet.ts";
import { squeezenet1_0, squeezenet1_1 } from "./squeezenet.ts";
import { vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn } from "./vgg.ts";

export type { AuxiliaryOptions } from "./googlenet.ts";
export type { ClassifierOptions } from "./imagenet.ts";
export { c3Table, digitCodes, maximumAPosteriori };
export {
  lenet5,
  lenet5_1998,
  alexnet,
  nin,
  vgg11,
  vgg13,
  vgg16,
  vgg19,
  vgg11_bn,
  vgg13_bn,
  vgg16_bn,
  vgg19_bn,
  googlenet,
  googlenet5x5,
  inceptionV3,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnext50_32x4d,
  wideResnet50_2,
  squeezenet1_0,
  squeezenet1_1,
  mobilenetV1,
  mobilenetV2,
  densenet121,
  r3d18,
};

/** All networks by name, from the oldest to the youngest family. */
export const models: Readonly<Record<string, () => Model>> = {
  lenet5,
  lenet5_1998,
  alexnet,
  nin,
  vgg11,
  vgg13,
  vgg16,
  vgg19,
  vgg11_bn,
  vgg13_bn,
  vgg16_bn,
  vgg19_bn,
  googlenet,
  googlenet5x5,
  inceptionV3,
  resnet18,
  resnet34,
  resnet50,
  resnet101,
  resnet152,
  resnext50_32x4d,
  wideResnet50_2,
  squeezenet1_0,
  squeezenet1_1,
  mobilenetV1,
  mobilenetV2,
  densenet121,
  r3d18,
};
