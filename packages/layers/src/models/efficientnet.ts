// EfficientNet: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
// Networks", ICML 2019, table 1, with the tensors named as in torchvision.

import { convNorm2d } from "../blocks/convNorm.ts";
import { invertedResidual } from "../blocks/invertedResidual.ts";
import { squeezeExcitation } from "../blocks/squeezeExcitation.ts";
import { silu } from "../layers/activation.ts";
import { dropout, flatten, linear, pipe, sequential, stochasticDepth } from "../layers/basic.ts";
import { kaimingNormal, uniform, zeros } from "../layers/init.ts";
import type { Model } from "../layers/layer.ts";
import { adaptiveAvgPool2d } from "../layers/pool.ts";
import { classesOf, imagenet, type ClassifierOptions } from "./imagenet.ts";

/** Expansion, kernel, stride of the first block, channels, blocks. */
const stages = [
  [1, 3, 1, 16, 1], // → 112×112
  [6, 3, 2, 24, 2], // → 56×56
  [6, 5, 2, 40, 2], // → 28×28
  [6, 3, 2, 80, 3], // → 14×14
  [6, 5, 1, 112, 3],
  [6, 5, 2, 192, 4], // → 7×7
  [6, 3, 1, 320, 1],
] as const;

/**
 * Probability of stochastic depth for the last block. It rises linearly from 0 at the first block.
 */
const dropped = 0.2;

/** Images of 3×224×224, normalized, to the logits of 1000 classes. 5,288,548 parameters. */
export function efficientnetB0(options?: ClassifierOptions): Model {
  const classes = classesOf("efficientnetB0", options);
  const activation = silu();
  const total = stages.reduce((sum, [, , , , blocks]) => sum + blocks, 0);
  let from = 32;
  let at = 0;
  const body = stages.map(([expansion, kernel, first, to, blocks]) =>
    sequential(
      Array.from({ length: blocks }, (_, i) => {
        const block = invertedResidual(to, {
          expanded: expansion * from,
          kernel,
          stride: i === 0 ? first : 1,
          activation,
          squeeze: squeezeExcitation(from >> 2, {
            activation,
            init: kaimingNormal({ mode: "out" }),
          }),
          survival: stochasticDepth((dropped * at++) / total),
        });
        from = to;
        return block;
      }),
    ),
  );
  const bound = 1 / Math.sqrt(classes);
  return {
    ...imagenet("efficientnetB0", classes),
    layer: sequential({
      features: sequential([
        convNorm2d(32, 3, { stride: 2, activation }),
        ...body,
        convNorm2d(1280, 1, { activation }),
      ]),
      avgpool: pipe(adaptiveAvgPool2d(1), flatten()),
      classifier: sequential([
        dropout(0.2),
        linear(classes, {
          weightInit: uniform(-bound, bound),
          biasInit: zeros,
        }),
      ]),
    }),
  };
}
