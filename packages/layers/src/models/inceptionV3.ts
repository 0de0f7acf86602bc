// Inception v3: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the Inception Architecture
// for Computer Vision", CVPR 2016, as torchvision builds it and names its tensors.

import {
  inceptionA,
  inceptionB,
  inceptionC,
  inceptionConv as conv,
  inceptionD,
  inceptionE,
} from "../blocks/inception.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { normal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, avgPool2d, maxPool2d } from "../layers/pool.ts";
import { withHeads } from "./heads.ts";
import { AUXILIARY, classesOf, type AuxiliaryOptions } from "./imagenet.ts";

const start = (std: number) => ({ weightInit: normal(0, std) });
const pool = (): Layer => maxPool2d(3, { stride: 2 });
const valid = { padding: 0 };

const head = (classes: number): Layer =>
  sequential({
    pool: avgPool2d(5, { stride: 3 }), // → 768×5×5
    conv0: conv(128, 1),
    conv1: conv(768, 5, valid),
    avgpool: pipe(adaptiveAvgPool2d(1), flatten()),
    fc: linear(classes, start(0.001)),
  });

/**
 * Images of 3×299×299, scaled to −1…1, to the logits of 1000 classes. 27,161,264 parameters, of
 * which 3,326,696 are in the auxiliary head (`auxiliary`, default true). Images smaller than 299
 * need `auxiliary: false`.
 */
export function inceptionV3(options: AuxiliaryOptions = {}): Model {
  const { auxiliary = true } = options;
  const classes = classesOf("inceptionV3", options, 1000, AUXILIARY);
  return {
    name: "inceptionV3",
    input: [3, 299, 299],
    classes,
    layer: withHeads([
      ["Conv2d_1a_3x3", conv(32, 3, { stride: 2, padding: 0 })], // → 32×149×149
      ["Conv2d_2a_3x3", conv(32, 3, valid)],
      ["Conv2d_2b_3x3", conv(64, 3)],
      ["maxpool1", pool()], // → 64×73×73
      ["Conv2d_3b_1x1", conv(80, 1)],
      ["Conv2d_4a_3x3", conv(192, 3, valid)],
      ["maxpool2", pool()], // → 192×35×35
      ["Mixed_5b", inceptionA(32)],
      ["Mixed_5c", inceptionA(64)],
      ["Mixed_5d", inceptionA(64)], // → 288×35×35
      ["Mixed_6a", inceptionB()],
      ["Mixed_6b", inceptionC(128)],
      ["Mixed_6c", inceptionC(160)],
      ["Mixed_6d", inceptionC(160)],
      ["Mixed_6e", inceptionC(192)], // → 768×17×17
      ...(auxiliary
        ? [["AuxLogits", { on: "Mixed_6e", head: head(classes), weight: 0.4 }] as const]
        : []),
      ["Mixed_7a", inceptionD()],
      ["Mixed_7b", inceptionE()],
      ["Mixed_7c", inceptionE()], // → 2048×8×8
      ["avgpool", pipe(adaptiveAvgPool2d(1), flatten())],
      ["dropout", dropout()],
      ["fc", linear(classes, start(0.1))],
    ]),
  };
}
