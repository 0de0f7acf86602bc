// MobileNetV2: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018, with the
// tensors named as in torchvision.

import { relu6 } from "../activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../basic.ts";
import { residual } from "../branch.ts";
import { conv2d } from "../conv.ts";
import { kaimingNormal, normal, zeros } from "../init.ts";
import type { Layer, Model } from "../layer.ts";
import { batchNorm2d } from "../norm.ts";
import { adaptiveAvgPool2d } from "../pool.ts";
import { imagenet, type ClassifierOptions } from "./imagenet.ts";

/** Table 2 of the paper: t (expansion), c (channels), n (blocks), s (stride of the first). */
const stages = [
  [1, 16, 1, 1], // → 112×112
  [6, 24, 2, 2], // → 56×56
  [6, 32, 3, 2], // → 28×28
  [6, 64, 4, 2], // → 14×14
  [6, 96, 3, 1],
  [6, 160, 3, 2], // → 7×7
  [6, 320, 1, 1],
] as const;

const conv = (channels: number, kernel: number, stride = 1, groups = 1): Layer =>
  conv2d(channels, kernel, { stride, padding: kernel >> 1, groups, bias: false, init: kaimingNormal({ mode: "out" }) });
const activated = (convolution: Layer): Layer => sequential([convolution, pipe(batchNorm2d(), relu6())]);

/** Widens, filters each channel, and narrows without an activation. */
function invertedResidual(from: number, to: number, expansion: number, stride: number): Layer {
  const inner = from * expansion;
  const widen = expansion > 1 ? [activated(conv(inner, 1))] : [];
  const main = sequential({ conv: sequential([...widen, activated(conv(inner, 3, stride, inner)), conv(to, 1), batchNorm2d()]) });
  return stride === 1 && from === to ? residual(main) : main;
}

/** Images of 3×224×224, normalised, to the logits of 1000 classes. 3,504,872 parameters. */
export function mobilenetV2({ classes = 1000 }: ClassifierOptions = {}): Model {
  const features = [activated(conv(32, 3, 2))];
  let from = 32;
  for (const [expansion, to, blocks, stride] of stages)
    for (let i = 0; i < blocks; i++, from = to) features.push(invertedResidual(from, to, expansion, i ? 1 : stride));
  features.push(activated(conv(1280, 1)));
  return {
    ...imagenet("mobilenetV2", classes),
    layer: sequential({
      features: sequential(features),
      pool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: sequential([dropout(0.2), linear(classes, { init: (_, role) => (role === "bias" ? zeros : normal(0, 0.01)) })]),
    }),
  };
}
