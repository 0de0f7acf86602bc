// The training loop: epochs, steps, validation and reports. A step is enqueued before the results
// of the previous step are read, so the device does not wait for the host.

import { checkOptions, kindOf, message, rangeError, shapeError } from "@conv/tensor";
import { mustBeFunction, mustCount } from "../checks.ts";
import type { Dataset } from "../data/data.ts";
import { whereNotFinite, type Loader } from "../data/load.ts";
import { createRandom, shuffled } from "../data/random.ts";
import type { Activity } from "./activity.ts";
import type { Position } from "./checkpoint.ts";
import type { Device, StepPass } from "./device.ts";
import { givenNotFinite } from "./diagnose.ts";
import type { Evaluator } from "./evaluate.ts";
import { breather } from "./events.ts";
import type { Optimizer } from "./optim.ts";
import type { EpochReport, Evaluation, StepReport } from "./reports.ts";
import type { Steps } from "./steps.ts";

export interface FitOptions {
  /**
   * Total number of epochs, including those of earlier calls and of the resumed checkpoint;
   * Infinity for no limit.
   */
  readonly epochs: number;
  /** Data set that is evaluated after each epoch. */
  readonly validation?: Dataset | undefined;
  /**
   * Ends the training after the current step, without a report for the epoch. The trainer can still
   * be saved or trained further.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * Early stopping: ends the training after this many consecutive epochs without a lower validation
   * loss.
   */
  readonly patience?: number | undefined;
  /** Called after each step, in order. If it returns a promise, the training waits for it. */
  readonly onStep?: ((report: StepReport) => void | Promise<void>) | undefined;
  /** Checkpoint to restore before training. */
  readonly resume?: Uint8Array | undefined;
}

/** A decoded checkpoint that fits the trainer; `take` restores it. */
export interface Loaded {
  readonly position: Position;
  take(): void;
}

/** The parts of a trainer. */
export interface Parts {
  readonly optimizer: Optimizer;
  readonly batch: number;
  readonly accumulate: number;
  readonly average: number | undefined;
  readonly device: Device;
  readonly loader: Loader;
  readonly evaluator: Evaluator;
  readonly steps: Steps;
  readonly activity: Activity;
}

/** The position at the beginning of a training. */
export const startOf = (seed: number, batch: number): Position => ({
  ...{ seed, batch, samples: 0, epoch: 0, step: 0, steps: 0, updates: 0 },
  ...{ seen: 0, loss: 0, weight: 0, added: 0, right: 0, labels: 0, best: null, stale: 0 },
});

/** The seed of each call of `ctx.seed` in a step. */
export const noiseOf =
  ({ seed, steps }: Position) =>
  (use: number): Int32Array =>
    Int32Array.of(createRandom(`${seed} noise ${use}`).bits(), steps);

/** The decay of the moving averages, as a list of one number; empty without moving averages. */
export const decayOf = (average: number | undefined, { updates }: Position): number[] =>
  average === undefined ? [] : [Math.min(average, (1 + updates) / (10 + updates))];

/** Trains, and yields one report for each epoch. `load` decodes a checkpoint. */
export async function* fit(
  parts: Parts,
  load: (bytes: Uint8Array) => Loaded,
  data: Dataset,
  options: FitOptions,
): AsyncGenerator<EpochReport, void> {
  const { evaluator, steps, activity } = parts;
  const { epochs, validation, signal, patience } = options;
  const updated = begin(parts, load, data, options);
  const wanted = () =>
    steps.position.epoch < epochs && !(patience !== undefined && steps.position.stale >= patience);
  try {
    await updated;
    while (wanted()) {
      const seenBefore = steps.position.seen;
      const seconds = await runSteps(parts, data, options);
      if (seconds === null) return;
      const measured =
        validation && (await evaluator.evaluate(validation, signal).catch(unlessAborted(signal)));
      if (measured === null) return;
      yield endEpoch(parts, measured, seconds, seenBefore);
    }
  } finally {
    await steps.drain();
    activity.end();
  }
}

/**
 * Checks all arguments, restores the checkpoint to resume, and changes the state to training.
 * Returns the promise of the last update.
 */
function begin(
  parts: Parts,
  load: (bytes: Uint8Array) => Loaded,
  data: Dataset,
  options: FitOptions,
): Promise<unknown> {
  parts.activity.checkIdle("fit");
  checkFit(options);
  const resumed = options.resume && load(options.resume);
  check(parts, resumed?.position ?? parts.steps.position, data, options);
  resumed?.take();
  return parts.activity.begin();
}

/** Runs the remaining steps of an epoch. Returns their duration in seconds, or null if aborted. */
async function runSteps(
  parts: Parts,
  data: Dataset,
  { signal, onStep }: FitOptions,
): Promise<number | null> {
  const { batch, steps } = parts;
  const settle = async () => {
    const report = await steps.settle();
    await onStep?.(report);
  };
  const breathe = breather();
  const order = shuffled(data.count, `${steps.position.seed} order ${steps.position.epoch}`);
  const count = Math.ceil(data.count / batch);
  const started = performance.now();
  const aborted = () => signal?.aborted === true;
  while (steps.position.step < count && !aborted()) {
    enqueue(parts, data, { order, count, started });
    if (steps.pending > 1) await settle();
    await breathe();
  }
  if (steps.pending) await settle();
  return steps.position.step < count ? null : (performance.now() - started) / 1000;
}

