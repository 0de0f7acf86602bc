// The steps that are under way, and the place in the training: a step counts from when it is
// enqueued, and what it measured once it is read. One that is not finite changed nothing, and
// neither did any after it: the place goes back to before it.

import type { Position } from "./checkpoint.ts";
import type { Device, StepPass } from "./device.ts";
import { diverged } from "./diagnose.ts";
import { rightOf } from "./evaluate.ts";
import type { StepReport } from "./reports.ts";

/** What a step gave. */
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

type About = Omit<StepReport, "loss" | "accuracy" | "seen" | "seconds">;

interface UnderWay {
  readonly pass: StepPass;
  readonly before: Position;
  readonly about: About;
  readonly outcome: Promise<Outcome>;
}

export interface Steps {
  position: Position;
  /** How many are under way. */
  readonly pending: number;
  /** Enqueues a step, and moves the place past it: to `after`. */
  enqueue(pass: StepPass, about: About, after: Position, started: number): void;
  /**
   * Waits for the oldest step, and gives its report. Throws DivergedError where it was not finite.
   */
  settle(): Promise<StepReport>;
  /** Waits for all, and takes in what they measured. */
  drain(): Promise<void>;
  /**
   * The place with what all steps under way measure, or before the first of them that is not
   * finite.
   */
  settled(): Promise<Position>;
}

const add = (to: Position, { loss, weight, added, right, labels, count }: Outcome): Position => ({
  ...to,
  seen: to.seen + count,
  loss: to.loss + (loss - added) * weight,
  weight: to.weight + weight,
  added: to.added + added * count,
  right: to.right + (right || 0), // NaN where labels are no classes
  labels: to.labels + labels,
});

/** The place before a step that changed nothing, with all that is known of the steps before it. */
const back = (from: Position, { samples, step, steps, updates }: Position): Position => ({
  ...from,
  samples,
  step,
  steps,
  updates,
});

export function createSteps(device: Device, start: Position): Steps {
  let inFlight: UnderWay[] = []; // at most two
  const undo = async ({ before }: UnderWay) => {
    await Promise.allSettled(inFlight.map((step) => step.outcome));
    inFlight = [];
    steps.position = back(steps.position, before);
    device.heal();
  };
  const settled = async (
    from: Position,
    list: readonly UnderWay[],
  ): Promise<{ position: Position; failed?: UnderWay | undefined }> => {
    let position = from;
    for (const step of list) {
      const outcome = await step.outcome;
      if (!outcome.fine) return { position: back(position, step.before), failed: step };
      position = add(position, outcome);
    }
    return { position };
  };
  const steps: Steps = {
    position: start,
    get pending() {
      return inFlight.length;
    },
    enqueue(pass, about, after, started) {
      const outcome = device.step(pass).then(({ output, ...numbers }): Outcome => {
        const { count, target, y } = pass;
        return {
          ...numbers,
          ...rightOf(output, y, count, target),
          count,
          seconds: (performance.now() - started) / 1000,
        };
      });
      outcome.catch(() => {}); // it is awaited later, and must not count as unhandled until then
      inFlight.push({ pass, before: steps.position, about, outcome });
      steps.position = after;
    },
    async settle() {
      const first = inFlight[0];
      const { about, pass } = first;
      const outcome = await first.outcome;
      if (!outcome.fine) {
        await undo(first);
        throw diverged({ ...about, loss: outcome.loss }, await device.diagnose(pass));
      }
      steps.position = add(steps.position, outcome);
      inFlight.shift();
      const { loss, right, labels, seconds } = outcome;
      return { ...about, seconds, loss, accuracy: right / labels, seen: steps.position.seen };
    },
    async drain() {
      // A step whose back end failed is left out; its error is thrown where it is waited for.
      const { position, failed } = await settled(steps.position, inFlight).catch(() => ({
        position: steps.position,
        failed: undefined,
      }));
      if (failed) await undo(failed);
      steps.position = position;
      inFlight = [];
    },
    settled: () => settled(steps.position, [...inFlight]).then(({ position }) => position),
  };
  return steps;
}
