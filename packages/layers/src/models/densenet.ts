// DenseNet: Huang, Liu, van der Maaten and Weinberger, "Densely Connected Convolutional Networks",
// CVPR 2017, with the tensors named as in torchvision.

import { denseBlock, denseTransition } from "../blocks/dense.ts";
import { relu } from "../layers/activation.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { kaimingNormal, zeros } from "../layers/init.ts";
import type { Layer, Model } from "../layers/layer.ts";
import { batchNorm2d } from "../layers/norm.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, type ClassifierOptions } from "./imagenet.ts";

const growth = 32;
/** Layers of each block. */
const depths = [6, 12, 24, 16];

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 7,978,856 parameters. */
export function densenet121(options?: ClassifierOptions): Model {
  const classes = classesOf("densenet121", options);
  const features: [string, Layer][] = [
    // → 64×112×112
    ["conv0", conv2d(64, 7, { stride: 2, padding: 3, bias: false, init: kaimingNormal() })],
    ["norm0", pipe(batchNorm2d(), relu())],
    ["pool0", maxPool2d(3, { stride: 2, padding: 1 })],
  ];
  let channels = 64;
  depths.forEach((depth, i) => {
    // → 256×56×56, 512×28×28, 1024×14×14, 1024×7×7
    features.push([`denseblock${i + 1}`, denseBlock(depth, growth)]);
    channels += depth * growth;
    if (i < depths.length - 1)
      features.push([`transition${i + 1}`, denseTransition((channels /= 2))]);
  });
  return {
    ...imagenet("densenet121", classes),
    layer: sequential({
      features: sequential([...features, ["norm5", pipe(batchNorm2d(), relu())]]),
      pool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: linear(classes, { biasInit: zeros }),
    }),
  };
}