/** Moves the position to the next epoch and returns the report of this one. */
function endEpoch(
  { batch, steps }: Parts,
  validation: Evaluation | undefined,
  seconds: number,
  seenBefore: number,
): EpochReport {
  const done = steps.position;
  const improved = !validation || validation.loss < (done.best ?? Infinity);
  const epoch = done.epoch + 1;
  steps.position = {
    ...startOf(done.seed, batch),
    samples: done.samples,
    epoch,
    steps: done.steps,
    updates: done.updates,
    best: validation && improved ? validation.loss : done.best,
    stale: !validation ? done.stale : improved ? 0 : done.stale + 1,
  };
  return {
    epoch,
    loss: done.loss / done.weight + done.added / done.seen,
    accuracy: done.right / done.labels,
    validation,
    improved,
    seconds,
    imagesPerSecond: seconds && (done.seen - seenBefore) / seconds,
  };
}

/** Enqueues the next of the `count` steps of an epoch. */
function enqueue(
  { optimizer, batch, accumulate, average, loader, steps }: Parts,
  data: Dataset,
  { order, count, started }: { order: Uint32Array; count: number; started: number },
): void {
  const { position } = steps;
  const at = position.step * batch;
  const indices = order.subarray(at, Math.min(at + batch, order.length));
  // The batches of one update: the share of this batch in their samples, and whether it is the
  // last.
  const group = Math.floor(position.step / accumulate) * accumulate;
  const [begin, end] = [group * batch, Math.min((group + accumulate) * batch, order.length)];
  const last = at + indices.length === end;
  const share = accumulate > 1 ? [indices.length / (end - begin)] : [];
  const samples = loader.load(data, indices, `${position.seed} sample ${position.epoch}`);
  const announced = {
    epoch: position.epoch + 1,
    step: position.step + 1,
    steps: count,
    learningRate: optimizer.learningRate(position.updates),
    samples: order.length,
  };
  checkFinite(samples, indices, announced);
  const pass: StepPass = {
    ...samples,
    count: indices.length,
    target: data.target,
    accumulate: accumulate === 1 ? undefined : last ? "apply" : "add",
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
  steps.enqueue(pass, announced, after, started);
}

/** Throws DivergedError for a sample that is not finite. */
function checkFinite(
  samples: Parameters<typeof whereNotFinite>[0],
  indices: Uint32Array,
  at: { readonly epoch: number; readonly step: number },
): void {
  const fault = whereNotFinite(samples, indices.length);
  if (!fault) return;
  const { tensor, value } = fault;
  throw givenNotFinite(
    "sample-not-finite",
    message`sample ${{ sample: indices[fault.sample] }} contains ${{ value }} in ${{ tensor }}, at epoch ${{ epoch: at.epoch }}, step ${{ step: at.step }}; correct or remove the sample`,
    at,
    tensor,
    "forward",
  );
}

/**
 * Checks data and options against the trainer, and compiles the programs of the smaller last
 * batches.
 */
function check(
  { batch, accumulate, device, loader, evaluator }: Parts,
  { epoch, step, samples }: Position,
  data: Dataset,
  { epochs, validation, patience, resume }: FitOptions,
): void {
  for (const set of [data, validation]) if (set) loader.check(set);
  if (patience !== undefined && !validation)
    throw rangeError(
      "train",
      "patience-without-validation",
      message`patience is ${{ patience }}, but there is no validation loss to compare; set the option validation`,
    );
  if (step > 0 && samples !== data.count)
    throw shapeError(
      "train",
      "other-data",
      message`the current epoch began with ${{ begun: samples }} samples, the data set has ${{ samples: data.count }}; resume with the same data`,
    );
  if (epoch >= epochs) {
    if (resume) return;
    throw rangeError(
      "train",
      "epochs-done",
      message`no epochs are left: ${{ done: epoch }} are complete, and the option epochs (${{ epochs }}) is the total including those; epochs: ${{ suggested: epoch + epochs }} trains ${{ more: epochs }} more`,
    );
  }
  loader.checkLabels(data);
  if (validation) loader.checkLabels(validation, batch);
  const rest = data.count % batch;
  if (rest)
    device.prepare({
      count: rest,
      target: data.target,
      accumulate: accumulate > 1 ? "apply" : undefined,
    });
  if (!validation) return;
  for (const count of [Math.min(batch, validation.count), validation.count % batch])
    if (count) evaluator.prepare(count, validation.target);
}

function checkFit(options: FitOptions): void {
  checkOptions("fit", options, "epochs validation signal patience onStep resume");
  const { epochs, patience, signal, onStep } = options;
  if (epochs !== Infinity) mustCount("train", "epochs", epochs);
  if (patience !== undefined) mustCount("train", "patience", patience);
  if (signal && typeof signal.aborted !== "boolean")
    throw rangeError(
      "fit",
      "signal",
      message`signal is ${{ kind: kindOf(signal) }}, must be an AbortSignal, such as the property signal of an AbortController`,
    );
  if (onStep) mustBeFunction("fit", "onStep", onStep);
}

/** Returns null for an error that the signal caused; throws any other. */
const unlessAborted = (signal?: AbortSignal) => (error: unknown) => {
  if (signal?.aborted) return null;
  throw error;
};
