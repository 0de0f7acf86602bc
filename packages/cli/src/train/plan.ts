// What a training will do: its options and files, checked, and its data.

import { augmented, subset, type Augmentation, type Dataset, type Model } from "@conv/layers";
import type { DeviceOptions } from "../backend.ts";
import { loadDigits } from "../digits.ts";
import { UserError } from "../errors.ts";
import { loadIdx } from "../idx.ts";
import { classifierOf } from "../model.ts";
import { augmentationOf, recipeOf, type Recipe } from "../recipe.ts";
import { rangeOf, samplesOf } from "../samples.ts";
import {
  curveOf,
  mustBeWritable,
  mustDiffer,
  mustNotReplace,
  readResumed,
  type Resumed,
} from "./files.ts";

export interface TrainOptions extends Partial<Recipe>, DeviceOptions {
  readonly out?: string;
  readonly best?: string;
  readonly patience?: number;
  readonly resume?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export interface Plan {
  readonly model: Model;
  readonly recipe: Recipe;
  readonly resumed: Resumed | null;
  /** Epochs that the resumed file has had. */
  readonly done: number;
  readonly out: string;
  readonly best: string | undefined;
  readonly data: TrainingData;
}

export interface TrainingData {
  readonly training: Dataset;
  readonly validation: Dataset;
  /** Labels of the validation set. */
  readonly labels: readonly number[];
  readonly classes: number;
  /** Height and width of images from files. */
  readonly size: readonly [number, number] | undefined;
  /** What the samples are called. */
  readonly one: string;
  readonly many: string;
}

/** Throws UserError where the training cannot be carried out to its end. */
export async function planOf(name: string, options: TrainOptions): Promise<Plan> {
  const model = classifierOf(name);
  const { resume, best, out: named, force = false } = options;
  const resumed = resume === undefined ? null : await readResumed(resume, model);
  const recipe = recipeOf(
    options,
    resumed ? { file: resumed.file, recipe: resumed.notes.recipe } : undefined,
  );
  const done = resumed?.notes.history.length ?? 0;
  if (resumed && done >= recipe.epochs)
    throw new UserError(
      `${resumed.file}: has had ${done} of ${recipe.epochs} epochs; continue with --epochs ` +
        `${done + 1} or more`,
    );
  const out = named ?? resume ?? `${name}.safetensors`;
  await mustBeWritable("--out", out);
  if (best !== undefined) await mustBeWritable("--best", best);
  await mustDiffer({
    "the model": out,
    "the learning curve": curveOf(out),
    ...(best !== undefined && { "the best model": best }),
  });
  const augmentation = augmentationOf(recipe.augment, rangeOf(model)[0]);
  const source = await sourceOf(model, recipe);
  await mustNotReplace({ out, recipe, resumed, named: named !== undefined, force });
  const data = dataOf(model, recipe, source, augmentation);
  return { model, recipe, resumed, done, out, best, data };
}

type Source = Awaited<ReturnType<typeof sourceOf>>;

const wordsOf = ({ data }: Recipe) =>
  data ? { one: "class", many: "images" } : { one: "digit", many: "digits" };

async function sourceOf(model: Model, recipe: Recipe) {
  const source = recipe.data
    ? await loadIdx(recipe.data, model)
    : { ...loadDigits(), size: undefined };
  if (recipe.limit > source.train.length)
    throw new UserError(
      `--limit ${recipe.limit} is more than the ${source.train.length} training ` +
        wordsOf(recipe).many,
    );
  return source;
}

function dataOf(
  model: Model,
  recipe: Recipe,
  source: Source,
  augmentation: Augmentation | null,
): TrainingData {
  const all = samplesOf(model, source.images, source.labels, source.size);
  const plain = subset(all, source.train.subarray(0, recipe.limit || source.train.length));
  const labels = Array.from(source.test, (i) => source.labels[i]);
  return {
    training: augmentation ? augmented(plain, augmentation) : plain,
    validation: subset(all, source.test),
    labels,
    classes: model.classes ?? labels.reduce((a, b) => Math.max(a, b), 0) + 1,
    size: source.size,
    ...wordsOf(recipe),
  };
}
