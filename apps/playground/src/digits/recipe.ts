// How a network on this page is trained: the choices of the reader, besides the learning rate.

import {
  augmentAll,
  augmented,
  optimizers,
  shift,
  warp,
  type Dataset,
  type LearningRate,
  type Optimizer,
  type OptimizerName,
} from "@conv/layers";

type Choice = (typeof optimizers)[OptimizerName];

/** Optimizers by their labels, as links to this page and its menu name them. */
const byLabel = new Map<Choice["label"], Choice>(
  Object.values(optimizers).map((choice) => [choice.label, choice]),
);

export interface Recipe {
  readonly optimizer: Choice["label"];
  /** Whether each digit is shifted, rotated and scaled a little at each use. */
  readonly augment: boolean;
}

/** Learning rates that can be chosen. */
export const RATES: readonly number[] = [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2];

export const START_RECIPE: Recipe = { optimizer: "Adam", augment: false };
export const OPTIMIZERS = [...byLabel.keys()];

export const optimizerOf = ({ optimizer }: Recipe, lr: LearningRate): Optimizer =>
  byLabel.get(optimizer)!.create({ lr });

/** The digits to train on; `fill` is the value of the background. */
export const lessonsOf = ({ augment }: Recipe, digits: Dataset, fill: number): Dataset =>
  augment
    ? augmented(digits, augmentAll(warp({ degrees: 10, scale: 0.1, fill }), shift({ by: 2, fill })))
    : digits;
