// The trainer: runs the compiled training step over a data set. Parameters and optimizer state stay on the device and are
// updated in place; a step is enqueued before the result of the one before is read, so the device need not wait for the host.

import { checkOptions, dispose, rangeError, shapeError, type Backend, type Buffer } from "@conv/tensor";
import { decodeCheckpoint, encodeCheckpoint, type Position } from "./checkpoint.ts";
import type { Batch, Dataset, Target } from "./data.ts";
import { createDevice, type StepPass } from "./device.ts";
import { DivergedError } from "./diagnose.ts";
import { createEvaluator } from "./evaluate.ts";
import { breather } from "./events.ts";
import { readFloats } from "./forward.ts";
import { describeModel, type Entry, type Model } from "./layer.ts";
import { createLoader, whereNotFinite } from "./load.ts";
import type { Loss } from "./loss.ts";
import type { Metric } from "./metrics.ts";
import type { Optimizer } from "./optim.ts";
import { createRandom, shuffled } from "./random.ts";
import type { EpochReport, Evaluation, StepReport } from "./reports.ts";
import type { ParameterRule } from "./rules.ts";
import { initialise, matchState, nextPrefix, optimizerPrefix, type State } from "./state.ts";
import { trainedOf, type Clip } from "./step.ts";
import { createSteps } from "./steps.ts";

export interface TrainerOptions {
  readonly backend: Backend;
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** Default: the model's own, or cross-entropy. */
  readonly loss?: Loss;
  /** First weights; drawn by `seed` where absent. */
  readonly state?: State;
  /** A whole number: decides first weights, order of samples, dropout and augmentation. */
  readonly seed?: number;
  readonly batch?: number;
  /** What is special about some parameters: rate, weight decay, frozen. */
  readonly rules?: readonly ParameterRule[];
  /** Limits of the gradients. */
  readonly clip?: Clip;
  /** Batches whose gradients make one update, as if they were one batch (normalization still sees each alone). */
  readonly accumulate?: number;
  /**
   * Decay d of a moving average of the weights, which is what is evaluated: average ← d·average + (1 − d)·weights after each update, d being
   * (1 + u)/(10 + u) after u updates while that is less.
   */
  readonly average?: number;
  /** Measured by `evaluate` beside loss and accuracy. */
  readonly metrics?: Readonly<Record<string, Metric>>;
}

export interface FitOptions {
  /** The number of the last epoch, counted from the beginning of the training, not of this call; Infinity for no end. */
  readonly epochs: number;
  readonly validation?: Dataset;
  /** Once aborted, the iteration ends after the step under way, without a report for the epoch; the state stays valid and can be saved or trained on. */
  readonly signal?: AbortSignal;
  /** Ends the training after so many epochs in a row without a lower validation loss. */
  readonly patience?: number;
  /** Called after each step, in order; where it returns a promise the training waits for it. */
  readonly onStep?: (report: StepReport) => void | Promise<void>;
  /** A checkpoint to restore first. */
  readonly resume?: Uint8Array;
}

/** A training: nothing happens until it is iterated, for a report of each epoch, or awaited, for the last report (undefined where no epoch ended). */
export interface Training extends AsyncIterable<EpochReport>, PromiseLike<EpochReport | undefined> {}

/** What `gradients` gives. */
export interface Gradients {
  /** Of the batch, with what heads, layers and regularizers add. */
  readonly loss: number;
  /** What the loss is the mean over: what these gradients weigh in `average`. */
  readonly weight: number;
  /** By parameter; and, as `next/…`, what running statistics become. */
  readonly gradients: State;
}

export interface Trainer extends Disposable {
  /** Completed epochs, and completed steps of the next. */
  readonly position: { readonly epoch: number; readonly step: number };
  /**
   * Trains, one report an epoch. Every sample is seen once an epoch, in an order drawn from seed and epoch; the last batch is
   * smaller where the batch does not divide the data, with a program of its own. Rejects with ShapeError where data and model
   * do not fit, with RangeError for an option out of range or where all epochs are done (unless it resumes), and with DivergedError naming
   * epoch, step and layer where the loss, a gradient or anything that would be written is not finite; the trainer is then as it was before that
   * step.
   */
  fit(data: Dataset, options: FitOptions): Training;
  /** Loss, accuracy and answers with the present weights. Rejects with the signal's reason once that is aborted. */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** The model's weights with the moving averages in place of those that have one. */
  averaged(): Promise<State>;
  /** Replaces the weights and keeps the rest. Throws ShapeError, and changes nothing, where names or shapes differ. */
  setState(state: State): void;
  /** Loss of a batch, the gradients of the trained parameters and what running statistics become; changes nothing. Throws ShapeError where they do not fit. */
  gradients(batch: Batch, target?: Target): Promise<Gradients>;
  /**
   * One update by what `gradients` gave, or by its {@link average} over several machines. Throws ShapeError where names or shapes differ and
   * DivergedError where a number is not finite; rejects with DivergedError where the update is not finite, which changes nothing.
   */
  apply(gradients: State): Promise<void>;
  /** Everything needed to go on to bit-identical weights, as safetensors; may be called at any time, also from `onStep`. */
  checkpoint(): Promise<Uint8Array>;
  /** Takes a checkpoint's weights, optimizer state and place. Throws ShapeError, and changes nothing, where it is of another model or optimiser. */
  restore(bytes: Uint8Array): void;
  dispose(): void;
}

