// @conv/layers/models: the networks, each a function that returns its description.

import type { Model } from "../layers/layer.ts";
import { alexnet, alexnet_2012 } from "./alexnet.ts";
import { densenet121 } from "./densenet.ts";
import { digitCodes } from "./digits.ts";
import { efficientnetB0 } from "./efficientnet.ts";
import { googlenet, googlenet5x5 } from "./googlenet.ts";
import { inceptionV3 } from "./inceptionV3.ts";
import { lenet5 } from "./lenet5.ts";
import { c3Table, lenet5_1998, maximumAPosteriori } from "./lenet5_1998.ts";
import { mobilenetV1 } from "./mobilenetV1.ts";
import { mobilenetV2 } from "./mobilenetV2.ts";
import { mobilenetV3Large, mobilenetV3Small } from "./mobilenetV3.ts";
import { nin } from "./nin.ts";
import { r3d18 } from "./r3d18.ts";
import {
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  resnext50_32x4d,
  wideResnet50_2,
} from "./resnet.ts";
import { resnet14, resnet20, resnet8 } from "./resnetSmall.ts";
import { deeplabV3Resnet50, fcnResnet50 } from "./segmentation.ts";
import { shufflenetV2 } from "./shufflenetV2.ts";
import { squeezenet1_0, squeezenet1_1 } from "./squeezenet.ts";
import { unet } from "./unet.ts";
import { vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn } from "./vgg.ts";

export type { AuxiliaryOptions, ClassifierOptions } from "./imagenet.ts";
export type { UnetModelOptions } from "./unet.ts";
export { c3Table, digitCodes, maximumAPosteriori };
export {
  lenet5,
  lenet5_1998,
  resnet8,
  resnet14,
  resnet20,
  alexnet_2012,
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
  densenet121,
  squeezenet1_0,
  squeezenet1_1,
  mobilenetV1,
  mobilenetV2,
  mobilenetV3Small,
  mobilenetV3Large,
  shufflenetV2,
  efficientnetB0,
  unet,
  fcnResnet50,
  deeplabV3Resnet50,
  r3d18,
};

/** All networks by name. */
export const models: Readonly<Record<string, () => Model>> = {
  lenet5,
  lenet5_1998,
  resnet8,
  resnet14,
  resnet20,
  alexnet_2012,
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
  densenet121,
  squeezenet1_0,
  squeezenet1_1,
  mobilenetV1,
  mobilenetV2,
  mobilenetV3Small,
  mobilenetV3Large,
  shufflenetV2,
  efficientnetB0,
  unet,
  fcnResnet50,
  deeplabV3Resnet50,
  r3d18,
};
