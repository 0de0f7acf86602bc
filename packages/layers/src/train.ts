// The trainer: runs the compiled training step over a data set. Parameters and optimiser state stay on the device and are
// updated in place; a step is enqueued before the result of the one before is read, so the device need not wait for the host.

import { bytesOf, dispose, formatShape, sameShape, shapeError, type Backend, type Buffer, type Program } from "@conv/tensor";
import { decodeCheckpoint, encodeCheckpoint, type Position } from "./checkpoint.ts";
import type { Dataset } from "./data.ts";
import { breather } from "./events.ts";
import { argMax, createForward, readFloats, upload, type Loss } from "./forward.ts";
import { traceModel, type Model } from "./layer.ts";
import type { Optimizer } from "./optim.ts";
import { createRandom, shuffled } from "./random.ts";
import { initialise, matchState, optimizerPrefix, type State } from "./state.ts";
import { lossOf, traceStep } from "./step.ts";

export interface TrainerOptions {
  readonly backend: Backend;
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** Default: the model's own, or cross-entropy. */
  readonly loss?: Loss;
  /** First weights; drawn by `seed` where absent. */
  readonly state?: State;
  /** A whole number: decides first weights, order of samples and dropout. */
  readonly seed?: number;
  readonly batch?: number;
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
  readonly accuracy: number;
  /** The class with the largest output, for each sample in order. */
  readonly predicted: Int32Array;
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
   * do not fit, and Error naming epoch and step where the loss is not finite (the weights are spoilt then: restore a checkpoint).
   */
  fit(data: Dataset, options: FitOptions): AsyncIterable<EpochReport>;
  /** Loss, accuracy and answers with the present weights. Rejects with the signal's reason once that is aborted. */
  evaluate(data: Dataset, signal?: AbortSignal): Promise<Evaluation>;
  /** The model's weights. */
  state(): Promise<State>;
  /** Everything needed to go on to bit-identical weights, as safetensors; may be called at any time, also from `onStep`. */
  checkpoint(): Promise<Uint8Array>;
  /** Takes a checkpoint's weights, optimiser state and place. Throws ShapeError, and changes nothing, where it is of another model or optimiser. */
  restore(bytes: Uint8Array): void;
  dispose(): void;
}

interface Step {
  readonly program: Program;
  readonly x: Buffer;
  readonly labels: Buffer;
  readonly hyper: Buffer;
  readonly seeds: readonly Buffer[];
  readonly loss: Buffer;
  readonly output: Buffer;
  /** The parameters and buffers that it changes. */
  readonly written: readonly Buffer[];
}

/** What a step gave; known only once it has been read. */
interface Outcome {
  readonly loss: number;
  readonly right: number;
  readonly count: number;
  readonly report: Omit<StepReport, "loss" | "accuracy" | "seen">;
}

