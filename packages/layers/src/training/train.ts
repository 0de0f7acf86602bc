// The trainer: a model, its optimizer and their tensors, which stay on the device and are updated
// in place.

import { checkOptions, dispose, kindOf, message, rangeError, type Backend } from "@conv/tensor";
import { mustBe, mustBeFunction, mustCount } from "../checks.ts";
import type { Batch, Dataset, Target } from "../data/data.ts";
import { createLoader } from "../data/load.ts";
import { describeModel, mustBeSingle, type Entry, type Model } from "../layers/layer.ts";
import { initialize, matchState, type State } from "../state/state.ts";
import { createActivity } from "./activity.ts";
import { createDevice } from "./device.ts";
import { createEvaluator } from "./evaluate.ts";
import { createExchange, type Gradients } from "./exchange.ts";
import { fit, startOf, type FitOptions, type Parts } from "./fit.ts";
import type { Loss } from "./loss.ts";
import type { Metric } from "./metrics.ts";
import type { Optimizer } from "./optim.ts";
import type { Clip } from "./options.ts";
import type { EpochReport, Evaluation } from "./reports.ts";
import { trainedOf, type ParameterRule } from "./rules.ts";
import { createSaving } from "./saving.ts";
import { createSteps } from "./steps.ts";

export interface TrainerOptions {
  readonly backend: Backend;
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** Default: the model's loss, or cross-entropy. */
  readonly loss?: Loss | undefined;
  /** First weights. Default: drawn by `seed`. */
  readonly state?: State | undefined;
  /** A whole number that decides first weights, order of samples, dropout and augmentation. */
  readonly seed?: number | undefined;
  /** Samples of a step. Default: 64. */
  readonly batch?: number | undefined;
  /** Learning rate, weight decay and freezing of some parameters. */
  readonly rules?: readonly ParameterRule[] | undefined;
  /** Limits of the gradients. */
  readonly clip?: Clip | undefined;
  /**
   * Number of batches whose gradients make one update, as those of one large batch would;
   * normalization still sees each batch alone. Default: 1.
   */
  readonly accumulate?: number | undefined;
  /**
   * Decay d of a moving average of the weights, which `evaluate` measures: average ← d·average + (1
   * − d)·weights after each update. After u updates d is at most (1 + u)/(10 + u).
   */
  readonly average?: number | undefined;
  /** Measured by `evaluate` besides loss and accuracy. */
  readonly metrics?: Readonly<Record<string, Metric>> | undefined;
}

/**
 * A training. Nothing happens until it is iterated, for a report of each epoch, or awaited, for the
 * last report (undefined where no epoch ended).
 */
export interface Training
  extends AsyncIterable<EpochReport>, PromiseLike<EpochReport | undefined> {}

export interface Trainer extends Disposable {
  /** Completed epochs, and completed steps of the next. */
  readonly position: { readonly epoch: number; readonly step: number };
  /**
   * Trains, with one report an epoch. An epoch takes every sample once, in an order drawn from seed
   * and epoch. The last batch is smaller where the batch size does not divide the data; it has its
   * own program. Rejects with ShapeError where data and model do not fit; with RangeError for an
   * option out of range, or where all epochs are done (unless it resumes); with DivergedError,
   * which names epoch, step and layer, where the loss, a gradient or a value to write is not
   * finite: the trainer is then as it was before that step.
   */
  fit(data: Dataset, options: FitOptions): Training;
  /**
   * Loss, accuracy and answers with the present weights. Rejects with the reason of the signal once
   * it is aborted.
   */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** The model's weights; instead of each that has a moving average, this. */
  averaged(): Promise<State>;
  /**
   * Replaces the weights and nothing else. Throws ShapeError, and changes nothing, where names or
   * shapes differ.
   */
  setState(state: State): void;
  /**
   * The loss of a batch, the gradients of the trained parameters and the new values of running
   * statistics; changes nothing. Rejects with ShapeError where they do not fit.
   */
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  /**
   * One update by the result of `gradients`, or its {@link average} over several machines. Throws
   * ShapeError where names or shapes differ, and DivergedError where a gradient is not finite;
   * rejects with DivergedError where the update is not finite. None of these changes anything.
   */
  apply(gradients: State): Promise<void>;
  /**
   * Everything needed to continue to bit-identical weights, as safetensors. It may be called at any
   * time, also from `onStep`.
   */
  checkpoint(): Promise<Uint8Array>;
  /**
   * Takes weights, optimizer state and position of a checkpoint. Throws FileError or ShapeError,
   * and changes nothing, where it is not a checkpoint or belongs to another model or optimizer.
   */
  restore(bytes: Uint8Array): void;
  /** Frees the tensors. Every later call throws. */
  dispose(): void;
}

