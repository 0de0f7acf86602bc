// Residual networks: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR
// 2016; ResNeXt, Xie et al., CVPR 2017; Wide Residual Networks, Zagoruyko and Komodakis, BMVC 2016.
// As in torchvision (the 3×3 convolution of a bottleneck has the stride), with its tensor names.

import { residualBasic, residualBottleneck } from "../blocks/residual.ts";
import { relu } from "../layers/activation.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, type ClassifierOptions } from "./imagenet.ts";

/** Makes a block of stage 0 to 3. */
type Block = (stage: number, stride: number, dilation: number) => Layer;
type Depths = readonly [number, number, number, number];

const basic: Block = (stage, stride) => residualBasic(64 << stage, { stride });
/**
 * Bottlenecks with `width` channels in the 3×3 convolutions of the first stage, twice as many in
 * each following stage, in `groups` groups.
 */
const bottleneck =
  (width = 64, groups = 1): Block =>
  (stage, stride, dilation) =>
    residualBottleneck(256 << stage, { inner: width << stage, groups, stride, dilation });

/**
 * The layers before the pooling, by name. In a stage whose entry in `dilated` is true, the stride
 * is replaced by a dilation of all following convolutions.
 */
export function resnetFeatures(
  block: Block,
  depths: Depths,
  dilated: readonly boolean[] = [],
): (readonly [string, Layer])[] {
  let dilation = 1;
  const stages = depths.map((depth, stage) => {
    const before = dilation;
    const stride = stage === 0 || dilated[stage] ? 1 : 2;
    if (dilated[stage]) dilation *= 2;
    const blocks = Array.from({ length: depth }, (_, i) =>
      i === 0 ? block(stage, stride, before) : block(stage, 1, dilation),
    );
    return [`layer${stage + 1}`, sequential(blocks)] as const;
  });
  return [
    [
      "conv1",
      conv2d(64, 7, { stride: 2, padding: 3, bias: false, init: kaimingNormal({ mode: "out" }) }),
    ], // → 64×112×112
    ["bn1", pipe(batchNorm2d(), relu())],
    ["maxpool", maxPool2d(3, { stride: 2, padding: 1 })],
    // → 64×56×56, 128×28×28, 256×14×14, 512×7×7; with bottlenecks four times as many channels
    ...stages,
  ];
}

/**
 * ResNet-50 with dilations instead of strides in the last two stages, so that its features have an
 * eighth of the size of the image.
 */
export const dilatedResnet50 = () =>
  resnetFeatures(bottleneck(), [3, 4, 6, 3], [false, false, true, true]);

function resnet(name: string, block: Block, depths: Depths, options?: ClassifierOptions): Model {
  const classes = classesOf(name, options);
  return {
    ...imagenet(name, classes),
    layer: sequential([
      ...resnetFeatures(block, depths),
      ["avgpool", pipe(adaptiveAvgPool2d(1), flatten())],
      ["fc", linear(classes)],
    ]),
  };
}

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 11,689,512 parameters. */
export const resnet18 = (options?: ClassifierOptions): Model =>
  resnet("resnet18", basic, [2, 2, 2, 2], options);
/** {@link resnet18} with 34 layers. 21,797,672 parameters. */
export const resnet34 = (options?: ClassifierOptions): Model =>
  resnet("resnet34", basic, [3, 4, 6, 3], options);
/** {@link resnet18} with 50 layers, in bottlenecks. 25,557,032 parameters. */
export const resnet50 = (options?: ClassifierOptions): Model =>
  resnet("resnet50", bottleneck(), [3, 4, 6, 3], options);
/** {@link resnet50} with 101 layers. 44,549,160 parameters. */
export const resnet101 = (options?: ClassifierOptions): Model =>
  resnet("resnet101", bottleneck(), [3, 4, 23, 3], options);
/** {@link resnet50} with 152 layers. 60,192,808 parameters. */
export const resnet152 = (options?: ClassifierOptions): Model =>
  resnet("resnet152", bottleneck(), [3, 8, 36, 3], options);
/**
 * {@link resnet50} with 3×3 convolutions of twice as many channels in 32 groups (4 channels per
 * group in the first stage). 25,028,904 parameters.
 */
export const resnext50_32x4d = (options?: ClassifierOptions): Model =>
  resnet("resnext50_32x4d", bottleneck(128, 32), [3, 4, 6, 3], options);
/** {@link resnet50} with twice as many channels in the 3×3 convolutions. 68,883,240 parameters. */
export const wideResnet50_2 = (options?: ClassifierOptions): Model =>
  resnet("wideResnet50_2", bottleneck(128), [3, 4, 6, 3], options);
