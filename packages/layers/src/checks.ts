// Checks of numbers and functions in options.

import { kindOf, message, rangeError } from "@conv/tensor";

const KINDS = {
  "a whole number ≥ 0": (v: number) => Number.isSafeInteger(v) && v >= 0,
  "a whole number ≥ 1": (v: number) => Number.isSafeInteger(v) && v >= 1,
  "a finite number ≥ 0": (v: number) => v >= 0,
  "a finite number > 0": (v: number) => v > 0,
  "in [0, 1]": (v: number) => v >= 0 && v <= 1,
  "in [0, 1)": (v: number) => v >= 0 && v < 1,
};

/** Throws RangeError for the first number that is not of this kind, with its name. */
export function mustBe(
  kind: keyof typeof KINDS,
  op: string,
  numbers: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(numbers))
    if (!(typeof value === "number" && Number.isFinite(value) && KINDS[kind](value)))
      throw rangeError(
        op,
        "number",
        message`${{ name }} ${{ value: String(value) }} is not ${{ kind }}`,
      );
}

/** Throws RangeError unless a count is a whole number ≥ 1. */
export const mustCount = (op: string, name: string, value: number): void =>
  mustBe("a whole number ≥ 1", op, { [name]: value });

/** Throws RangeError for a value that is not a function. */
export function mustBeFunction(
  op: string,
  name: string,
  value: unknown,
  expected = "a function",
): void {
  if (typeof value !== "function")
    throw rangeError(
      op,
      "function",
      message`${{ name }} is ${{ kind: kindOf(value) }}, must be ${{ expected }}`,
    );
}
