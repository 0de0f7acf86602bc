// The blocks of residual networks: He, Zhang, Ren and Sun, "Deep Residual Learning for Image
// Recognition", CVPR 2016; with groups, the blocks of ResNeXt: Xie, Girshick, Dollár, Tu and He,
// "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017. Parts as in
// torchvision.

import { checkOptions } from "@conv/tensor";
import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { residual } from "../layers/branch.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { convNorm2d } from "./convNorm.ts";

export interface ResidualOptions {
  readonly stride?: number | undefined;
}

export interface BottleneckOptions extends ResidualOptions {
  /** Channels between the 1×1 convolutions. Default: channels/4. */
  readonly inner?: number | undefined;
  /** Groups of the 3×3 convolution, the parallel paths of ResNeXt. Default: 1. */
  readonly groups?: number | undefined;
  /** Dilation of the 3×3 convolution. Default: 1. */
  readonly dilation?: number | undefined;
}

const init = kaimingNormal({ mode: "out" });
const activated = (): Layer => pipe(batchNorm2d(), relu());
const pointwise = (channels: number): Layer => conv2d(channels, 1, { bias: false, init });
const spatial = (channels: number, stride = 1, dilation = 1, groups = 1): Layer =>
  conv2d(channels, 3, { stride, padding: dilation, dilation, groups, bias: false, init });

/**
 * relu(main(x) + shortcut(x)). The shortcut is x itself if the shape does not change, else the
 * strided convolution `downsample`.
 */
export function projected(channels: number, stride: number, main: Layer, downsample: Layer): Layer {
  const [same, other] = [residual(main), residual(main, sequential({ downsample }))].map((sum) =>
    pipe(sum, relu()),
  );
  return {
    type: "residual",
    forward: (x, ctx) => (stride === 1 && x.shape[1] === channels ? same : other).forward(x, ctx),
  };
}

const by1x1 = (channels: number, stride: number): Layer =>
  convNorm2d(channels, 1, { stride, activation: null });

/**
 * Two 3×3 convolutions and a shortcut: x (n, ic, h, w) → (n, channels, h/stride, w/stride). Parts
 * conv1, bn1, conv2, bn2, and downsample if the shape changes.
 */
export function residualBasic(channels: number, options: ResidualOptions = {}): Layer {
  checkOptions("residualBasic", options, "stride");
  const { stride = 1 } = options;
  const main = sequential({
    conv1: spatial(channels, stride),
    bn1: activated(),
    conv2: spatial(channels),
    bn2: batchNorm2d(),
  });
  return projected(channels, stride, main, by1x1(channels, stride));
}

/**
 * 1×1 to `inner` channels, 3×3 with the stride, 1×1 to `channels`, and a shortcut: x (n, ic, h, w)
 * → (n, channels, h/stride, w/stride). Parts conv1, bn1, conv2, bn2, conv3, bn3, and downsample if
 * the shape changes.
 */
export function residualBottleneck(channels: number, options: BottleneckOptions = {}): Layer {
  checkOptions("residualBottleneck", options, "inner stride groups dilation");
  const { inner = channels / 4, stride = 1, groups, dilation } = options;
  const main = sequential({
    conv1: pointwise(inner),
    bn1: activated(),
    conv2: spatial(inner, stride, dilation, groups),
    bn2: activated(),
    conv3: pointwise(channels),
    bn3: batchNorm2d(),
  });
  return projected(channels, stride, main, by1x1(channels, stride));
}
