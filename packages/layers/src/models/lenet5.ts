// LeNet-5 in its modern form: ReLU, max pooling, a third layer that reads all maps, logits for
// softmax. 61,706 parameters. The network of the 1998 paper is lenet5_1998.

import { relu } from "../layers/activation.ts";
import { flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import type { Model } from "../layers/layer.ts";
import { maxPool2d } from "../layers/pool.ts";
import { classesOf, type ClassifierOptions } from "./imagenet.ts";

/** Images of 1×28×28, pixels 0 (background) to 1, to the logits of ten classes. */
export function lenet5(options?: ClassifierOptions): Model {
  const classes = classesOf("lenet5", options, 10);
  return {
    name: "lenet5",
    input: [1, 28, 28],
    classes,
    layer: sequential({
      c1: pipe(conv2d(6, 5, { padding: 2 }), relu()), // → 6×28×28
      s2: maxPool2d(2), // → 6×14×14
      c3: pipe(conv2d(16, 5), relu()), // → 16×10×10
      s4: maxPool2d(2), // → 16×5×5
      c5: pipe(conv2d(120, 5), relu(), flatten()), // → 120
      f6: pipe(linear(84), relu()),
      output: linear(classes),
    }),
  };
}
