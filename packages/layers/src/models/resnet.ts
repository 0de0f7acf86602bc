// Residual networks: He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, as torchvision builds them
// (in a bottleneck the 3×3 convolution has the stride) and names their tensors.

import { relu } from "../activation.ts";
import { flatten, linear, pipe, sequential } from "../basic.ts";
import { residual } from "../branch.ts";
import { conv2d } from "../conv.ts";
import { kaimingNormal } from "../init.ts";
import type { Layer, Model } from "../layer.ts";
import { batchNorm2d } from "../norm.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../pool.ts";
import { imagenet, type ClassifierOptions } from "./imagenet.ts";

const conv = (channels: number, kernel: number, stride = 1): Layer =>
  conv2d(channels, kernel, { stride, padding: kernel >> 1, bias: false, init: kaimingNormal({ mode: "out" }) });
const norm = (): Layer => batchNorm2d();
const activated = (): Layer => pipe(norm(), relu());

/** The branch that computes, and how many times wider than its inner convolutions its output is. */
interface Block {
  readonly expansion: number;
  main(width: number, stride: number): Layer;
}

const basic: Block = {
  expansion: 1,
  main: (width, stride) => sequential({ conv1: conv(width, 3, stride), bn1: activated(), conv2: conv(width, 3), bn2: norm() }),
};

const bottleneck: Block = {
  expansion: 4,
  main: (width, stride) =>
    sequential({
      conv1: conv(width, 1),
      bn1: activated(),
      conv2: conv(width, 3, stride),
      bn2: activated(),
      conv3: conv(4 * width, 1),
      bn3: norm(),
    }),
};

/** `depth` blocks; the first has the stride, and a convolution beside it where it changes the shape. */
function stage({ expansion, main }: Block, width: number, depth: number, stride: number): Layer {
  const project = stride > 1 || expansion > 1;
  const shortcut = () => sequential({ downsample: sequential([conv(expansion * width, 1, stride), norm()]) });
  return sequential(
    Array.from({ length: depth }, (_, i) => pipe(residual(main(width, i ? 1 : stride), i === 0 && project ? shortcut() : undefined), relu())),
  );
}

const resnet = (name: string, block: Block, depths: readonly [number, number, number, number], { classes = 1000 }: ClassifierOptions): Model => ({
  ...imagenet(name, classes),
  layer: sequential({
    conv1: conv(64, 7, 2), // → 64×112×112
    bn1: activated(),
    maxpool: maxPool2d(3, { stride: 2, padding: 1 }),
    layer1: stage(block, 64, depths[0], 1), // → 64·expansion×56×56
    layer2: stage(block, 128, depths[1], 2), // → 128·expansion×28×28
    layer3: stage(block, 256, depths[2], 2), // → 256·expansion×14×14
    layer4: stage(block, 512, depths[3], 2), // → 512·expansion×7×7
    avgpool: pipe(adaptiveAvgPool2d(1), flatten()),
    fc: linear(classes),
  }),
});

/** Images of 3×224×224, normalised, to the logits of 1000 classes. 11,689,512 parameters. */
export const resnet18 = (options: ClassifierOptions = {}): Model => resnet("resnet18", basic, [2, 2, 2, 2], options);
/** Images of 3×224×224, normalised, to the logits of 1000 classes. 25,557,032 parameters. */
export const resnet50 = (options: ClassifierOptions = {}): Model => resnet("resnet50", bottleneck, [3, 4, 6, 3], options);
