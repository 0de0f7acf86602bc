// Pools at their limits: NaN, and windows that reach past the input.

import { spec, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";
import { flat } from "./check.ts";

describe("pools", () => {
  test("NaN is the maximum wherever it stands, in its place and with its gradient", () => {
    for (const at of [0, 1, 2, 3]) {
      const x: [number[], number[]] = [[1, 1, 2, 2], [1, 2, 3, 4].with(at, NaN)];
      expect(flat((v) => ops.maxPool(v, 2), x)).toEqual([NaN]);
      expect(flat((v) => ops.maxPoolIndices(v, 2), x)).toEqual([at]);
      expect(flat((v) => ops.grad(ops.sum(ops.maxPool(v, 2)), [v])[0], x)).toEqual(
        [0, 0, 0, 0].with(at, 1),
      );
      for (const f of [
        ops.max,
        ops.relu,
        ops.relu6,
        ops.floor,
        ops.softmax,
        ops.hardSwish,
        ops.elu,
        ops.gelu,
      ] as ((v: Value) => Value)[])
        expect(flat((v) => ops.sum(f(v)), x)).toEqual([NaN]);
      for (const f of [ops.maximum, ops.minimum]) {
        expect(flat((v) => ops.sum(f(v, 2.5)), x)).toEqual([NaN]);
        expect(flat((v) => ops.sum(f(ops.full([4], 2), ops.reshape(v, [4]))), x)).toEqual([NaN]);
      }
    }
    expect(
      flat(
        (v) => ops.maxPoolIndices(v, 2),
        [
          [1, 1, 2, 2],
          [NaN, 1, NaN, 2],
        ],
      ),
    ).toEqual([2]); // the last, as in PyTorch
  });
  test("rounded up, a window may be larger than the input, and none begins in the padding", () => {
    const x: [number[], number[]] = [
      [1, 1, 2, 2],
      [1, 2, 3, 4],
    ];
    const up = { stride: 2, ceilMode: true };
    expect(flat((v) => ops.maxPool(v, 3, up), x)).toEqual([4]);
    expect(flat((v) => ops.maxPoolIndices(v, 3, up), x)).toEqual([3]);
    expect(flat((v) => ops.avgPool(v, 3, up), x)).toEqual([2.5]);
    expect(flat((v) => ops.lpPool(v, 1, 3, up), x)).toEqual([10]);
    expect(flat((v) => ops.grad(ops.sum(ops.maxPool(v, 3, up)), [v])[0], x)).toEqual([0, 0, 0, 1]);
    expect(flat((v) => ops.grad(ops.sum(ops.avgPool(v, 3, up)), [v])[0], x)).toEqual([
      0.25, 0.25, 0.25, 0.25,
    ]);
    // A padding of 1 counts, what the window sees beyond it does not: 10 of 9 places.
    expect(flat((v) => ops.avgPool(v, 4, { ...up, padding: 1 }), x)).toEqual([10 / 16]);
    expect(ops.poolGeometry(spec([1, 1, 5]), 2, { stride: 3, ceilMode: true }).output).toEqual([2]);
    expect(ops.poolGeometry(spec([1, 1, 3]), 2, { ...up, padding: 1 }).output).toEqual([2]);
    expect(() => ops.maxPool(ops.full([1, 1, 1], 0), 3, up)).toThrow(
      "maxPool: kernel 3 with dilation 1 covers 3 positions",
    );
  });
});

test("softmax and its logarithm are along axis 1, as in layers and losses", () => {
  const x: [number[], number[]] = [
    [1, 2, 2],
    [0, 0, Math.log(3), Math.log(3)],
  ];
  const near = (got: readonly number[], want: readonly number[]) =>
    got.forEach((v, i) => expect(v).toBeCloseTo(want[i], 12));
  near(
    flat((v) => ops.softmax(v), x),
    [0.25, 0.25, 0.75, 0.75],
  );
  near(
    flat((v) => ops.logSoftmax(v), x),
    [0.25, 0.25, 0.75, 0.75].map(Math.log),
  );
});
