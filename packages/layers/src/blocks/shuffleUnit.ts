// The units of ShuffleNet v2: Ma, Zhang, Zheng and Sun, "ShuffleNet V2: Practical Guidelines for
// Efficient CNN Architecture Design", ECCV 2018, figure 3 (c) and (d). Parts as in torchvision.

import { slice } from "@conv/ops";
import { relu } from "../layers/activation.ts";
import { pipe, sequential } from "../layers/basic.ts";
import { parallel } from "../layers/branch.ts";
import { conv2d } from "../layers/conv.ts";
import type { Layer } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { channelShuffle } from "./channelShuffle.ts";

/** One of the two halves of the channels. */
const half = (second: boolean): Layer => ({
  type: "half",
  forward(x) {
    const count = x.shape[1] >> 1;
    const start = x.shape.map((_, a) => (a === 1 && second ? count : 0));
    return slice(x, start, x.shape.with(1, count));
  },
});

const pointwise = (channels: number): readonly Layer[] => [
  conv2d(channels, 1, { bias: false }),
  batchNorm2d(),
  relu(),
];
const depthwise = (channels: number, stride: number): readonly Layer[] => [
  conv2d(channels, 3, { stride, padding: 1, groups: channels, bias: false }),
  batchNorm2d(),
];

/**
 * A unit of ShuffleNet v2. If from = to, x (n, from, h, w) → (n, to, h, w): half of the channels
 * pass unchanged, the other half goes through 1×1, depthwise 3×3 and 1×1. Otherwise x → (n, to,
 * h/2, w/2), and both branches read all channels. The channels of both branches are concatenated
 * and shuffled. Parts branch1.0, … (only if from ≠ to), branch2.0, ….
 */
export function shuffleUnit(from: number, to: number): Layer {
  const [width, stride] = [to >> 1, from === to ? 1 : 2];
  const main = sequential({
    branch2: sequential([...pointwise(width), ...depthwise(width, stride), ...pointwise(width)]),
  });
  const sides =
    stride === 1
      ? [half(false), pipe(half(true), main)]
      : [sequential({ branch1: sequential([...depthwise(from, 2), ...pointwise(width)]) }), main];
  return pipe(parallel(...sides), channelShuffle(2));
}
