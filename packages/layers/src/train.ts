// The trainer: runs the compiled training step over a data set. Parameters and optimiser state stay on the device and are
// updated in place; a step is enqueued before the result of the one before is read, so the device need not wait for the host.

import { dispose, formatShape, sameShape, shapeError, sizeOf, type Backend, type Buffer } from "@conv/tensor";
import { decodeCheckpoint, encodeCheckpoint, type Position } from "./checkpoint.ts";
import type { Batch, Dataset, Target } from "./data.ts";
import { createDevice, type StepPass } from "./device.ts";
import { diverged } from "./diagnose.ts";
import { breather } from "./events.ts";
import { argMax, createForward, readFloats, type Loss } from "./forward.ts";
import { traceModel, type Entry, type Model } from "./layer.ts";
import type { Metric } from "./metrics.ts";
import type { Optimizer } from "./optim.ts";
import { createRandom, shuffled } from "./random.ts";
import type { ParameterRule } from "./rules.ts";
import { initialise, matchState, optimizerPrefix, type State } from "./state.ts";
import { lossOf, trainedOf, type Clip } from "./step.ts";

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
  /** Batches whose gradients make one update, as if they were one batch (normalisation still sees each alone). */
  readonly accumulate?: number;
  /**
   * Decay d of a moving average of the weights, which is what is evaluated: average ← d·average + (1 − d)·weights after each update, d being
   * (1 + u)/(10 + u) after u updates while that is less.
   */
  readonly average?: number;
  /** Measured by `evaluate` beside loss and accuracy. */
  readonly metrics?: Readonly<Record<string, Metric>>;
}

export interface StepReport {
  /** From 1. */
  readonly epoch: number;
  /** From 1 to `steps`. */
  readonly step: number;
  readonly steps: number;
  /** Of this batch, before its update. */
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  /** Samples of the epoch seen so far. */
  readonly seen: number;
  /** Samples in the epoch. */
  readonly samples: number;
  /** Since this call began the epoch. */
  readonly seconds: number;
}