/** Makes a trainer; its tensors live on `backend` until `dispose` (or the end of `using`). Throws ShapeError where state and model do not fit. */
export function createTrainer({ backend, model, optimizer, loss, state, seed = 0, batch = 64 }: TrainerOptions): Trainer {
  if (!Number.isSafeInteger(seed)) throw shapeError("train", `seed ${seed} is not a whole number`);
  if (!Number.isSafeInteger(batch) || batch < 1) throw shapeError("train", `batch ${batch} is not a whole number ≥ 1`);
  const { entries } = traceModel(model);
  const parameters = upload(backend, matchState(model.name, entries, state ?? initialise(model, seed)));
  const slots = entries.flatMap((e) => (e.trainable ? optimizer.slots.map((slot) => ({ name: `${slot}/${e.name}`, spec: e.spec })) : []));
  const slotBuffers = upload(
    backend,
    slots.map((s) => new Float32Array(bytesOf(s.spec) / 4)),
  );
  const steps = new Map<number, Step>();
  const forward = createForward(backend, model, parameters, lossOf(model, loss));
  let position: Position = { seed, batch, samples: 0, epoch: 0, step: 0, updates: 0, seen: 0, loss: 0, right: 0, best: null, stale: 0 };
  let inFlight: Promise<Outcome>[] = []; // steps that `position` counts and whose sums it lacks, at most two
  let busy = false;

  const compile = (n: number): Step => {
    const { graph, seeds, written } = traceStep(model, optimizer, n, loss);
    const program = backend.compile(graph);
    const [x, labels, hyper, ...rest] = graph.inputs.slice(0, 3 + seeds).map((v) => backend.alloc(bytesOf(v.spec)));
    const [error, output] = graph.outputs.slice(0, 2).map((v) => backend.alloc(bytesOf(v.spec)));
    return { program, x, labels, hyper, seeds: rest, loss: error, output, written: written.map((i) => parameters[i]) };
  };

  const load = (data: Dataset, indices: Uint32Array) => {
    const { x, y } = data.batch(indices);
    const { classes } = model;
    y.forEach((label, i) => {
      if (classes !== undefined && !(label >= 0 && label < classes))
        throw shapeError("train", `sample ${indices[i]} has label ${label}, ${model.name} has ${classes} classes`);
    });
    return { x, y };
  };

  /** Enqueues one step and moves the position past it. */
  const enqueue = (data: Dataset, order: Uint32Array, count: number, started: number): Promise<Outcome> => {
    const at = position.step * batch;
    const indices = order.subarray(at, Math.min(at + batch, order.length));
    const { x, y } = load(data, indices);
    let made = steps.get(y.length);
    if (!made) steps.set(y.length, (made = compile(y.length)));
    backend.write(made.x, x);
    backend.write(made.labels, y);
    backend.write(made.hyper, Float32Array.from(optimizer.hyper(position.updates)));
    made.seeds.forEach((buffer, use) => backend.write(buffer, Int32Array.of(createRandom(`${position.seed} noise ${use}`).bits(), position.updates)));
    const inputs = [made.x, made.labels, made.hyper, ...made.seeds, ...parameters, ...slotBuffers];
    made.program.run(inputs, [made.loss, made.output, ...made.written, ...slotBuffers]);
    const report = {
      epoch: position.epoch + 1,
      step: position.step + 1,
      steps: count,
      learningRate: optimizer.learningRate(position.updates),
      samples: order.length,
      seconds: 0,
    };
    position = { ...position, samples: order.length, step: position.step + 1, updates: position.updates + 1 };
    const outcome = Promise.all([readFloats(backend, made.loss), readFloats(backend, made.output)]).then(([[value], output]) => {
      if (!Number.isFinite(value))
        throw new Error(
          `train: the loss is ${value} at epoch ${report.epoch}, step ${report.step}; a lower learning rate than ${report.learningRate} may help`,
        );
      const right = argMax(output, y.length).reduce((sum, label, i) => sum + Number(label === y[i]), 0);
      return { loss: value, right, count: y.length, report: { ...report, seconds: (performance.now() - started) / 1000 } };
    });
    outcome.catch(() => {}); // it is awaited later, and must not count as unhandled until then
    return outcome;
  };

  const add = (to: Position, { loss, right, count }: Outcome): Position => ({
    ...to,
    seen: to.seen + count,
    loss: to.loss + loss * count,
    right: to.right + right,
  });

  /** Waits for the oldest step in flight, and reports it. */
  const settle = async (onStep: FitOptions["onStep"]): Promise<void> => {
    const done = await inFlight[0];
    position = add(position, done);
    inFlight.shift();
    await onStep?.({ ...done.report, loss: done.loss, accuracy: done.right / done.count, seen: position.seen });
  };

  const evaluate = async (data: Dataset, signal?: AbortSignal): Promise<Evaluation> => {
    check(data);
    const predicted = new Int32Array(data.count);
    const breathe = breather();
    let sum = 0;
    let right = 0;
    for (let at = 0; at < data.count; at += batch) {
      signal?.throwIfAborted();
      const { x, y } = load(
        data,
        Uint32Array.from({ length: Math.min(batch, data.count - at) }, (_, i) => at + i),
      );
      const run = forward.run(x, y);
      const [output, value] = await Promise.all([run.output, run.loss]);
      const answers = argMax(output, y.length);
      predicted.set(answers, at);
      answers.forEach((answer, i) => (right += Number(answer === y[i])));
      sum += value * y.length;
      await breathe();
    }
    return { loss: sum / data.count, accuracy: right / data.count, predicted };
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
          accuracy: right / seen,
          validation: measured,
          improved,
          seconds,
          imagesPerSecond: seconds && (seen - seenBefore) / seconds,
        };
      }
    } finally {
      for (const left of await Promise.allSettled(inFlight)) if (left.status === "fulfilled") position = add(position, left.value);
      inFlight = [];
      busy = false;
    }
  }

  const readState = async (): Promise<State> => {
    const arrays = await Promise.all(parameters.map((buffer) => readFloats(backend, buffer)));
    return new Map(entries.map((e, i) => [e.name, { shape: e.spec.shape, data: arrays[i] }]));
  };

  const checkpoint = async (): Promise<Uint8Array> => {
    // Taken at one moment, before anything is awaited: reads are enqueued behind the steps that `position` counts.
    const [at, rest] = [position, [...inFlight]];
    const [weights, ...arrays] = await Promise.all([readState(), ...slotBuffers.map((buffer) => readFloats(backend, buffer))]);
    slots.forEach(({ name, spec: { shape } }, i) => weights.set(optimizerPrefix + name, { shape, data: arrays[i] }));
    return encodeCheckpoint({ model: model.name, optimizer: optimizer.name, position: (await Promise.all(rest)).reduce(add, at), state: weights });
  };

  function restore(bytes: Uint8Array): void {
    if (busy) throw new Error("train: fit is running; abort it before restore");
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
    weights.forEach((data, i) => backend.write(parameters[i], data));
    memory.forEach((data, i) => backend.write(slotBuffers[i], data));
    position = saved.position;
  }

  const end = () => {
    forward.dispose();
    for (const { program, x, labels, hyper, seeds, loss: error, output } of steps.values()) {
      program.dispose();
      for (const buffer of [x, labels, hyper, ...seeds, error, output]) backend.free(buffer);
    }
    steps.clear();
    for (const buffer of [...parameters, ...slotBuffers]) backend.free(buffer);
  };

  return {
    get position() {
      return { epoch: position.epoch, step: position.step };
    },
    fit,
    evaluate,
    state: readState,
    checkpoint,
    restore,
    dispose: end,
    [dispose]: end,
  };
}

/** Null for an error that the signal caused; any other is thrown on. */
const unlessAborted = (signal?: AbortSignal) => (error: unknown) => {
  if (signal?.aborted) return null;
  throw error;
};
