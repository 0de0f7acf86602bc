import { scheduleGoldens, type ScheduleGolden } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import {
  cosine,
  inTurn,
  multiStep,
  oneCycle,
  stepDecay,
  warmUp,
  type Schedule,
} from "../src/index.ts";

const schedules = { stepDecay, multiStep, cosine, oneCycle } as unknown as Record<
  string,
  (options: ScheduleGolden["options"]) => Schedule
>;

test.each(scheduleGoldens)(
  "$name has PyTorch's rates with $options",
  ({ name, options, rates }) => {
    const schedule = schedules[name](options);
    rates.forEach((rate, step) => expect(schedule(step)).toBeCloseTo(rate, 12));
  },
);

test("cosine and one cycle stay at their end", () => {
  expect(cosine({ lr: 1, steps: 4, min: 0.2 })(9)).toBe(0.2);
  expect(oneCycle({ lr: 1, steps: 4 })(9)).toBeCloseTo(1 / 25 / 1e4, 15);
  expect(oneCycle({ lr: 1, steps: 1, rise: 1 })(0)).toBe(1);
});

test("they compose", () => {
  const schedule = warmUp(4, cosine({ lr: 0.4, steps: 2 }));
  expect([0, 1, 2, 3, 4, 5, 6, 7].map((step) => Number(schedule(step).toFixed(9)))).toEqual([
    0.1, 0.2, 0.3, 0.4, 0.4, 0.2, 0, 0,
  ]);
  const parts = inTurn(
    [
      [2, () => 1],
      [1, (step) => 10 + step],
    ],
    stepDecay({ lr: 4, every: 1, factor: 0.5 }),
  );
  expect([0, 1, 2, 3, 4, 5].map(parts)).toEqual([1, 1, 10, 4, 2, 1]);
  expect(warmUp(2, 1)(0)).toBe(0.5);
});

describe("errors", () => {
  test.each([
    [() => stepDecay({ lr: 1, every: 0 }), "stepDecay: every 0 is not a whole number ≥ 1"],
    [() => cosine({ lr: 1, steps: 1.5 }), "cosine: steps 1.5 is not a whole number ≥ 1"],
    [() => oneCycle({ lr: 1, steps: 0 }), "oneCycle: steps 0 is not a whole number ≥ 1"],
    [() => oneCycle({ lr: 1, steps: 2, rise: 2 }), "oneCycle: rise 2 is not in [0, 1]"],
    [() => warmUp(0, 1), "warmUp: steps 0 is not a whole number ≥ 1"],
  ])("%#", (run, message) => expect(run).toThrow(message));
});
