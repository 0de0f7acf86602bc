// Network in Network: Lin, Chen and Yan, ICLR 2014, in the version for ImageNet that the authors
// published.

import { mlpconv } from "../blocks/mlpconv.ts";
import { dropout, flatten, pipe, sequential } from "../layers/basic.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d, maxPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, normalInit, type ClassifierOptions } from "./imagenet.ts";

const init = normalInit(0.01);
const pool = () => maxPool2d(3, { stride: 2 });

/**
 * Images of 3×224×224, normalized, to the scores of 1000 classes. The last mlpconv layer has one
 * map for each class, of which the mean is the score. 7,595,176 parameters.
 */
export function nin(options?: ClassifierOptions): Model {
  const classes = classesOf("nin", options);
  return {
    ...imagenet("nin", classes),
    layer: sequential({
      mlpconv1: mlpconv([96, 96, 96], 11, { stride: 4, init }), // → 96×54×54
      pool1: pool(),
      mlpconv2: mlpconv([256, 256, 256], 5, { padding: 2, init }), // → 256×26×26
      pool2: pool(),
      mlpconv3: mlpconv([384, 384, 384], 3, { padding: 1, init }), // → 384×12×12
      pool3: pool(),
      dropout: dropout(),
      mlpconv4: mlpconv([1024, 1024, classes], 3, { padding: 1, init }), // → 1000×5×5
      pool4: pipe(adaptiveAvgPool2d(1), flatten()),
    }),
  };
}
