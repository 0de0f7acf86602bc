// The queue of steps that run on the device, and the position of the training. The position counts
// a step as soon as it is enqueued; its sums include a step once its results are read. A step that
// is not finite changes nothing, and neither do the steps after it; the position returns to the one
// before that step.

import type { Position } from "./checkpoint.ts";
import type { Device, StepPass } from "./device.ts";
import { diverged } from "./diagnose.ts";
import { rightOf } from "./evaluate.ts";
import type { StepReport } from "./reports.ts";

/** The results of a step. */
interface Outcome {
  readonly loss: number;
  readonly weight: number;
  readonly added: number;
  readonly right: number;
  readonly labels: number;
  readonly count: number;
  readonly seconds: number;
  readonly fine: boolean;
}

/** The part of a report that is known before the step runs. */
type Announced = Omit<StepReport, "loss" | "accuracy" | "seen" | "seconds">;

/** A step in the queue. */
interface Enqueued {
  readonly pass: StepPass;
  readonly before: Position;
  readonly announced: Announced;
  readonly outcome: Promise<Outcome>;
}

export interface Steps {
  position: Position;
  /** Number of steps in the queue. */
  readonly pending: number;
  /** Enqueues a step and sets the position to `after`. */
  enqueue(pass: StepPass, announced: Announced, after: Position, started: number): void;
  /**
   * Waits for the oldest step and returns its report. Throws DivergedError if it was not finite.
   */
  settle(): Promise<StepReport>;
  /** Waits for all steps and adds their results to the position. */
  drain(): Promise<void>;
  /**
   * The position with the results of all steps, or of those before the first that was not finite.
   */
  settled(): Promise<Position>;
}

const add = (to: Position, { loss, weight, added, right, labels, count }: Outcome): Position => ({
  ...to,
  seen: to.seen + count,
  loss: to.loss + (loss - added) * weight,
  weight: to.weight + weight,
  added: to.added + added * count,
  right: to.right + (right || 0), // NaN if labels are not classes
  labels: to.labels + labels,
});

/** The position before a step, with the results of the steps before it. */
const back = (from: Position, { samples, step, steps, updates }: Position): Position => ({
  ...from,
  samples,
  step,
  steps,
  updates,
});

/** The position after these steps, up to the first that was not finite. */
async function settledAfter(
  from: Position,
  list: readonly Enqueued[],
): Promise<{ readonly position: Position; readonly failed?: Enqueued | undefined }> {
  let position = from;
  for (const step of list) {
    const outcome = await step.outcome;
    if (!outcome.fine) return { position: back(position, step.before), failed: step };
    position = add(position, outcome);
  }
  return { position };
}

export function createSteps(device: Device, start: Position): Steps {
  let queue: Enqueued[] = []; // at most two
  const undo = async ({ before }: Enqueued) => {
    await Promise.allSettled(queue.map((step) => step.outcome));
    queue = [];
    steps.position = back(steps.position, before);
    device.resetHealth();
  };
  const steps: Steps = {
    position: start,
    get pending() {
      return queue.length;
    },
    enqueue(pass, announced, after, started) {
      const outcome = device.step(pass).then(({ output, ...numbers }): Outcome => {
        const { count, target, y } = pass;
        return {
          ...numbers,
          ...rightOf(output, y, count, target),
          count,
          seconds: (performance.now() - started) / 1000,
        };
      });
      outcome.catch(() => {}); // Avoids an unhandled rejection before `outcome` is awaited.
      queue.push({ pass, before: steps.position, announced, outcome });
      steps.position = after;
    },
    async settle() {
      const [first] = queue;
      const { announced, pass } = first;
      const outcome = await first.outcome;
      if (!outcome.fine) {
        await undo(first);
        throw diverged({ ...announced, loss: outcome.loss }, await device.diagnose(pass));
      }
      steps.position = add(steps.position, outcome);
      queue.shift();
      const { loss, right, labels, seconds } = outcome;
      return { ...announced, seconds, loss, accuracy: right / labels, seen: steps.position.seen };
    },
    async drain() {
      // An error of the back end is thrown by `settle`, not here.
      const { position, failed } = await settledAfter(steps.position, queue).catch(() => ({
        position: steps.position,
        failed: undefined,
      }));
      if (failed) await undo(failed);
      steps.position = position;
      queue = [];
    },
    settled: () => settledAfter(steps.position, [...queue]).then(({ position }) => position),
  };
  return steps;
}