/**
 * Makes a trainer. Its tensors live on `backend` until `dispose` (or the end of `using`). Throws
 * RangeError for options out of range and ShapeError where state and model do not fit.
 */
export function createTrainer(options: TrainerOptions): Trainer {
  checkTrainer(options);
  const { backend, model, rules, state, seed = 0 } = options;
  const { entries, output } = describeModel(model);
  mustBeSingle("train", model, output);
  const values = matchState(model.name, entries, state ?? initialize(model, seed));
  const parts = createParts(options, entries, values);
  const { device, evaluator, steps, activity } = parts;
  const saving = createSaving(backend, model, entries, parts);
  const exchange = createExchange(model, entries, trainedOf(model, entries, rules), parts);
  const load = (bytes: Uint8Array) => {
    activity.checkIdle("restore");
    return saving.load(bytes);
  };
  const live =
    <T>(work: () => Promise<T>) =>
    async (): Promise<T> => {
      activity.check();
      return work();
    };
  const end = () => {
    if (!activity.dispose()) return;
    evaluator.dispose();
    device.dispose();
  };
  return {
    get position() {
      return { epoch: steps.position.epoch, step: steps.position.step };
    },
    fit: (data, given) => trainingOf(fit(parts, load, data, given)),
    evaluate: (data, signal) => live(() => evaluator.evaluate(data, signal))(),
    state: live(() => saving.read(device.parameters)),
    averaged: live(() => saving.read(device.averages)),
    setState(next) {
      activity.checkIdle("setState");
      saving.write(device.parameters, matchState(model.name, entries, next));
    },
    gradients: exchange.gradients,
    apply: exchange.apply,
    checkpoint: live(saving.checkpoint),
    restore: (bytes) => load(bytes).take(),
    dispose: end,
    [dispose]: end,
  };
}

/** The parts of a trainer with these first values. */
function createParts(
  {
    backend,
    model,
    optimizer,
    loss,
    seed = 0,
    batch = 64,
    rules,
    clip,
    accumulate = 1,
    average,
    metrics = {},
  }: TrainerOptions,
  entries: readonly Entry[],
  values: readonly Float32Array[],
): Parts {
  const settings = { loss, rules, clip, average: average !== undefined };
  const plan = { model, optimizer, settings, accumulates: accumulate > 1 };
  const device = createDevice(backend, plan, entries, values);
  const loader = createLoader(model, loss);
  return {
    optimizer,
    batch,
    accumulate,
    average,
    device,
    loader,
    evaluator: createEvaluator(backend, model, device.averages, { loss, batch, metrics, loader }),
    steps: createSteps(device, startOf(seed, batch)),
    activity: createActivity(),
  };
}

/** A training that yields the reports of a generator, or runs to the end where it is awaited. */
function trainingOf(reports: AsyncGenerator<EpochReport, void>): Training {
  const finish = async (): Promise<EpochReport | undefined> => {
    let last: EpochReport | undefined;
    for await (const report of reports) last = report;
    return last;
  };
  let ended: Promise<EpochReport | undefined> | undefined;
  return {
    [Symbol.asyncIterator]: () => reports,
    // eslint-disable-next-line unicorn/no-thenable -- awaiting it is what it is for
    then: (resolve, reject) => (ended ??= finish()).then(resolve, reject),
  };
}

function checkTrainer(options: TrainerOptions): void {
  const { seed = 0, batch = 64, accumulate = 1, average, clip = {}, rules = [] } = options;
  checkOptions(
    "train",
    options,
    "backend model optimizer loss state seed batch rules clip accumulate average metrics",
  );
  for (const [name, value] of Object.entries({
    backend: options.backend,
    model: options.model,
    optimizer: options.optimizer,
  })) {
    const given = kindOf(value);
    if (typeof value !== "object" || value === null || "then" in value)
      throw rangeError(
        "train",
        "object",
        given === "Promise"
          ? message`${{ name }} is ${{ given }}, must be an object: await it`
          : message`${{ name }} is ${{ given }}, must be an object`,
      );
  }
  checkOptions("clip", clip, "value norm");
  for (const rule of rules) checkOptions("rules", rule, "match rate weightDecay frozen");
  if (!Number.isSafeInteger(seed))
    throw rangeError("train", "number", message`seed ${{ value: seed }} is not a whole number`);
  mustCount("train", "batch", batch);
  mustCount("train", "accumulate", accumulate);
  for (const [name, metric] of Object.entries(options.metrics ?? {}))
    mustBeFunction("train", `the metric ${name}`, metric);
  if (average !== undefined) mustBe("in [0, 1)", "train", { average });
  for (const [what, limit] of Object.entries(clip))
    if (limit !== undefined) mustBe("a finite number > 0", "train", { [`clip.${what}`]: limit });
}
