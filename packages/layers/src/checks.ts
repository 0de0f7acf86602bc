// Checks of numbers that a user gives.

import { kindOf, rangeError } from "@conv/tensor";

const KINDS = {
  "a whole number ≥ 0": (v: number) => Number.isSafeInteger(v) && v >= 0,
  "a whole number ≥ 1": (v: number) => Number.isSafeInteger(v) && v >= 1,
  "a finite number ≥ 0": (v: number) => v >= 0,
  "a finite number > 0": (v: number) => v > 0,
  "in [0, 1]": (v: number) => v >= 0 && v <= 1,
  "in [0, 1)": (v: number) => v >= 0 && v < 1,
};

/** Throws RangeError with the name of the first of the numbers that is none of this kind. */
export function mustBe(
  kind: keyof typeof KINDS,
  op: string,
  numbers: Readonly<Record<string, number>>,
): void {
  for (const [what, value] of Object.entries(numbers))
    if (!(Number.isFinite(value) && KINDS[kind](value)))
      throw rangeError(op, `${what} ${String(value)} is not ${kind}`);
}

/** Throws RangeError for a count that is no whole number ≥ 1. */
export const mustCount = (op: string, what: string, value: number): void =>
  mustBe("a whole number ≥ 1", op, { [what]: value });

/** Throws RangeError for what cannot be called. */
export function mustBeFunction(op: string, what: string, value: unknown): void {
  if (typeof value !== "function")
    throw rangeError(op, `${what} is ${kindOf(value)}, must be a function`);
}
