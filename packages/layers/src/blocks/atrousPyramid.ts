// Atrous spatial pyramid pooling: Chen, Papandreou, Schroff and Adam, "Rethinking Atrous
// Convolution for Semantic Image Segmentation", 2017. Parts as in torchvision.

import { broadcastTo } from "@conv/ops";
import { dropout, pipe, sequential } from "../layers/basic.ts";
import { parallel } from "../layers/branch.ts";
import { pytorch } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { convNorm2d } from "./convNorm.ts";

/** `layer`, whose output has one pixel, broadcast to the size of x. */
const everywhere = (layer: Layer): Layer => ({
  type: "everywhere",
  forward(x, ctx) {
    const y = layer.forward(x, ctx);
    return broadcastTo(y, x.shape.with(1, y.shape[1]));
  },
});

/**
 * Parallel branches (1×1, one 3×3 for each dilation, and the mean of the image), concatenated, then
 * 1×1 and dropout: x (n, ic, h, w) → (n, channels, h, w). Parts convs.0, convs.1, …, project.
 */
export function atrousPyramid(dilations: readonly number[], channels = 256): Layer {
  const unit = (kernel: number, dilation?: number) =>
    convNorm2d(channels, kernel, { dilation, init: pytorch });
  const mean = convNorm2d(channels, 1, { init: pytorch, names: ["1", "2"] });
  const sides = [
    unit(1),
    ...dilations.map((d) => unit(3, d)),
    everywhere(pipe(adaptiveAvgPool2d(1), mean)),
  ];
  return sequential({
    convs: parallel(...sides.map((side, i) => sequential([[`${i}`, side]]))),
    project: pipe(unit(1), dropout()),
  });
}
