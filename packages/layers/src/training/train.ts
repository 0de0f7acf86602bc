// The trainer: a model and an optimizer, whose tensors stay on the device and are updated in place.

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
  /** Initial weights. Default: initialized with `seed`. */
  readonly state?: State | undefined;
  /**
   * Seed of initial weights, order of samples, dropout and augmentation, a whole number. Default:
   * 0.
   */
  readonly seed?: number | undefined;
  /** Batch size. Default: 64. */
  readonly batch?: number | undefined;
  /** Learning rate, weight decay and freezing for some parameters. */
  readonly rules?: readonly ParameterRule[] | undefined;
  /** Gradient clipping. Default: none. */
  readonly clip?: Clip | undefined;
  /**
   * Number of batches whose gradients are accumulated for one update, which equals the update of
   * one large batch, except that normalization uses the statistics of each batch. Default: 1.
   */
  readonly accumulate?: number | undefined;
  /**
   * Decay d of a moving average of the weights, which `evaluate` uses: average ← d·average + (1 −
   * d)·weights after each update. After u updates d is at most (1 + u)/(10 + u). Default: no
   * average.
   */
  readonly average?: number | undefined;
  /** Metrics that `evaluate` computes besides loss and accuracy. */
  readonly metrics?: Readonly<Record<string, Metric>> | undefined;
}

/**
 * A training. It starts when it is iterated, which yields a report for each epoch, or awaited,
 * which returns the last report (undefined if no epoch was completed).
 */
export interface Training
  extends AsyncIterable<EpochReport>, PromiseLike<EpochReport | undefined> {}

export interface Trainer extends Disposable {
  /** Number of completed epochs, and of completed steps of the next epoch. */
  readonly position: { readonly epoch: number; readonly step: number };
  /**
   * Trains, with one report for each epoch. An epoch uses every sample once, in a random order that
   * depends on seed and epoch. If the batch size does not divide the number of samples, the last
   * batch is smaller and has its own program. Rejects with ShapeError if data and model do not fit;
   * with RangeError for an option out of range, or if all epochs are complete (unless it resumes);
   * with DivergedError, which names epoch, step and layer, if the loss, a gradient or a new value
   * is not finite. The trainer is then in the state before that step.
   */
  fit(data: Dataset, options: FitOptions): Training;
  /**
   * Computes loss, accuracy and predictions with the current weights (or their moving averages).
   * Rejects with the reason of the signal if it is aborted.
   */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** The model's weights, with the moving average instead of each weight that has one. */
  averaged(): Promise<State>;
  /**
   * Replaces the weights, but not the state of the optimizer. Throws ShapeError, without any
   * change, if names or shapes differ.
   */
  setState(state: State): void;
  /**
   * The loss of a batch, the gradients of the trained parameters and the new values of running
   * statistics, without any change of the trainer. Rejects with ShapeError if the batch does not
   * fit.
   */
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  /**
   * One update by the result of `gradients`, or its {@link average} over several machines. Throws
   * ShapeError if names or shapes differ, and DivergedError if a gradient is not finite; rejects
   * with DivergedError if the update is not finite. After an error nothing has changed.
   */
  apply(gradients: State): Promise<void>;
  /**
   * A checkpoint as a safetensors file, from which training continues with bit-identical results.
   * May be called at any time, also in `onStep`.
   */
  checkpoint(): Promise<Uint8Array>;
  /**
   * Restores weights, optimizer state and position from a checkpoint. Throws FileError if it is not
   * a checkpoint, and ShapeError if it belongs to another model, optimizer or batch size, without
   * any change.
   */
  restore(bytes: Uint8Array): void;
  /** Frees the tensors. Later calls of other methods throw. */
  dispose(): void;
}

/**
 * Creates a trainer. Its tensors stay allocated on `backend` until `dispose` (or the end of
 * `using`). Throws RangeError for options out of range and ShapeError if state and model do not
 * fit.
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

/** Creates the parts of a trainer with initial values of the entries. */
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

/** A training that yields the reports of a generator, or runs to the end when awaited. */
function trainingOf(reports: AsyncGenerator<EpochReport, void>): Training {
  const finish = async (): Promise<EpochReport | undefined> => {
    let last: EpochReport | undefined;
    for await (const report of reports) last = report;
    return last;
  };
  let ended: Promise<EpochReport | undefined> | undefined;
  return {
    [Symbol.asyncIterator]: () => reports,
    // eslint-disable-next-line unicorn/no-thenable -- a training is meant to be awaited
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
          ? message`${{ name }} is ${{ given }}, must be an object; await the promise`
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
