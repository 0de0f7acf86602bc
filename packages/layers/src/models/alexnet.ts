// AlexNet: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012; and what torchvision
// calls so: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014, with its names.

import { relu } from "../activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../basic.ts";
import { conv2d } from "../conv.ts";
import type { Model } from "../layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../pool.ts";
import { imagenet, type ClassifierOptions } from "./imagenet.ts";

const pool = () => maxPool2d(3, { stride: 2 });

/** Images of 3×224×224, normalised, to the logits of 1000 classes. 61,100,840 parameters. */
export const alexnet = ({ classes = 1000 }: ClassifierOptions = {}): Model => ({
  ...imagenet("alexnet", classes),
  layer: sequential({
    features: sequential([
      conv2d(64, 11, { stride: 4, padding: 2 }), // → 64×55×55
      relu(),
      pool(),
      conv2d(192, 5, { padding: 2 }), // → 192×27×27
      relu(),
      pool(),
      conv2d(384, 3, { padding: 1 }), // → 384×13×13
      relu(),
      conv2d(256, 3, { padding: 1 }),
      relu(),
      conv2d(256, 3, { padding: 1 }),
      relu(),
      pool(), // → 256×6×6
    ]),
    avgpool: pipe(adaptiveAvgPool2d(6), flatten()), // → 9216
    classifier: sequential([dropout(), linear(4096), relu(), dropout(), linear(4096), relu(), linear(classes)]),
  }),
});
