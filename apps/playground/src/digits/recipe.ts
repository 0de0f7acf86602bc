// How a network on this page learns: what the reader chooses besides the learning rate.

import {
  adam,
  adamW,
  augmentAll,
  augmented,
  lion,
  rmsprop,
  sgd,
  shift,
  warp,
  type Dataset,
  type LearningRate,
  type Optimizer,
} from "@conv/layers";

const optimizers = {
  Adam: (lr: LearningRate) => adam({ lr }),
  AdamW: (lr: LearningRate) => adamW({ lr }),
  SGD: (lr: LearningRate) => sgd({ lr, momentum: 0.9, nesterov: true }),
  RMSprop: (lr: LearningRate) => rmsprop({ lr }),
  Lion: (lr: LearningRate) => lion({ lr }),
} satisfies Record<string, (lr: LearningRate) => Optimizer>;

export interface Recipe {
  readonly optimizer: keyof typeof optimizers;
  /** Whether each digit is moved, turned and stretched a little every time it is seen. */
  readonly augment: boolean;
}

/** Learning rates that can be chosen. */
export const RATES: readonly number[] = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2];

export const START_RECIPE: Recipe = { optimizer: "Adam", augment: false };
export const OPTIMIZERS = Object.keys(optimizers) as Recipe["optimizer"][];

export const optimizerOf = ({ optimizer }: Recipe, lr: LearningRate): Optimizer =>
  optimizers[optimizer](lr);

/** The digits as they are to be learned; `fill` is what the network sees as paper. */
export const lessonsOf = ({ augment }: Recipe, digits: Dataset, fill: number): Dataset =>
  augment
    ? augmented(digits, augmentAll(warp({ degrees: 10, scale: 0.1, fill }), shift({ by: 2, fill })))
    : digits;
