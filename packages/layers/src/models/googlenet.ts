// GoogLeNet: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going
// deeper with convolutions", CVPR 2015, with batch normalization and tensor names as in
// torchvision.

import { googlenetConv as conv, inceptionV1, type InceptionV1Widths } from "../blocks/inception.ts";
import { relu } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { normal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { withHeads } from "./heads.ts";
import { AUXILIARY, classesOf, imagenet, type AuxiliaryOptions } from "./imagenet.ts";

/** Table 1 of the paper, stage by stage. */
const stages: readonly Readonly<Record<string, InceptionV1Widths>>[] = [
  {
    inception3a: [64, 96, 128, 16, 32, 32],
    inception3b: [128, 128, 192, 32, 96, 64], // → 480×28×28
  },
  {
    inception4a: [192, 96, 208, 16, 48, 64],
    inception4b: [160, 112, 224, 24, 64, 64],
    inception4c: [128, 128, 256, 24, 64, 64],
    inception4d: [112, 144, 288, 32, 64, 64],
    inception4e: [256, 160, 320, 32, 128, 128], // → 832×14×14
  },
  {
    inception5a: [256, 160, 320, 32, 128, 128],
    inception5b: [384, 192, 384, 48, 128, 128], // → 1024×7×7
  },
];

const start = { weightInit: normal(0, 0.01) };
const pool = (kernel: number): Layer => maxPool2d(kernel, { stride: 2, ceilMode: true });

const head = (classes: number): Layer =>
  sequential({
    pool: adaptiveAvgPool2d(4),
    conv: conv(128, 1),
    flat: flatten(), // → 2048
    fc1: pipe(linear(1024, start), relu()),
    dropout: dropout(0.7),
    fc2: linear(classes, start),
  });

function build(name: string, kernel: 3 | 5, options: AuxiliaryOptions): Model {
  const classes = classesOf(name, options, 1000, AUXILIARY);
  const [third, fourth, fifth] = stages.map((stage) =>
    Object.entries(stage).map(([part, widths]) => [part, inceptionV1(widths, kernel)] as const),
  );
  const heads = [
    ["aux1", { on: "inception4a", head: head(classes), weight: 0.3 }],
    ["aux2", { on: "inception4d", head: head(classes), weight: 0.3 }],
  ] as const;
  return {
    ...imagenet(name, classes),
    layer: withHeads([
      ["conv1", conv(64, 7, { stride: 2 })], // → 64×112×112
      ["maxpool1", pool(3)],
      ["conv2", conv(64, 1)],
      ["conv3", conv(192, 3)],
      ["maxpool2", pool(3)],
      ...third,
      ["maxpool3", pool(3)],
      ...fourth,
      ["maxpool4", pool(2)],
      ...fifth,
      ...(options.auxiliary ? heads : []),
      ["avgpool", pipe(adaptiveAvgPool2d(1), flatten())],
      ["dropout", dropout(0.2)],
      ["fc", linear(classes, start)],
    ]),
  };
}

/**
 * GoogLeNet as in torchvision, with 3×3 convolutions in place of the paper's 5×5: images of
 * 3×224×224, normalized (for torchvision's weights scaled to −1…1), to the logits of 1000 classes.
 * 6,624,904 parameters, 13,004,888 with the auxiliary heads.
 */
export const googlenet = (options: AuxiliaryOptions = {}): Model => build("googlenet", 3, options);
/** {@link googlenet} with the 5×5 convolutions of the paper. 7,005,832 parameters. */
export const googlenet5x5 = (options: AuxiliaryOptions = {}): Model =>
  build("googlenet5x5", 5, options);
