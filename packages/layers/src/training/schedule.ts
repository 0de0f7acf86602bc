// Learning rate schedules, functions of the number of updates from 0. They have no state, so a
// resumed training continues with the same rate. They compose: `warmUp(500, cosine({ lr: 0.1,
// steps: 9500 }))`.

import { checkOptions } from "@conv/tensor";
import { mustBe } from "../checks.ts";

/** The learning rate of the update after `step` previous updates. */
export type Schedule = (step: number) => number;

/**
 * lr·factor^⌊step/every⌋, as torch.optim.lr_scheduler.StepLR. The default factor is 0.1. Throws
 * RangeError unless `every` is a whole number ≥ 1.
 */
export function stepDecay(options: {
  readonly lr: number;
  readonly every: number;
  readonly factor?: number | undefined;
}): Schedule {
  checkOptions("stepDecay", options, "lr every factor");
  const { lr, every, factor = 0.1 } = options;
  mustBe("a whole number ≥ 1", "stepDecay", { every });
  return (step) => lr * factor ** Math.floor(step / every);
}

/**
 * lr·factor^(number of milestones in `at` that are ≤ step), as
 * torch.optim.lr_scheduler.MultiStepLR. The default factor is 0.1.
 */
export function multiStep(options: {
  readonly lr: number;
  readonly at: readonly number[];
  readonly factor?: number | undefined;
}): Schedule {
  checkOptions("multiStep", options, "lr at factor");
  const { lr, at, factor = 0.1 } = options;
  return (step) => lr * factor ** at.filter((milestone) => milestone <= step).length;
}

// Half a period of the cosine from `from` (at = 0) to `to` (at = 1).
const anneal = (from: number, to: number, at: number): number =>
  to + ((from - to) / 2) * (1 + Math.cos(Math.PI * at));

/**
 * Cosine annealing from lr at step 0 to `min` (default 0) at step `steps`, and `min` after that
 * (Loshchilov and Hutter 2017; up to `steps` as torch.optim.lr_scheduler.CosineAnnealingLR). Throws
 * RangeError unless `steps` is a whole number ≥ 1.
 */
export function cosine(options: {
  readonly lr: number;
  readonly steps: number;
  readonly min?: number | undefined;
}): Schedule {
  checkOptions("cosine", options, "lr steps min");
  const { lr, steps, min = 0 } = options;
  mustBe("a whole number ≥ 1", "cosine", { steps });
  return (step) => anneal(lr, min, Math.min(1, step / steps));
}

export interface OneCycleOptions {
  /** The highest rate. */
  readonly lr: number;
  /** Total number of steps of the training. */
  readonly steps: number;
  /** Share of the steps in which the rate rises. Default: 0.3. */
  readonly rise?: number | undefined;
  /** The first rate is lr/start. Default: 25. */
  readonly start?: number | undefined;
  /** The last rate is lr/start/end. Default: 1e4. */
  readonly end?: number | undefined;
}

/**
 * Cosine annealing from lr/start up to lr, then down to lr/start/end (Smith 2018; as
 * torch.optim.lr_scheduler.OneCycleLR). After `steps` it stays at the last rate. Throws RangeError
 * for options out of range.
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  checkOptions("oneCycle", options, "lr steps rise start end");
  const { lr, steps, rise = 0.3, start = 25, end = 1e4 } = options;
  mustBe("a whole number ≥ 1", "oneCycle", { steps });
  mustBe("in [0, 1]", "oneCycle", { rise });
  mustBe("a finite number ≥ 0", "oneCycle", { lr });
  mustBe("a finite number > 0", "oneCycle", { start, end });
  const [first, last] = [lr / start, lr / start / end];
  const top = rise * steps - 1;
  return (step) => {
    if (step <= top) return anneal(first, lr, top === 0 ? 1 : step / top);
    return anneal(lr, last, Math.min(1, steps - 1 === top ? 1 : (step - top) / (steps - 1 - top)));
  };
}

/**
 * Linear warm-up: step s < steps has the rate (s + 1)/steps · then(0); after that `then` begins
 * with step 0 (Goyal et al. 2017). Throws RangeError unless `steps` is a whole number ≥ 1.
 */
export function warmUp(steps: number, then: Schedule | number): Schedule {
  mustBe("a whole number ≥ 1", "warmUp", { steps });
  const after = typeof then === "number" ? () => then : then;
  return (step) => (step < steps ? (after(0) * (step + 1)) / steps : after(step - steps));
}

/**
 * Schedules in sequence: pairs of a number of steps and a schedule, and a last schedule without
 * limit. Each counts its steps from 0, as torch.optim.lr_scheduler.SequentialLR.
 */
export const inTurn =
  (first: readonly (readonly [steps: number, schedule: Schedule])[], last: Schedule): Schedule =>
  (step) => {
    for (const [steps, schedule] of first) {
      if (step < steps) return schedule(step);
      step -= steps;
    }
    return last(step);
  };
