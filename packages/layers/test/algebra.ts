// Shared by the tests of convolutions as plain data: drawn geometries and numbers.

import { hostArray, ShapeError, sizeOf, spec, type HostArray } from "@conv/tensor";
import fc from "fast-check";
import { expect } from "vitest";
import type { Convolution } from "../src/algebra/index.ts";
import { createRandom } from "../src/index.ts";

export const draw = (shape: readonly number[], key: string): HostArray => {
  const random = createRandom(key);
  return hostArray(
    spec(shape),
    Float64Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
};

export const norm = (x: ArrayLike<number>): number => Math.hypot(...Array.from(x));
export const distance = (x: HostArray, y: HostArray): number =>
  norm(x.data.map((v, i) => v - y.data[i]));

export function expectClose(got: HostArray, want: HostArray): void {
  expect(got.shape).toEqual(want.shape);
  expect(distance(got, want)).toBeLessThanOrEqual(1e-12 * (1 + norm(want.data)));
}

export const failure = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    if (error instanceof ShapeError || error instanceof RangeError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

/** One axis of a convolution. */
export const axis = (maxPad = 2) =>
  fc.record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 3 }),
    lo: fc.integer({ min: 0, max: maxPad }),
    hi: fc.integer({ min: 0, max: maxPad }),
  });

export type Axis = { kernel: number; stride: number; dilation: number; lo: number; hi: number };

export const convolution = (
  axes: readonly Axis[],
  oc: number,
  icg: number,
  groups: number,
  key: string,
  bias = false,
): Convolution => ({
  weight: draw([oc, icg, ...axes.map((a) => a.kernel)], `${key} weight`),
  ...(bias && { bias: draw([oc], `${key} bias`) }),
  stride: axes.map((a) => a.stride),
  padding: axes.map((a) => [a.lo, a.hi] as const),
  dilation: axes.map((a) => a.dilation),
  groups,
});

export const spanOf = ({ kernel, dilation }: Axis) => (kernel - 1) * dilation + 1;
