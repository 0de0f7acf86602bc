// Channel shuffle: Zhang, Zhou, Lin and Sun, "ShuffleNet: An Extremely Efficient Convolutional
// Neural Network for Mobile Devices", CVPR 2018.

import { mustDivide, reshape, transpose } from "@conv/ops";
import { mustCount } from "../checks.ts";
import type { Layer } from "../layers/layer.ts";

/**
 * Interleaves the channels of `groups` groups, so that each group of the next layer reads channels
 * of all groups: channel g·(c/groups) + i moves to i·groups + g; x (n, c, …) → the same shape.
 * Throws RangeError unless `groups` is a whole number ≥ 1, and ShapeError if it does not divide c.
 */
export function channelShuffle(groups: number): Layer {
  mustCount("channelShuffle", "groups", groups);
  return {
    type: "channelShuffle",
    forward(x) {
      const [n, c, ...space] = x.shape;
      mustDivide("channelShuffle", "channels", c, groups);
      const order = [0, 2, 1, ...space.map((_, a) => a + 3)];
      // (n, c, …) → (n, groups, c/groups, …) → (n, c/groups, groups, …) → (n, c, …)
      return reshape(transpose(reshape(x, [n, groups, c / groups, ...space]), order), x.shape);
    },
  };
}