/** Makes a trainer; its tensors live on `backend` until `dispose` (or the end of `using`). Throws ShapeError where state and model do not fit. */
export function createTrainer(options: TrainerOptions): Trainer {
  checkTrainer(options);
  const { backend, model, optimizer, loss, state, seed = 0, batch = 64, rules, clip, accumulate = 1, average, metrics = {} } = options;
  const { entries } = describeModel(model);
  const settings = { loss, rules, clip, average: average !== undefined };
  const first = matchState(model.name, entries, state ?? initialise(model, seed));
  const device = createDevice(backend, { model, optimizer, settings, gathers: accumulate > 1 }, entries, first);
  const { slots, parameters, followed } = device;
  const trained = trainedOf(model, entries, rules).map((i) => entries[i]);
  const exchanged = [...trained, ...followed.map((i) => ({ ...entries[i], name: nextPrefix + entries[i].name }))];
  const loader = createLoader(model, loss);
  const evaluator = createEvaluator(backend, model, device.averages, { loss, batch, metrics, loader });
  const steps = createSteps(device, startOf(seed, batch));
  let busy = false;
  let applied: Promise<unknown> = Promise.resolve(); // the last update by given gradients

  const noise =
    ({ seed: key, steps: step }: Position) =>
    (use: number) =>
      Int32Array.of(createRandom(`${key} noise ${use}`).bits(), step);
  const decay = ({ updates }: Position) => (average === undefined ? [] : [Math.min(average, (1 + updates) / (10 + updates))]);

  /** Enqueues the next step of an epoch over `order`. */
  const enqueue = (data: Dataset, order: Uint32Array, count: number, started: number): void => {
    const { position } = steps;
    const at = position.step * batch;
    const indices = order.subarray(at, Math.min(at + batch, order.length));
    // The batches of one update: this one's share of their samples, and whether it is the last of them.
    const group = Math.floor(position.step / accumulate) * accumulate;
    const [begin, end] = [group * batch, Math.min((group + accumulate) * batch, order.length)];
    const last = at + indices.length === end;
    const share = accumulate > 1 ? [indices.length / (end - begin)] : [];
    const { target } = data;
    const samples = loader.load(data, indices, `${position.seed} sample ${position.epoch}`);
    const about = {
      epoch: position.epoch + 1,
      step: position.step + 1,
      steps: count,
      learningRate: optimizer.learningRate(position.updates),
      samples: order.length,
    };
    const fault = whereNotFinite(samples, indices.length);
    if (fault) throw spoilt(about, indices[fault.sample], fault);
    const pass: StepPass = {
      ...samples,
      count: indices.length,
      target,
      gather: accumulate === 1 ? undefined : last ? "apply" : "add",
      hyper: [...optimizer.hyper(position.updates), ...share, ...decay(position)],
      seed: noise(position),
    };
    const after = {
      ...position,
      samples: order.length,
      step: position.step + 1,
      steps: position.steps + 1,
      updates: position.updates + Number(last),
    };
    steps.enqueue(pass, about, after, started);
  };

  /** Refuses what could not be trained on to the end of an epoch, before anything is written. */
  const check = (data: Dataset, { epochs, validation, patience, resume }: FitOptions): void => {
    for (const set of [data, validation]) if (set) loader.check(set);
    if (patience !== undefined && !validation) throw shapeError("train", "patience needs validation data");
    const { epoch, step, samples } = steps.position;
    if (step > 0 && samples !== data.count) throw shapeError("train", `the epoch under way has ${samples} samples, the data set has ${data.count}`);
    if (epoch >= epochs) {
      if (resume) return;
      throw rangeError(
        "train",
        `there is nothing to do: ${epoch} epochs are done, and epochs (${epochs}) counts from the beginning; epochs: ${epoch + epochs} trains ${epochs} more`,
      );
    }
    const rest = data.count % batch;
    if (rest) device.prepare({ count: rest, target: data.target, gather: accumulate > 1 ? "apply" : undefined });
    for (const count of validation ? [Math.min(batch, validation.count), validation.count % batch] : [])
      if (count) evaluator.prepare(count, validation?.target);
  };

  async function* fit(data: Dataset, options: FitOptions): AsyncGenerator<EpochReport, void> {
    const { epochs, validation, signal, patience, onStep, resume } = options;
    if (busy) throw new Error("train: fit is already running");
    checkFit(options);
    if (resume) restore(resume);
    check(data, options);
    busy = true;
    const breathe = breather();
    const wanted = () => steps.position.epoch < epochs && !(patience !== undefined && steps.position.stale >= patience);
    const aborted = () => signal?.aborted === true;
    const settle = async () => {
      const report = await steps.settle();
      await onStep?.(report);
    };
    try {
      await applied;
      while (wanted()) {
        const order = shuffled(data.count, `${steps.position.seed} order ${steps.position.epoch}`);
        const count = Math.ceil(data.count / batch);
        const seenBefore = steps.position.seen;
        const started = performance.now();
        while (steps.position.step < count && !aborted()) {
          enqueue(data, order, count, started);
          if (steps.pending > 1) await settle();
          await breathe();
        }
        if (steps.pending) await settle();
        const seconds = (performance.now() - started) / 1000;
        if (steps.position.step < count) return;
        const measured = validation && (await evaluator.evaluate(validation, signal).catch(unlessAborted(signal)));
        if (measured === null) return;
        const before = steps.position;
        const improved = !measured || measured.loss < (before.best ?? Infinity);
        const { seed: key, steps: step, updates, epoch } = before;
        const best = measured && improved ? measured.loss : before.best;
        const stale = measured ? (improved ? 0 : before.stale + 1) : before.stale;
        steps.position = { ...startOf(key, batch), samples: before.samples, epoch: epoch + 1, steps: step, updates, best, stale };
        yield {
          epoch: epoch + 1,
          loss: before.loss / before.weight + before.added / before.seen,
          accuracy: before.right / before.labels,
          validation: measured,
          improved,
          seconds,
          imagesPerSecond: seconds && (before.seen - seenBefore) / seconds,
        };
      }
    } finally {
      await steps.drain();
      busy = false;
    }
  }

  const readState = async (buffers: readonly Buffer[]): Promise<State> => {
    const arrays = await Promise.all(buffers.map((buffer) => readFloats(backend, buffer)));
    return stateOf(entries, arrays);
  };

  const checkpoint = async (): Promise<Uint8Array> => {
    // Taken at one moment, before anything is awaited: reads are enqueued behind the steps that the position counts.
    const at = steps.settled();
    const [weights, ...arrays] = await Promise.all([readState(parameters), ...device.slotBuffers.map((buffer) => readFloats(backend, buffer))]);
    slots.forEach(({ name, spec: { shape } }, i) => weights.set(optimizerPrefix + name, { shape, data: arrays[i] }));
    return encodeCheckpoint({ model: model.name, optimizer: optimizer.name, position: await at, state: weights });
  };

  const mustBeIdle = (what: string): void => {
    if (busy) throw new Error(`train: fit is running; abort it before ${what}`);
  };
  const write = (buffers: readonly Buffer[], arrays: readonly Float32Array[]) => arrays.forEach((data, i) => backend.write(buffers[i], data));

  function restore(bytes: Uint8Array): void {
    mustBeIdle("restore");
    const saved = decodeCheckpoint(bytes);
    if (saved.model !== model.name) throw shapeError("checkpoint", `it is of ${saved.model}, the trainer's model is ${model.name}`);
    if (saved.optimizer !== optimizer.name)
      throw shapeError("checkpoint", `it was trained with ${saved.optimizer}, the trainer has ${optimizer.name}`);
    if (saved.position.batch !== batch) throw shapeError("checkpoint", `it was trained with batch ${saved.position.batch}, the trainer has ${batch}`);
    const weights = matchState(model.name, entries, saved.state);
    const kept = [...saved.state].flatMap(([name, value]) =>
      name.startsWith(optimizerPrefix) ? [[name.slice(optimizerPrefix.length), value] as const] : [],
    );
    const memory = matchState(optimizer.name, slots, new Map(kept));
    write(parameters, weights);
    write(device.slotBuffers, memory);
    steps.position = saved.position;
  }

  /** One update by gradients that fit; says whether it was finite, and is undone where it was not. */
  const update = async (arrays: readonly Float32Array[], before: Position): Promise<void> => {
    const running = device.update(
      [...optimizer.hyper(before.updates), ...decay(before)],
      arrays.slice(0, trained.length),
      arrays.slice(trained.length),
    );
    steps.position = { ...before, steps: before.steps + 1, updates: before.updates + 1 };
    if (await running) return;
    if (steps.position.updates > before.updates) steps.position = { ...steps.position, steps: before.steps, updates: before.updates };
    device.heal();
    const rate = optimizer.learningRate(before.updates);
    throw new DivergedError(`train: the update by these gradients is not finite; a lower learning rate than ${rate} may help`, {
      ...placeOf(before),
      loss: NaN,
      origin: { layer: "update", op: "given", phase: "update" },
    });
  };

  const end = () => {
    evaluator.dispose();
    device.dispose();
  };

  return {
    get position() {
      return { epoch: steps.position.epoch, step: steps.position.step };
    },
    fit: (data, settings) => trainingOf(fit(data, settings)),
    evaluate: evaluator.evaluate,
    state: () => readState(parameters),
    averaged: () => readState(device.averages),
    setState(next) {
      mustBeIdle("setState");
      write(parameters, matchState(model.name, entries, next));
    },
    async gradients(samples, target) {
      const count = loader.count(samples, target);
      const { loss: value, weight, gradients, next } = await device.gradients({ ...samples, count, target, seed: noise(steps.position) });
      return { loss: value, weight, gradients: stateOf(exchanged, [...gradients, ...next]) };
    },
    apply(gradients) {
      mustBeIdle("apply");
      const at = steps.position;
      const arrays = matchState(model.name, exchanged, gradients, (name, value) => {
        throw new DivergedError(`train: the gradient of ${name} holds ${value}; nothing was updated`, {
          ...placeOf(at),
          loss: NaN,
          origin: { layer: name, op: "given", phase: "backward" },
        });
      });
      const running = update(arrays, at);
      applied = running.catch(() => {});
      return running;
    },
    checkpoint,
    restore,
    dispose: end,
    [dispose]: end,
  };
}

