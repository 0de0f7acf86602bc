// Networks for semantic segmentation with a dilated ResNet-50 as backbone: FCN, Long, Shelhamer and
// Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015; DeepLab v3, Chen,
// Papandreou, Schroff and Adam, 2017. As in torchvision, with its tensor names.

import { upsample } from "@conv/ops";
import type { Value } from "@conv/tensor";
import { atrousPyramid } from "../blocks/atrousPyramid.ts";
import { relu } from "../layers/activation.ts";
import { dropout, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { AUXILIARY, classesOf, type AuxiliaryOptions } from "./imagenet.ts";
import { dilatedResnet50 } from "./resnet.ts";

const conv = (channels: number): readonly Layer[] => [
  conv2d(channels, 3, { padding: 1, bias: false }),
  batchNorm2d(),
  relu(),
];
const fcn = (channels: number, classes: number): Layer =>
  sequential([...conv(channels), dropout(0.1), conv2d(classes, 1)]);
const deeplab = (classes: number): Layer =>
  sequential([atrousPyramid([12, 24, 36]), ...conv(256), conv2d(classes, 1)]);

function build(
  name: string,
  classifierOf: (classes: number) => Layer,
  options: AuxiliaryOptions,
): Model {
  const { auxiliary = false } = options;
  const classes = classesOf(name, options, 21, AUXILIARY);
  const classifier = classifierOf(classes);
  const parts = dilatedResnet50();
  const head = fcn(256, classes);
  return {
    name,
    input: [3, 520, 520],
    layer: {
      type: name,
      forward(x, ctx) {
        const [, , height, width] = x.shape;
        const asLarge = (y: Value) => upsample(y, { size: [height, width], mode: "linear" });
        let middle = x;
        const backbone: Layer = {
          type: "backbone",
          forward: (value, inner) => {
            for (const [part, layer] of parts) {
              value = inner.child(part, layer, value);
              if (part === "layer3") middle = value;
            }
            return value;
          },
        };
        const y = asLarge(ctx.child("classifier", classifier, ctx.child("backbone", backbone, x)));
        if (auxiliary) {
          const aux = ctx.child("aux_classifier", head, middle);
          if (ctx.training) ctx.auxiliary(asLarge(aux), 0.5);
        }
        return y;
      },
    },
  };
}

/**
 * Images of 3×520×520, normalized, to the scores of 21 classes for each pixel: (n, 21, h, w). Other
 * sizes of the image are possible. 32,957,013 parameters, 35,322,218 with the auxiliary head.
 */
export const fcnResnet50 = (options: AuxiliaryOptions = {}): Model =>
  build("fcnResnet50", (classes) => fcn(512, classes), options);
/**
 * {@link fcnResnet50} with atrous pyramid pooling. 39,638,869 parameters, 42,004,074 with the
 * auxiliary head.
 */
export const deeplabV3Resnet50 = (options: AuxiliaryOptions = {}): Model =>
  build("deeplabV3Resnet50", deeplab, options);
