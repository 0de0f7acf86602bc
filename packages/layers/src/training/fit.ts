// The loop of a training: epochs, the steps of each, validation and reports. A step is enqueued
// before the result of the one before is read, so the device need not wait for the host.

import { checkOptions, kindOf, rangeError, shapeError } from "@conv/tensor";
import { mustBeFunction, mustCount } from "../checks.ts";
import type { Dataset } from "../data/data.ts";
import { whereNotFinite, type Loader } from "../data/load.ts";
import { createRandom, shuffled } from "../data/random.ts";
import type { Position } from "./checkpoint.ts";
import type { Device, StepPass } from "./device.ts";
import { notFiniteIn, type DivergedError } from "./diagnose.ts";
import type { Evaluator } from "./evaluate.ts";
import { breather } from "./events.ts";
import type { Optimizer } from "./optim.ts";
import type { EpochReport, StepReport } from "./reports.ts";
import type { Steps } from "./steps.ts";

export interface FitOptions {
  /**
   * The number of the last epoch, counted from the beginning of the training, not of this call;
   * Infinity for no end.
   */
  readonly epochs: number;
  readonly validation?: Dataset | undefined;
  /**
   * Once aborted, the iteration ends after the step under way, without a report for the epoch; the
   * state stays valid and can be saved or trained on.
   */
  readonly signal?: AbortSignal | undefined;
  /** Ends the training after so many epochs in a row without a lower validation loss. */
  readonly patience?: number | undefined;
  /** Called after each step, in order; where it returns a promise the training waits for it. */
  readonly onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
  /** A checkpoint to restore first. */
  readonly resume?: Uint8Array | undefined;
}

/** A checkpoint that fits the trainer, and what puts it there. */
export interface Loaded {
  readonly position: Position;
  take(): void;
}

/** What the parts of a trainer share. */
export interface Parts {
  readonly optimizer: Optimizer;
  readonly batch: number;
  readonly accumulate: number;
  readonly average: number | undefined;
  readonly device: Device;
  readonly loader: Loader;
  readonly evaluator: Evaluator;
  readonly steps: Steps;
  /** Whether `fit` is running. */
  busy: boolean;
  /** The last update by given gradients. */
  applied: Promise<unknown>;
}

/** The beginning of an epoch, and of everything. */
export const startOf = (seed: number, batch: number): Position => ({
  ...{ seed, batch, samples: 0, epoch: 0, step: 0, steps: 0, updates: 0 },
  ...{ seen: 0, loss: 0, weight: 0, added: 0, right: 0, labels: 0, best: null, stale: 0 },
});

/** The seeds of a step's uses of randomness. */
export const noiseOf =
  ({ seed, steps }: Position) =>
  (use: number): Int32Array =>
    Int32Array.of(createRandom(`${seed} noise ${use}`).bits(), steps);

/** The decay of the moving averages, where there are such. */
export const decayOf = (average: number | undefined, { updates }: Position): number[] =>
  average === undefined ? [] : [Math.min(average, (1 + updates) / (10 + updates))];

