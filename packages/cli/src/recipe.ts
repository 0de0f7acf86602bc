// How a network is trained: the options of `conv train` as plain data, which is kept in the model
// file, and the schedule, optimizer and augmentation that it stands for.

import {
  augmentAll,
  cosine,
  crop,
  cutOut,
  flip,
  oneCycle,
  optimizers,
  shift,
  stepDecay,
  warmUp,
  warp,
  type Augmentation,
  type LearningRate,
  type Optimizer,
  type OptimizerName,
  type Schedule,
} from "@conv/layers";
import { printable } from "@conv/tensor";
import { UserError } from "./errors.ts";

export const schedules = ["decay", "cosine", "one-cycle", "constant"] as const;

/** Everything that decides the trained weights. */
export interface Recipe {
  /** The last epoch, counted from the beginning. */
  readonly epochs: number;
  readonly batch: number;
  readonly optimizer: OptimizerName;
  readonly lr: number;
  readonly schedule: (typeof schedules)[number];
  /** Updates in which the learning rate rises to its first value. */
  readonly warmup: number;
  readonly weightDecay: number;
  /** As given, `shift:2,flip`; "" for none. */
  readonly augment: string;
  readonly labelSmoothing: number;
  /** Largest length of all gradients together; 0 for no limit. */
  readonly clip: number;
  /** Batches to an update. */
  readonly accumulate: number;
  /** Decay of the moving average of the weights; 0 for none. */
  readonly average: number;
  readonly seed: number;
  /** Samples to train on; 0 for all. */
  readonly limit: number;
  /** A folder of IDX files; "" for the digits that come along. */
  readonly data: string;
}

/** What may be changed when a training goes on: all else has decided the weights so far. */
const changeable: readonly (keyof Recipe)[] = ["epochs", "lr", "data"];

const defaults: Omit<Recipe, "lr"> = {
  epochs: 10,
  batch: 64,
  optimizer: "adam",
  schedule: "decay",
  warmup: 0,
  weightDecay: 0,
  augment: "",
  labelSmoothing: 0,
  clip: 0,
  accumulate: 1,
  average: 0,
  seed: 0,
  limit: 0,
  data: "",
};

const whole = (least: number) => (value: unknown) =>
  Number.isSafeInteger(value) && Number(value) >= least;
const within = (low: number, high: number) => (value: unknown) =>
  typeof value === "number" && value >= low && value < high;

/**
 * What each value of a recipe may be: the options are held to it when they are read, recipes in
 * files here.
 */
const sound: Readonly<Record<keyof Recipe, (value: unknown) => boolean>> = {
  epochs: whole(1),
  batch: whole(1),
  optimizer: (value) => typeof value === "string" && Object.hasOwn(optimizers, value),
  lr: (value) => within(0, Infinity)(value) && value !== 0,
  schedule: (value) => schedules.some((name) => name === value),
  warmup: whole(0),
  weightDecay: within(0, Infinity),
  augment: (value) => typeof value === "string",
  labelSmoothing: within(0, 1),
  clip: within(0, Infinity),
  accumulate: whole(1),
  average: within(0, 1),
  seed: whole(0),
  limit: whole(0),
  data: (value) => typeof value === "string",
};

/** Whether a value out of a file is a recipe. */
export const isRecipe = (recipe: Recipe): boolean =>
  (Object.keys(sound) as (keyof Recipe)[]).every((key) => sound[key](recipe[key]));

/** `weightDecay` → `--weight-decay`. */
const flag = (key: string): string => `--${key.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`;

/**
 * The options given, else those of the training that is resumed, else the defaults. Throws
 * UserError, in the file's name, where they do not go together.
 */
