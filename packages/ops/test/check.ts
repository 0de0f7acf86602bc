// Shared by the tests: graphs evaluated in float64, and gradients held against central differences.

import {
  evaluate,
  graphOf,
  hostArray,
  input,
  sizeOf,
  spec,
  type HostArray,
  type Spec,
  type Value,
} from "@conv/tensor";
import { expect } from "vitest";
import { grad, mul, sum } from "../src/index.ts";

/** mulberry32: numbers in [−1, 1), the same for the same seed. */
export function drawer(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

export const filled = (s: Spec, next: () => number): HostArray =>
  hostArray(s, Float64Array.from({ length: sizeOf(s.shape) }, next));

/** Values of a function of tensors at the given numbers, in float64. */
export function valuesOf(
  fn: (...xs: Value[]) => Value | readonly Value[],
  arrays: readonly HostArray[],
): HostArray[] {
  const inputs = arrays.map((a) => input(spec(a.shape, a.dtype)));
  const result = fn(...inputs);
  return evaluate(graphOf(inputs, Array.isArray(result) ? result : [result as Value]), arrays);
}

/**
 * The plain numbers of a function of float32 tensors given as nested lists' flat values with
 * shapes.
 */
export const flat = (
  fn: (...xs: Value[]) => Value,
  ...arrays: [readonly number[], readonly number[]][]
): number[] => [
  ...valuesOf(
    fn,
    arrays.map(([shape, data]) => hostArray(spec(shape), Float64Array.from(data))),
  )[0].data,
];

export const dot = (a: HostArray, b: HostArray): number =>
  a.data.reduce((s, v, i) => s + v * b.data[i], 0);

/**
 * Checks grad of Σ fn(…)·r along `directions` random directions in each float input, against
 * central differences. The error allowed is 1e-6 of the sum of magnitudes.
 */
export function checkGradient(
  fn: (...xs: Value[]) => Value,
  arrays: readonly HostArray[],
  directions = 2,
  step = 1e-5,
): void {
  const next = drawer(arrays.length + 17);
  const inputs = arrays.map((a) => input(spec(a.shape, a.dtype)));
  const y = fn(...inputs);
  const r = input(y.spec);
  const loss = sum(mul(y, r));
  const all = [...inputs, r];
  const given = [...arrays, filled(y.spec, next)];
  const floats = [...inputs.keys()].filter((i) => inputs[i].dtype === "float32");
  const gradients = evaluate(
    graphOf(
      all,
      grad(
        loss,
        floats.map((i) => inputs[i]),
      ),
    ),
    given,
  );
  const lossOf = graphOf(all, [loss]);
  floats.forEach((at, i) => {
    expect(gradients[i].shape).toEqual(inputs[at].shape);
    if (sizeOf(inputs[at].shape) === 0) return;
    for (let d = 0; d < directions; d++) {
      const u = filled(inputs[at].spec, next);
      const moved = (h: number) =>
        evaluate(
          lossOf,
          given.with(
            at,
            hostArray(
              u,
              u.data.map((v, j) => given[at].data[j] + h * v),
            ),
          ),
        )[0].data[0];
      const difference = (moved(step) - moved(-step)) / (2 * step);
      const analytic = dot(gradients[i], u);
      const scale =
        1 +
        Math.abs(moved(0)) +
        gradients[i].data.reduce((s, v, j) => s + Math.abs(v * u.data[j]), 0);
      expect(
        Math.abs(analytic - difference),
        `input ${at}: gradient ${analytic}, difference ${difference}`,
      ).toBeLessThan(1e-6 * scale);
    }
  });
}
