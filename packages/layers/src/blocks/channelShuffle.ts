// Channel shuffle: Zhang, Zhou, Lin and Sun, "ShuffleNet: An Extremely Efficient Convolutional
// Neural Network for Mobile Devices", CVPR 2018.

import { reshape, transpose } from "@conv/ops";
import { message, shapeError } from "@conv/tensor";
import type { Layer } from "../layers/layer.ts";

/**
 * Interleaves the channels of `groups` groups, so that each following group gets channels of all:
 * channel g·(c/groups) + i moves to i·groups + g; x (n, c, …) → the same shape. Throws ShapeError
 * where groups does not divide c.
 */
export const channelShuffle = (groups: number): Layer => ({
  type: "channelShuffle",
  forward(x) {
    const [n, c, ...space] = x.shape;
    if (!(groups >= 1 && c % groups === 0))
      throw shapeError(
        "channelShuffle",
        "groups",
        message`${{ channels: c }} channels do not divide into ${{ groups }} groups`,
      );
    const order = [0, 2, 1, ...space.map((_, a) => a + 3)];
    // (n, c, …) → (n, groups, c/groups, …) → (n, c/groups, groups, …) → (n, c, …)
    return reshape(transpose(reshape(x, [n, groups, c / groups, ...space]), order), x.shape);
  },
});