const placeOf = ({ epoch, step }: Position) => ({ epoch: epoch + 1, step: step + 1 });

/** The beginning of an epoch, and of everything. */
const startOf = (seed: number, batch: number): Position => ({
  ...{ seed, batch, samples: 0, epoch: 0, step: 0, steps: 0, updates: 0 },
  ...{ seen: 0, loss: 0, weight: 0, added: 0, right: 0, labels: 0, best: null, stale: 0 },
});

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

const stateOf = (entries: readonly Pick<Entry, "name" | "spec">[], arrays: readonly Float32Array[]): State =>
  new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));

/** The error for a sample that is not finite. */
const spoilt = (at: { epoch: number; step: number }, sample: number, { layer, value }: { layer: string; value: number }): DivergedError =>
  new DivergedError(`train: sample ${sample} holds ${value} in ${layer}, at epoch ${at.epoch}, step ${at.step}; correct it or leave it out`, {
    ...at,
    loss: NaN,
    origin: { layer, op: "given", phase: "forward" },
  });

function checkTrainer(options: TrainerOptions): void {
  const { seed = 0, batch = 64, accumulate = 1, average, clip = {}, rules = [] } = options;
  checkOptions("train", options, "backend model optimizer loss state seed batch rules clip accumulate average metrics");
  checkOptions("clip", clip, "value norm");
  for (const rule of rules) checkOptions("rules", rule, "match rate weightDecay frozen");
  if (!Number.isSafeInteger(seed)) throw rangeError("train", `seed ${seed} is not a whole number`);
  mustCount("batch", batch);
  mustCount("accumulate", accumulate);
  if (average !== undefined && !(average >= 0 && average < 1)) throw rangeError("train", `average ${average} is not in [0, 1)`);
  for (const [what, limit] of Object.entries(clip))
    if (limit !== undefined && !(limit > 0 && limit < Infinity)) throw rangeError("train", `clip.${what} ${limit} is not a finite number > 0`);
}

function checkFit(options: FitOptions): void {
  checkOptions("fit", options, "epochs validation signal patience onStep resume");
  const { epochs, patience } = options;
  if (epochs !== Infinity) mustCount("epochs", epochs);
  if (patience !== undefined) mustCount("patience", patience);
}

function mustCount(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw rangeError("train", `${what} ${value} is not a whole number ≥ 1`);
}

/** Null for an error that the signal caused; any other is thrown on. */
const unlessAborted = (signal?: AbortSignal) => (error: unknown) => {
  if (signal?.aborted) return null;
  throw error;
};
