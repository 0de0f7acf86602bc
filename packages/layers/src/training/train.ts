// The trainer: a model, its optimizer and their tensors, which stay on the device and are updated
// in place.

import {
  checkOptions,
  dispose,
  kindOf,
  rangeError,
  shapeError,
  type Backend,
  type Buffer,
} from "@conv/tensor";
import { mustBe, mustBeFunction, mustCount } from "../checks.ts";
import type { Batch, Dataset, Target } from "../data/data.ts";
import { createLoader } from "../data/load.ts";
import { readFloats } from "../inference/forward.ts";
import { describeModel, type Entry, type Model } from "../layers/layer.ts";
import { initialize, matchState, optimizerPrefix, type State } from "../state/state.ts";
import { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
import { createDevice } from "./device.ts";
import { createEvaluator } from "./evaluate.ts";
import { createExchange, stateOf, type Gradients } from "./exchange.ts";
import { fit, startOf, type FitOptions, type Loaded, type Parts } from "./fit.ts";
import type { Loss } from "./loss.ts";
import type { Metric } from "./metrics.ts";
import type { Optimizer } from "./optim.ts";
import type { EpochReport, Evaluation } from "./reports.ts";
import type { ParameterRule } from "./rules.ts";
import { trainedOf, type Clip } from "./step.ts";
import { createSteps } from "./steps.ts";

export interface TrainerOptions {
  readonly backend: Backend;
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** Default: the model's own, or cross-entropy. */
  readonly loss?: Loss | undefined;
  /** First weights; drawn by `seed` where absent. */
  readonly state?: State | undefined;
  /** A whole number: decides first weights, order of samples, dropout and augmentation. */
  readonly seed?: number | undefined;
  readonly batch?: number | undefined;
  /** What is special about some parameters: rate, weight decay, frozen. */
  readonly rules?: readonly ParameterRule[] | undefined;
  /** Limits of the gradients. */
  readonly clip?: Clip | undefined;
  /**
   * Batches whose gradients make one update, as if they were one batch (normalization still sees
   * each alone).
   */
  readonly accumulate?: number | undefined;
  /**
   * Decay d of a moving average of the weights, which is what is evaluated: average ← d·average +
   * (1 − d)·weights after each update, d being (1 + u)/(10 + u) after u updates while that is less.
   */
  readonly average?: number | undefined;
  /** Measured by `evaluate` beside loss and accuracy. */
  readonly metrics?: Readonly<Record<string, Metric>> | undefined;
}

/**
 * A training: nothing happens until it is iterated, for a report of each epoch, or awaited, for the
 * last report (undefined where no epoch ended).
 */
export interface Training
  extends AsyncIterable<EpochReport>, PromiseLike<EpochReport | undefined> {}

export interface Trainer extends Disposable {
  /** Completed epochs, and completed steps of the next. */
  readonly position: { readonly epoch: number; readonly step: number };
  /**
   * Trains, one report an epoch. Every sample is seen once an epoch, in an order drawn from seed
   * and epoch; the last batch is smaller where the batch does not divide the data, with a program
   * of its own. Rejects with ShapeError where data and model do not fit, with RangeError for an
   * option out of range or where all epochs are done (unless it resumes), and with DivergedError
   * naming epoch, step and layer where the loss, a gradient or anything that would be written is
   * not finite; the trainer is then as it was before that step.
   */
  fit(data: Dataset, options: FitOptions): Training;
  /**
   * Loss, accuracy and answers with the present weights. Rejects with the signal's reason once that
   * is aborted.
   */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** The model's weights with the moving averages in place of those that have one. */
  averaged(): Promise<State>;
  /**
   * Replaces the weights and keeps the rest. Throws ShapeError, and changes nothing, where names or
   * shapes differ.
   */
  setState(state: State): void;
  /**
   * Loss of a batch, the gradients of the trained parameters and what running statistics become;
   * changes nothing. Throws ShapeError where they do not fit.
   */
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  /**
   * One update by what `gradients` gave, or by its {@link average} over several machines. Throws
   * ShapeError where names or shapes differ and DivergedError where a number is not finite; rejects
   * with DivergedError where the update is not finite, which changes nothing.
   */
  apply(gradients: State): Promise<void>;
  /**
   * Everything needed to go on to bit-identical weights, as safetensors; may be called at any time,
   * also from `onStep`.
   */
  checkpoint(): Promise<Uint8Array>;
  /**
   * Takes a checkpoint's weights, optimizer state and place. Throws ShapeError, and changes
   * nothing, where it is of another model or optimizer.
   */
  restore(bytes: Uint8Array): void;
  dispose(): void;
}

/**
 * Makes a trainer; its tensors live on `backend` until `dispose` (or the end of `using`). Throws
 * ShapeError where state and model do not fit.
 */
export function createTrainer(options: TrainerOptions): Trainer {
  checkTrainer(options);
  const {
    backend,
    model,
    optimizer,
    loss,
    state,
    seed = 0,
    batch = 64,
    rules,
    clip,
    accumulate = 1,
    average,
    metrics = {},
  } = options;
  const { entries } = describeModel(model);
  const settings = { loss, rules, clip, average: average !== undefined };
  const first = matchState(model.name, entries, state ?? initialize(model, seed));
  const device = createDevice(
    backend,
    { model, optimizer, settings, gathers: accumulate > 1 },
    entries,
    first,
  );
  const loader = createLoader(model, loss);
  const evaluator = createEvaluator(backend, model, device.averages, {
    loss,
    batch,
    metrics,
    loader,
  });
  const steps = createSteps(device, startOf(seed, batch));
  const parts: Parts = {
    optimizer,
    batch,
    accumulate,
    average,
    device,
    loader,
    evaluator,
    steps,
    busy: false,
    applied: Promise.resolve(),
  };
  const saving = createSaving(backend, model, entries, parts);
  const exchange = createExchange(model, entries, trainedOf(model, entries, rules), parts);
  const mustBeIdle = (what: string): void => {
    if (parts.busy) throw new Error(`train: fit is running; abort it before ${what}`);
  };
  const load = (bytes: Uint8Array) => {
    mustBeIdle("restore");
    return saving.load(bytes);
  };
  const end = () => {
    evaluator.dispose();
    device.dispose();
  };
  return {
    get position() {
      return { epoch: steps.position.epoch, step: steps.position.step };
    },
    fit: (data, given) => trainingOf(fit(parts, load, data, given)),
    evaluate: evaluator.evaluate,
    state: () => saving.read(device.parameters),
    averaged: () => saving.read(device.averages),
    setState(next) {
      mustBeIdle("setState");
      saving.write(device.parameters, matchState(model.name, entries, next));
    },
    gradients: exchange.gradients,
    apply(gradients) {
      mustBeIdle("apply");
      return exchange.apply(gradients);
    },
    checkpoint: saving.checkpoint,
    restore: (bytes) => load(bytes).take(),
    dispose: end,
    [dispose]: end,
  };
}

/** What reads, saves and restores the tensors of a trainer. */
function createSaving(
  backend: Backend,
  model: Model,
  entries: readonly Entry[],
  { optimizer, batch, device, steps }: Parts,
) {
  const { slots, parameters, slotBuffers } = device;
  const read = async (buffers: readonly Buffer[]): Promise<State> => {
    const arrays = await Promise.all(buffers.map((buffer) => readFloats(backend, buffer)));
    return stateOf(entries, arrays);
  };
  const write = (buffers: readonly Buffer[], arrays: readonly Float32Array[]) =>
    arrays.forEach((data, i) => backend.write(buffers[i], data));
  return {
    read,
    write,
    async checkpoint(): Promise<Uint8Array> {
      // Taken at one moment, before anything is awaited: reads are enqueued behind the steps that
      // the position counts.
      const at = steps.settled();
      const [weights, ...arrays] = await Promise.all([
        read(parameters),
        ...slotBuffers.map((buffer) => readFloats(backend, buffer)),
      ]);
      slots.forEach(({ name, spec: { shape } }, i) =>
        weights.set(optimizerPrefix + name, { shape, data: arrays[i] }),
      );
      return encodeCheckpoint({
        model: model.name,
        optimizer: optimizer.name,
        position: await at,
        state: weights,
      });
    },
    /** Reads a checkpoint and checks it; nothing changes before `take`. */
    load(bytes: Uint8Array): Loaded {
      const saved = decodeCheckpoint(bytes);
      if (saved.model !== model.name)
        throw shapeError(
          "checkpoint",
          `it is of ${saved.model}, the trainer's model is ${model.name}`,
        );
      if (saved.optimizer !== optimizer.name)
        throw shapeError(
          "checkpoint",
          `it was trained with ${saved.optimizer}, the trainer has ${optimizer.name}`,
        );
      if (saved.position.batch !== batch)
        throw shapeError(
          "checkpoint",
          `it was trained with batch ${saved.position.batch}, the trainer has ${batch}`,
        );
      const weights = matchState(model.name, entries, saved.state);
      const kept = [...saved.state].flatMap(([name, value]) =>
        name.startsWith(optimizerPrefix)
          ? [[name.slice(optimizerPrefix.length), value] as const]
          : [],
      );
      const memory = matchState(optimizer.name, slots, new Map(kept));
      const { position } = saved;
      return {
        position,
        take() {
          write(parameters, weights);
          write(slotBuffers, memory);
          steps.position = position;
        },
      };
    },
  };
}

/** The reports of a generator, each once; awaited, it runs to the end. */
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
  for (const [what, value] of Object.entries({
    backend: options.backend,
    model: options.model,
    optimizer: options.optimizer,
  }))
    if (typeof value !== "object" || value === null || "then" in value)
      throw rangeError(
        "train",
        `${what} is ${kindOf(value)}, must be an object${kindOf(value) === "Promise" ? ": await it" : ""}`,
      );
  checkOptions("clip", clip, "value norm");
  for (const rule of rules) checkOptions("rules", rule, "match rate weightDecay frozen");
  if (!Number.isSafeInteger(seed)) throw rangeError("train", `seed ${seed} is not a whole number`);
  mustCount("train", "batch", batch);
  mustCount("train", "accumulate", accumulate);
  for (const [name, metric] of Object.entries(options.metrics ?? {}))
    mustBeFunction("train", `the metric ${name}`, metric);
  if (average !== undefined) mustBe("in [0, 1)", "train", { average });
  for (const [what, limit] of Object.entries(clip))
    if (limit !== undefined) mustBe("a finite number > 0", "train", { [`clip.${what}`]: limit });
}
