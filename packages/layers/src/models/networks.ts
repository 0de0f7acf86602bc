// The models, one line for each file. The command line, the playground and the benchmarks use the
// name of the function as the name of the model.

export { alexnet, alexnet_2012 } from "./alexnet.ts";
export { densenet121 } from "./densenet.ts";
export { efficientnetB0 } from "./efficientnet.ts";
export { googlenet, googlenet5x5 } from "./googlenet.ts";
export { inceptionV3 } from "./inceptionV3.ts";
export { lenet5 } from "./lenet5.ts";
export { lenet5_1998 } from "./lenet5_1998.ts";
export { mobilenetV1 } from "./mobilenetV1.ts";
export { mobilenetV2 } from "./mobilenetV2.ts";
export { mobilenetV3Large, mobilenetV3Small } from "./mobilenetV3.ts";
export { nin } from "./nin.ts";
export { r3d18 } from "./r3d18.ts";
export {
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  resnext50_32x4d,
  wideResnet50_2,
} from "./resnet.ts";
export { resnet14, resnet20, resnet8 } from "./resnetSmall.ts";
export { deeplabV3Resnet50, fcnResnet50 } from "./segmentation.ts";
export { shufflenetV2 } from "./shufflenetV2.ts";
export { squeezenet1_0, squeezenet1_1 } from "./squeezenet.ts";
export { unet } from "./unet.ts";
export { vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn } from "./vgg.ts";