export function recipeOf(
  given: Partial<Recipe>,
  before?: { readonly file: string; readonly recipe: Recipe },
): Recipe {
  const known: Partial<Record<string, unknown>> = { ...given };
  const chosen = Object.fromEntries(
    Object.keys(defaults).flatMap((key) => (known[key] === undefined ? [] : [[key, known[key]]])),
  );
  if (!before) {
    const recipe = { ...defaults, ...chosen };
    return { ...recipe, lr: given.lr ?? optimizers[recipe.optimizer].lr };
  }
  const { file, recipe: had } = before;
  for (const key of Object.keys(chosen) as (keyof Recipe)[])
    if (!changeable.includes(key) && given[key] !== had[key])
      throw new UserError(
        `${file}: was started with ${flag(key)} ${had[key]} and cannot continue with ${given[key]}`,
      );
  const recipe = { ...had, ...chosen, lr: given.lr ?? had.lr };
  if (
    recipe.epochs !== had.epochs &&
    (recipe.schedule === "cosine" || recipe.schedule === "one-cycle")
  )
    throw new UserError(
      `${file}: its --schedule ${recipe.schedule} is for --epochs ${had.epochs} and cannot ` +
        `continue to ${recipe.epochs}`,
    );
  return recipe;
}

// The learning rate of an epoch is this times that of the epoch before. Measured on lenet5 with
// Adam, ten epochs, seeds 0 and 1: validation accuracy 98.3 and 98.4 %, where a constant 0.003
// had 98.2 and 97.9, and 0.002 had 98.0 and 98.2. It does not depend on the number of epochs, so a
// training that is extended is one that was longer from the beginning.
const DECAY = 0.8;

/** The learning rates of a training with so many updates an epoch. */
export function scheduleOf({ schedule, lr, epochs, warmup }: Recipe, updates: number): Schedule {
  const steps = Math.max(1, epochs * updates - warmup);
  const rates: Record<Recipe["schedule"], Schedule> = {
    decay: stepDecay({ lr, every: updates, factor: DECAY }),
    cosine: cosine({ lr, steps }),
    "one-cycle": oneCycle({ lr, steps }),
    constant: () => lr,
  };
  return warmup ? warmUp(warmup, rates[schedule]) : rates[schedule];
}

/** The optimizer of a recipe. */
export const optimizerOf = ({ optimizer, weightDecay }: Recipe, lr: LearningRate): Optimizer =>
  optimizers[optimizer].create({ lr, weightDecay });

/** What each augmentation does with its amount, and the amount where none is given. */
const augmentations: Readonly<
  Record<
    string,
    { readonly amount: number; readonly make: (amount: number, fill: number) => Augmentation }
  >
> = {
  shift: { amount: 2, make: (by, fill) => shift({ by, fill }) },
  crop: { amount: 2, make: (padding) => crop({ padding }) },
  flip: { amount: 0.5, make: (p) => flip({ p }) },
  rotate: { amount: 10, make: (degrees, fill) => warp({ degrees, fill }) },
  scale: { amount: 0.1, make: (scale, fill) => warp({ scale, fill }) },
  shear: { amount: 0.1, make: (shear, fill) => warp({ shear, fill }) },
  cutout: { amount: 8, make: (size, fill) => cutOut({ size, fill }) },
};
export const augmentationNames = Object.keys(augmentations);

/**
 * `shift:2,rotate` as a function; null for "". What turns, stretches and slants is one function.
 * Throws UserError for what is not known.
 */
export function augmentationOf(text: string, fill: number): Augmentation | null {
  if (text === "") return null;
  const parts = text.split(",").map((part) => {
    const [name, amount] = part.split(":");
    const known = Object.hasOwn(augmentations, name) ? augmentations[name] : null;
    if (!known)
      throw new UserError(
        `unknown augmentation "${printable(name, 40)}"; there are ${augmentationNames.join(", ")}`,
      );
    const value = amount === undefined ? known.amount : Number(amount);
    if (amount === "" || !Number.isFinite(value))
      throw new UserError(`augmentation "${printable(part, 40)}" has no number after the colon`);
    return { name, value, make: known.make };
  });
  const isWarp = (name: string) => name === "rotate" || name === "scale" || name === "shear";
  const of = (name: string) => parts.find((part) => part.name === name)?.value ?? 0;
  const warped = parts.some((part) => isWarp(part.name))
    ? [warp({ degrees: of("rotate"), scale: of("scale"), shear: of("shear"), fill })]
    : [];
  return augmentAll(
    ...warped,
    ...parts.flatMap(({ name, value, make }) => (isWarp(name) ? [] : [make(value, fill)])),
  );
}
