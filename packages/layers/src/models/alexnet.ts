// AlexNet: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional
// Neural Networks", NIPS 2012; and torchvision's version with its tensor names: Krizhevsky, "One
// weird trick for parallelizing convolutional neural networks", 2014.

import { relu } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential } from "../layers/basic.ts";
import { conv2d } from "../layers/conv.ts";
import { constant } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { localResponseNorm } from "../layers/responseNorm.ts";
import { classesOf, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

const pool = () => maxPool2d(3, { stride: 2 });

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 61,100,840 parameters. */
export function alexnet(options?: ClassifierOptions): Model {
  const classes = classesOf("alexnet", options);
  return {
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
      classifier: sequential([
        dropout(),
        linear(4096),
        relu(),
        dropout(),
        linear(4096),
        relu(),
        linear(classes),
      ]),
    }),
  };
}

const init = normalInit(0.01);
/**
 * For the layers to which the paper gives an initial bias of 1, so that the relu has positive
 * inputs in the first steps.
 */
const raised = { init, biasInit: constant(1) };
/** α = 10⁻⁴ for each of 5 channels. */
const respond = () => localResponseNorm(5, { alpha: 5e-4, beta: 0.75, k: 2 });

/**
 * AlexNet as published: two groups, local response normalization, no adaptive pooling. Images of
 * 3×227×227 (the paper says 224, but its maps of 55×55 need 227), minus the mean image, to the
 * logits of 1000 classes. 60,965,224 parameters.
 */
export function alexnet_2012(options?: ClassifierOptions): Model {
  const classes = classesOf("alexnet_2012", options);
  return {
    name: "alexnet_2012",
    input: [3, 227, 227],
    classes,
    layer: sequential({
      conv1: pipe(conv2d(96, 11, { stride: 4, init }), relu(), respond()), // → 96×55×55
      pool1: pool(),
      // → 256×27×27
      conv2: pipe(conv2d(256, 5, { padding: 2, groups: 2, ...raised }), relu(), respond()),
      pool2: pool(),
      conv3: pipe(conv2d(384, 3, { padding: 1, init }), relu()), // → 384×13×13
      conv4: pipe(conv2d(384, 3, { padding: 1, groups: 2, ...raised }), relu()),
      conv5: pipe(conv2d(256, 3, { padding: 1, groups: 2, ...raised }), relu()),
      pool5: pipe(pool(), flatten()), // → 9216
      fc6: pipe(linear(4096, raised), relu(), dropout()),
      fc7: pipe(linear(4096, raised), relu(), dropout()),
      fc8: linear(classes, { init }),
    }),
  };
}
