// Inverted residuals: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals
// and Linear Bottlenecks", CVPR 2018, with what MobileNetV3 (Howard et al., ICCV 2019) and
// EfficientNet (Tan and Le, ICML 2019) add. Parts as in torchvision.

import { checkOptions } from "@conv/tensor";
import { relu6 } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { residual } from "../layers/branch.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { batchNorm2d, type BatchNormOptions } from "../layers/norm.ts";
import { convNorm2d } from "./convNorm.ts";

export interface InvertedResidualOptions {
  /**
   * Channels of the depthwise convolution. An input with as many channels is not expanded first.
   */
  readonly expanded: number;
  /** Kernel of the depthwise convolution. Default: 3. */
  readonly kernel?: number | undefined;
  readonly stride?: number | undefined;
  readonly activation?: Layer | undefined;
  readonly norm?: BatchNormOptions | undefined;
  /** A layer between the depthwise and the last convolution, for example squeeze and excitation. */
  readonly squeeze?: Layer | undefined;
  /** A layer before the sum, for example stochastic depth. */
  readonly survival?: Layer | undefined;
}

/** main(x) + x if the shape does not change, else main(x). */
const shortcut = (
  channels: number,
  stride: number,
  main: Layer,
  survival: Layer = pipe(),
): Layer => {
  const sum = residual(pipe(main, survival));
  return {
    type: "invertedResidual",
    forward: (x, ctx) => (stride === 1 && x.shape[1] === channels ? sum : main).forward(x, ctx),
  };
};

/** Runs `first`, unless x has `channels` channels, and then `rest`, as parts "0", "1", …. */
const widened = (channels: number, first: Layer, rest: readonly Layer[]): Layer => {
  const [narrow, wide] = [sequential([first, ...rest]), sequential(rest)];
  return {
    type: "sequential",
    forward: (x, ctx) => (x.shape[1] === channels ? wide : narrow).forward(x, ctx),
  };
};

/**
 * 1×1 to `expanded` channels, a depthwise convolution, `squeeze`, and 1×1 to `channels` without an
 * activation. x is added if the shape does not change: x (n, ic, h, w) → (n, channels, h/stride,
 * w/stride). Parts block.0, block.1, ….
 */
export function invertedResidual(channels: number, options: InvertedResidualOptions): Layer {
  checkOptions(
    "invertedResidual",
    options,
    "expanded kernel stride activation norm squeeze survival",
  );
  const {
    expanded,
    kernel = 3,
    stride = 1,
    activation = relu6(),
    norm,
    squeeze,
    survival,
  } = options;
  const main = widened(expanded, convNorm2d(expanded, 1, { activation, norm }), [
    convNorm2d(expanded, kernel, { stride, groups: expanded, activation, norm }),
    ...(squeeze ? [squeeze] : []),
    convNorm2d(channels, 1, { activation: null, norm }),
  ]);
  return shortcut(channels, stride, sequential({ block: main }), survival);
}

/**
 * {@link invertedResidual} with the tensor names of MobileNetV2: parts conv.0, conv.1, …, where the
 * last convolution and its normalization are separate parts.
 */
export function linearBottleneck(
  channels: number,
  options: Pick<InvertedResidualOptions, "expanded" | "stride">,
): Layer {
  checkOptions("linearBottleneck", options, "expanded stride");
  const { expanded, stride = 1 } = options;
  const activation = relu6();
  const main = widened(expanded, convNorm2d(expanded, 1, { activation }), [
    convNorm2d(expanded, 3, { stride, groups: expanded, activation }),
    conv2d(channels, 1, { bias: false, init: kaimingNormal({ mode: "out" }) }),
    batchNorm2d(),
  ]);
  return shortcut(channels, stride, sequential({ conv: main }));
}