export interface Evaluation {
  readonly loss: number;
  /** Share of right answers; NaN where labels are no classes. */
  readonly accuracy: number;
  /** The class with the largest output, for each label in order. */
  readonly predicted: Int32Array;
  /** Means over all samples, by the names that the trainer was given. */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** Means over the epoch, each batch before its update. */
  readonly loss: number;
  readonly accuracy: number;
  readonly validation?: Evaluation;
  /** Whether the validation loss is the lowest so far; true without validation. */
  readonly improved: boolean;
  /** Of training, without validation; of this call alone where an epoch was resumed. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

export interface FitOptions {
  /** The number of the last epoch, counted from the beginning of the training, not of this call. */
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

export interface Trainer extends Disposable {
  /** Completed epochs, and completed steps of the next. */
  readonly position: { readonly epoch: number; readonly step: number };
  /**
   * Trains, one report an epoch. Every sample is seen once an epoch, in an order drawn from seed and epoch; the last batch is
   * smaller where the batch does not divide the data, with a program of its own. Throws ShapeError where data and model
   * do not fit, and DivergedError naming epoch, step and layer where the loss or a gradient is not finite; the trainer is then as it
   * was before that step.
   */
  fit(data: Dataset, options: FitOptions): AsyncIterable<EpochReport>;
  /** Loss, accuracy and answers with the present weights. Rejects with the signal's reason once that is aborted. */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** The model's weights with the moving averages in place of those that have one. */
  averaged(): Promise<State>;
  /** Replaces the weights and keeps the rest. Throws ShapeError, and changes nothing, where names or shapes differ. */
  setState(state: State): void;
  /** Loss of a batch and the gradients of the trained parameters; changes nothing. */
  gradients(batch: Batch, target?: Target): Promise<{ readonly loss: number; readonly gradients: State }>;
  /** One update by given gradients, as of a step: with gradients averaged over several machines, for example. Throws ShapeError where they do not fit. */
  apply(gradients: State): void;
  /** Everything needed to go on to bit-identical weights, as safetensors; may be called at any time, also from `onStep`. */
  checkpoint(): Promise<Uint8Array>;
  /** Takes a checkpoint's weights, optimiser state and place. Throws ShapeError, and changes nothing, where it is of another model or optimiser. */
  restore(bytes: Uint8Array): void;
  dispose(): void;
}

/** What a step gave; known only once it has been read. */
interface Outcome {
  readonly loss: number;
  readonly right: number;
  readonly count: number;
  readonly report: Omit<StepReport, "loss" | "accuracy" | "seen">;
}

/** A step that is under way: what it was given, and what it will give. */
interface UnderWay {
  readonly pass: StepPass;
  readonly before: Position;
  readonly report: Outcome["report"];
  readonly outcome: Promise<Outcome>;
}

/** Makes a trainer; its tensors live on `backend` until `dispose` (or the end of `using`). Throws ShapeError where state and model do not fit. */
export function createTrainer(options: TrainerOptions): Trainer {
  const { backend, model, optimizer, loss, state, seed = 0, batch = 64, rules, clip, accumulate = 1, average, metrics = {} } = options;
  if (!Number.isSafeInteger(seed)) throw shapeError("train", `seed ${seed} is not a whole number`);
  mustCount("batch", batch);
  mustCount("accumulate", accumulate);
  if (average !== undefined && !(average >= 0 && average < 1)) throw shapeError("train", `average ${average} is not in [0, 1)`);
  const { entries } = traceModel(model);
  const settings = { loss, rules, clip, average: average !== undefined };
  const first = matchState(model.name, entries, state ?? initialise(model, seed));
  const device = createDevice(backend, { model, optimizer, settings, gathers: accumulate > 1 }, entries, first);
  const { slots, parameters } = device;
  const trained = trainedOf(model, entries, rules).map((i) => entries[i]);
  const forward = createForward(backend, model, device.averages, lossOf(model, loss));
  let position: Position = { seed, batch, samples: 0, epoch: 0, step: 0, steps: 0, updates: 0, seen: 0, loss: 0, right: 0, best: null, stale: 0 };
  let inFlight: UnderWay[] = []; // steps that `position` counts and whose sums it lacks, at most two
  let busy = false;

  const load = (data: Dataset, indices: Uint32Array, key?: string): Batch => {
    const { x, y } = data.batch(indices, key);
    const { classes } = model;
    if (classes !== undefined && isClass(data.target))
      y.forEach((label, i) => {
        if (!(label >= 0 && label < classes))
          throw shapeError("train", `sample ${indices[i]} has label ${label}, ${model.name} has ${classes} classes`);
      });
    return { x, y };
  };
  const noise =
    ({ seed: key, steps }: Position) =>
    (use: number) =>
      Int32Array.of(createRandom(`${key} noise ${use}`).bits(), steps);
  const decay = ({ updates }: Position) => (average === undefined ? [] : [Math.min(average, (1 + updates) / (10 + updates))]);

  /** Enqueues one step and moves the position past it. */
  const enqueue = (data: Dataset, order: Uint32Array, count: number, started: number): UnderWay => {
    const before = position;
    const at = position.step * batch;
    const indices = order.subarray(at, Math.min(at + batch, order.length));
    // The batches of one update: this one's share of their samples, and whether it is the last of them.
    const group = Math.floor(position.step / accumulate) * accumulate;
    const [begin, end] = [group * batch, Math.min((group + accumulate) * batch, order.length)];
    const last = at + indices.length === end;
    const share = accumulate > 1 ? [indices.length / (end - begin)] : [];
    const { target } = data;
    const pass: StepPass = {
      ...load(data, indices, `${position.seed} sample ${position.epoch}`),
      count: indices.length,
      target,
      gather: accumulate === 1 ? undefined : last ? "apply" : "add",
      hyper: [...optimizer.hyper(position.updates), ...share, ...decay(position)],
      seed: noise(position),
    };
    const report = {
      epoch: position.epoch + 1,
      step: position.step + 1,
      steps: count,
      learningRate: optimizer.learningRate(position.updates),
      samples: order.length,
      seconds: 0,
    };
    const running = device.step(pass);
    position = { ...position, samples: order.length, step: position.step + 1, steps: position.steps + 1, updates: position.updates + Number(last) };
    const outcome = running.then(({ loss: value, output, fine }) => {
      if (!fine) throw new Stopped(value);
      return { loss: value, right: rightOf(output, pass), count: pass.count, report: { ...report, seconds: (performance.now() - started) / 1000 } };
    });
    outcome.catch(() => {}); // it is awaited later, and must not count as unhandled until then
    return { pass, before, report, outcome };
  };

  const add = (to: Position, { loss, right, count }: Outcome): Position => ({
    ...to,
    seen: to.seen + count,
    loss: to.loss + loss * count,
    right: to.right + (right || 0), // NaN where labels are no classes
  });

  /** Waits for the oldest step in flight, and reports it. One that was not fine changed nothing, and neither did those after it. */
  const settle = async (onStep: FitOptions["onStep"]): Promise<void> => {
    const { outcome, before, pass, report } = inFlight[0];
    let done: Outcome;
    try {
      done = await outcome;
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      await Promise.allSettled(inFlight.map((step) => step.outcome));
      inFlight = [];
      const { step, steps, updates } = before;
      position = { ...position, step, steps, updates };
      device.heal();
      throw diverged({ ...report, loss: error.loss }, await device.diagnose(pass));
    }
    position = add(position, done);
    inFlight.shift();
    await onStep?.({ ...done.report, loss: done.loss, accuracy: done.right / done.count, seen: position.seen });
  };

  const evaluate = async (data: Dataset, signal?: AbortSignal): Promise<Evaluation> => {
    check(data);
    const { target } = data;
    const labels = sizeOf(target?.shape ?? []);
    const predicted = new Int32Array(data.count * labels);
    const sums = Object.fromEntries(Object.keys(metrics).map((name) => [name, 0]));
    const breathe = breather();
    let sum = 0;
    let right = 0;
    for (let at = 0; at < data.count; at += batch) {
      signal?.throwIfAborted();
      const count = Math.min(batch, data.count - at);
      const { x, y } = load(
        data,
        Uint32Array.from({ length: count }, (_, i) => at + i),
      );
      const run = forward.run(x, y, target);
      const [output, value] = await Promise.all([run.output, run.loss]);
      predicted.set(argMax(output, count, labels), at * labels);
      right += rightOf(output, { y, count, target });
      sum += value * count;
      for (const [name, measure] of Object.entries(metrics)) sums[name] += count * measure(output, y, count);
      await breathe();
    }
    const means = Object.fromEntries(Object.entries(sums).map(([name, total]) => [name, total / data.count]));
    return { loss: sum / data.count, accuracy: right / data.count, predicted, metrics: means };
  };

  const check = (data: Dataset): void => {
    if (!sameShape(data.sample, model.input))
      throw shapeError("train", `samples have shape ${formatShape(data.sample)}, ${model.name} takes ${formatShape(model.input)}`);
    if (data.count < 1) throw shapeError("train", "the data set is empty");
  };

  async function* fit(data: Dataset, { epochs, validation, signal, patience, onStep, resume }: FitOptions): AsyncGenerator<EpochReport, void> {
    if (busy) throw new Error("train: fit is already running");
    if (resume) restore(resume);
    check(data);
    if (validation) check(validation);
    if (patience !== undefined && !validation) throw shapeError("train", "patience needs validation data");
    if (position.step > 0 && position.samples !== data.count)
      throw shapeError("train", `the epoch under way has ${position.samples} samples, the data set has ${data.count}`);
    busy = true;
    const breathe = breather();
    const wanted = () => position.epoch < epochs && !(patience !== undefined && position.stale >= patience);
    const aborted = () => signal?.aborted === true;
    try {
      while (wanted()) {
        const order = shuffled(data.count, `${position.seed} order ${position.epoch}`);
        const count = Math.ceil(data.count / batch);
        const seenBefore = position.seen;
        const started = performance.now();
        while (position.step < count && !aborted()) {
          inFlight.push(enqueue(data, order, count, started));
          if (inFlight.length > 1) await settle(onStep);
          await breathe();
        }
        if (inFlight.length) await settle(onStep);
        const seconds = (performance.now() - started) / 1000;
        if (position.step < count) return;
        const measured = validation && (await evaluate(validation, signal).catch(unlessAborted(signal)));
        if (measured === null) return;
        const { seen, loss: sum, right } = position;
        const improved = !measured || measured.loss < (position.best ?? Infinity);
        position = { ...position, epoch: position.epoch + 1, step: 0, seen: 0, loss: 0, right: 0 };
        if (measured) position = { ...position, best: improved ? measured.loss : position.best, stale: improved ? 0 : position.stale + 1 };
        yield {
          epoch: position.epoch,
          loss: sum / seen,
          accuracy: data.target?.dtype === "float32" ? NaN : right / seen,
          validation: measured,
          improved,
          seconds,
          imagesPerSecond: seconds && (seen - seenBefore) / seconds,
        };
      }
    } finally {
      for (const left of await Promise.allSettled(inFlight.map((step) => step.outcome)))
        if (left.status === "fulfilled") position = add(position, left.value);
      inFlight = [];
      busy = false;
    }
  }

  const readState = async (buffers: readonly Buffer[]): Promise<State> => {
    const arrays = await Promise.all(buffers.map((buffer) => readFloats(backend, buffer)));
    return stateOf(entries, arrays);
  };

  const checkpoint = async (): Promise<Uint8Array> => {
    // Taken at one moment, before anything is awaited: reads are enqueued behind the steps that `position` counts.
    const [at, rest] = [position, inFlight.map((step) => step.outcome)];
    const [weights, ...arrays] = await Promise.all([readState(parameters), ...device.slotBuffers.map((buffer) => readFloats(backend, buffer))]);
    slots.forEach(({ name, spec: { shape } }, i) => weights.set(optimizerPrefix + name, { shape, data: arrays[i] }));
    return encodeCheckpoint({ model: model.name, optimizer: optimizer.name, position: (await Promise.all(rest)).reduce(add, at), state: weights });
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
    position = saved.position;
  }

  const end = () => {
    forward.dispose();
    device.dispose();
  };

  return {
    get position() {
      return { epoch: position.epoch, step: position.step };
    },
    fit,
    evaluate,
    state: () => readState(parameters),
    averaged: () => readState(device.averages),
    setState(next) {
      mustBeIdle("setState");
      write(parameters, matchState(model.name, entries, next));
    },
    async gradients({ x, y }, target) {
      const count = x.length / sizeOf(model.input);
      const { loss: value, gradients } = await device.gradients({ x, y, count, target, seed: noise(position) });
      return { loss: value, gradients: stateOf(trained, gradients) };
    },
    apply(gradients) {
      mustBeIdle("apply");
      device.update([...optimizer.hyper(position.updates), ...decay(position)], matchState(model.name, trained, gradients));
      position = { ...position, steps: position.steps + 1, updates: position.updates + 1 };
    },
    checkpoint,
    restore,
    dispose: end,
    [dispose]: end,
  };
}

/** How many of the answers are right; a share of a sample where it has many labels, NaN where labels are no classes. */
function rightOf(output: Float32Array, { y, count, target }: Pick<StepPass, "y" | "count" | "target">): number {
  if (target?.dtype === "float32") return NaN;
  const labels = sizeOf(target?.shape ?? []);
  return argMax(output, count, labels).reduce((sum, label, i) => sum + Number(label === y[i]), 0) / labels;
}

const isClass = (target?: Target): boolean => !target || (target.dtype === "int32" && target.shape.length === 0);

const stateOf = (entries: readonly Entry[], arrays: readonly Float32Array[]): State =>
  new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));

function mustCount(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) throw shapeError("train", `${what} ${value} is not a whole number ≥ 1`);
}

/** A step that changed nothing, with its loss. */
class Stopped extends Error {
  readonly loss: number;
  constructor(loss: number) {
    super("train: a step under way is not finite");
    this.loss = loss;
  }
}

/** Null for an error that the signal caused; any other is thrown on. */
const unlessAborted = (signal?: AbortSignal) => (error: unknown) => {
  if (signal?.aborted) return null;
  throw error;
};