/** Trains, one report an epoch; `load` reads a checkpoint. */
export async function* fit(
  parts: Parts,
  load: (bytes: Uint8Array) => Loaded,
  data: Dataset,
  options: FitOptions,
): AsyncGenerator<EpochReport, void> {
  const { batch, evaluator, steps } = parts;
  const { epochs, validation, signal, patience, onStep, resume } = options;
  if (parts.busy) throw new Error("train: fit is already running");
  checkFit(options);
  const resumed = resume && load(resume);
  check(parts, resumed?.position ?? steps.position, data, options);
  resumed?.take();
  parts.busy = true;
  const breathe = breather();
  const wanted = () =>
    steps.position.epoch < epochs && !(patience !== undefined && steps.position.stale >= patience);
  const aborted = () => signal?.aborted === true;
  const settle = async () => {
    const report = await steps.settle();
    await onStep?.(report);
  };
  try {
    await parts.applied;
    while (wanted()) {
      const order = shuffled(data.count, `${steps.position.seed} order ${steps.position.epoch}`);
      const count = Math.ceil(data.count / batch);
      const seenBefore = steps.position.seen;
      const started = performance.now();
      while (steps.position.step < count && !aborted()) {
        enqueue(parts, data, { order, count, started });
        if (steps.pending > 1) await settle();
        await breathe();
      }
      if (steps.pending) await settle();
      const seconds = (performance.now() - started) / 1000;
      if (steps.position.step < count) return;
      const measured =
        validation && (await evaluator.evaluate(validation, signal).catch(unlessAborted(signal)));
      if (measured === null) return;
      const before = steps.position;
      const improved = !measured || measured.loss < (before.best ?? Infinity);
      const { seed: key, steps: step, updates, epoch } = before;
      const best = measured && improved ? measured.loss : before.best;
      const stale = measured ? (improved ? 0 : before.stale + 1) : before.stale;
      steps.position = {
        ...startOf(key, batch),
        samples: before.samples,
        epoch: epoch + 1,
        steps: step,
        updates,
        best,
        stale,
      };
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
    parts.busy = false;
  }
}

/** Enqueues the next of `count` steps of an epoch over `order`. */
function enqueue(
  { optimizer, batch, accumulate, average, loader, steps }: Parts,
  data: Dataset,
  { order, count, started }: { order: Uint32Array; count: number; started: number },
): void {
  const { position } = steps;
  const at = position.step * batch;
  const indices = order.subarray(at, Math.min(at + batch, order.length));
  // The batches of one update: this one's share of their samples, and whether it is the last of
  // them.
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
    hyper: [...optimizer.hyper(position.updates), ...share, ...decayOf(average, position)],
    seed: noiseOf(position),
  };
  const after = {
    ...position,
    samples: order.length,
    step: position.step + 1,
    steps: position.steps + 1,
    updates: position.updates + Number(last),
  };
  steps.enqueue(pass, about, after, started);
}

/** Refuses what could not be trained on to the end of an epoch, before anything is written. */
function check(
  { batch, accumulate, device, loader, evaluator }: Parts,
  { epoch, step, samples }: Position,
  data: Dataset,
  { epochs, validation, patience, resume }: FitOptions,
): void {
  for (const set of [data, validation]) if (set) loader.check(set);
  if (patience !== undefined && !validation)
    throw shapeError("train", "patience needs validation data");
  if (step > 0 && samples !== data.count)
    throw shapeError(
      "train",
      `the epoch under way has ${samples} samples, the data set has ${data.count}`,
    );
  if (epoch >= epochs) {
    if (resume) return;
    throw rangeError(
      "train",
      `there is nothing to do: ${epoch} epochs are done, and epochs (${epochs}) counts from the beginning; epochs: ${epoch + epochs} trains ${epochs} more`,
    );
  }
  loader.checkLabels(data);
  if (validation) loader.checkLabels(validation, batch);
  const rest = data.count % batch;
  if (rest)
    device.prepare({
      count: rest,
      target: data.target,
      gather: accumulate > 1 ? "apply" : undefined,
    });
  for (const count of validation
    ? [Math.min(batch, validation.count), validation.count % batch]
    : [])
    if (count) evaluator.prepare(count, validation?.target);
}

/** The error for a sample that is not finite. */
const spoilt = (
  at: { epoch: number; step: number },
  sample: number,
  { layer, value }: { layer: string; value: number },
): DivergedError =>
  notFiniteIn(
    `sample ${sample} holds ${value} in ${layer}, at epoch ${at.epoch}, step ${at.step}; correct it or leave it out`,
    at,
    layer,
    "forward",
  );

function checkFit(options: FitOptions): void {
  checkOptions("fit", options, "epochs validation signal patience onStep resume");
  const { epochs, patience, signal, onStep } = options;
  if (epochs !== Infinity) mustCount("train", "epochs", epochs);
  if (patience !== undefined) mustCount("train", "patience", patience);
  if (signal && typeof signal.aborted !== "boolean")
    throw rangeError(
      "fit",
      `signal is ${kindOf(signal)}, must be an AbortSignal, as the signal of an AbortController`,
    );
  if (onStep) mustBeFunction("fit", "onStep", onStep);
}

/** Null for an error that the signal caused; any other is thrown on. */
const unlessAborted = (signal?: AbortSignal) => (error: unknown) => {
  if (signal?.aborted) return null;
  throw error;
};
