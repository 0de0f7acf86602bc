// Results near 0, where plain formulas cancel.

import {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  elu,
  expm1,
  full,
  log1p,
  selu,
  softplus,
} from "@conv/ops";
import { hostArray, spec, type Value } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { runOnce } from "../check.ts";
import { graphOfShapes, type Device } from "./device.ts";

/** Functions whose plain formulas lose digits at these numbers, with their values. */
const small: readonly [string, (x: Value) => Value, readonly number[], (x: number) => number][] = [
  ["expm1", expm1, [-30, -1, -0.3, -1e-6, 1e-20, 1e-4, 0.3, 88], Math.expm1],
  ["log1p", log1p, [-0.999, -0.3, -1e-6, 1e-20, 1e-4, 0.3, 1e30], Math.log1p],
  ["elu", elu, [-30, -1e-6, -1e-20, 1e-20], (x) => (x > 0 ? x : Math.expm1(x))],
  [
    "selu",
    selu,
    [-1e-6, -1e-20, 1e-20],
    (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)),
  ],
  ["softplus", softplus, [-80, -20, -1, 0, 20], (x) => Math.log1p(Math.exp(x))],
  [
    "binary cross entropy of no",
    (x) => binaryCrossEntropy(x, full(x.shape, 0)),
    [1e-12, 1e-4],
    (x) => -Math.log1p(-x),
  ],
  [
    "binary cross entropy of no at 1",
    (x) => binaryCrossEntropy(x, full(x.shape, 0)),
    [1],
    () => 100,
  ],
  [
    "binary cross entropy of yes at 0",
    (x) => binaryCrossEntropy(x, full(x.shape, 1)),
    [0],
    () => 100,
  ],
  [
    "binary cross entropy of no, with logits",
    (x) => binaryCrossEntropyWithLogits(x, full(x.shape, 0)),
    [-20, -3],
    (x) => Math.log1p(Math.exp(x)),
  ],
  [
    "binary cross entropy of yes, with logits",
    (x) => binaryCrossEntropyWithLogits(x, full(x.shape, 1)),
    [20, 3],
    (x) => Math.log1p(Math.exp(-x)),
  ],
];

/** Registers the tests near 0. */
export function digitsSuite(device: Device): void {
  describe("near 0", () => {
    it("small results keep their digits", async () => {
      const all = small.flatMap(([name, f, at, exact]) =>
        at.map((x) => ({ name, f, x: Math.fround(x), exact })),
      );
      const graph = graphOfShapes(
        all.map(() => [4]),
        (...xs) => xs.map((x, i) => all[i].f(x)),
      );
      const got = await runOnce(
        device.backend,
        graph,
        all.map(({ x }) => hostArray(spec([4]), new Float64Array(4).fill(x))),
      );
      const wrong = all.flatMap(({ name, x, exact }, i) => {
        const [g, want] = [got[i].data[0], exact(x)];
        // exp itself may be off by 2·|x| units: its argument is rounded.
        return Math.abs(g - want) <= (1e-6 + 2.4e-7 * Math.abs(x)) * Math.abs(want)
          ? []
          : [`${name} of ${x}: got ${g}, want ${want}`];
      });
      expect(wrong).toEqual([]);
    });
  });
}
