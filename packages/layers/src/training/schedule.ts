// Learning rates as functions of the step, counted in updates from 0: pure, so that a training that
// is resumed goes on at the same rate. They compose: `warmUp(500, cosine({ lr: 0.1, steps: 9500
// }))`.

import { checkOptions } from "@conv/tensor";
import { mustBe } from "../checks.ts";

/** The learning rate of the update that follows `step` others. */
export type Schedule = (step: number) => number;

/**
 * lr·factor^⌊step/every⌋, as torch.optim.lr_scheduler.StepLR. Throws RangeError unless `every` is a
 * whole number ≥ 1.
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
 * lr·factor^(how many of the milestones have been reached), as
 * torch.optim.lr_scheduler.MultiStepLR.
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

// From `from` (at = 0) to `to` (at = 1), half a wave of the cosine.
const anneal = (from: number, to: number, at: number): number =>
  to + ((from - to) / 2) * (1 + Math.cos(Math.PI * at));

/**
 * Half a wave from lr at step 0 to `min` at step `steps`, and `min` after (Loshchilov and Hutter
 * 2017; within `steps` as torch.optim.lr_scheduler.CosineAnnealingLR). Throws RangeError unless
 * `steps` is a whole number ≥ 1.
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
  /** All of the training. */
  readonly steps: number;
  /** The share of the steps in which the rate rises. */
  readonly rise?: number | undefined;
  /** The first rate is lr/start. */
  readonly start?: number | undefined;
  /** The last rate is lr/start/end. */
  readonly end?: number | undefined;
}

/**
 * Up to lr and down to almost nothing, each half a wave of the cosine (Smith 2018, as
 * torch.optim.lr_scheduler.OneCycleLR); the last rate after `steps`. Throws RangeError for numbers
 * out of range.
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
 * From nearly nothing to the first rate of `then` in equal portions, one a step, then `then` from
 * its beginning: step s < steps has (s + 1)/steps of it (Goyal et al. 2017). Throws RangeError
 * unless `steps` is a whole number ≥ 1.
 */
export function warmUp(steps: number, then: Schedule | number): Schedule {
  mustBe("a whole number ≥ 1", "warmUp", { steps });
  const after = typeof then === "number" ? () => then : then;
  return (step) => (step < steps ? (after(0) * (step + 1)) / steps : after(step - steps));
}

/**
 * One schedule after another: each with how many steps it has, the last without end. Each counts
 * from its own beginning.
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
