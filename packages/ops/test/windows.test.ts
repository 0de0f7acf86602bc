// What convolutions and pools give on numbers small enough to check by hand.

import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";
import { flat } from "./check.ts";

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe("convolution", () => {
  test("slides without flipping", () => {
    expect(
      flat(
        (x, w) => ops.conv(x, w),
        [
          [1, 1, 4],
          [1, 2, 3, 4],
        ],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([12, 23, 34]);
  });
  test("pads with zeros, each side its own", () => {
    expect(
      flat(
        (x, w) => ops.conv(x, w, { padding: [[1, 2]] }),
        [
          [1, 1, 2],
          [1, 2],
        ],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([1, 12, 20, 0]);
  });
  test("strides and dilates", () => {
    expect(
      flat(
        (x, w) => ops.conv(x, w, { stride: 2, dilation: 2 }),
        [[1, 1, 7], upTo(7)],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([13, 35, 57]);
  });
  test("sums over channels of its group only", () => {
    const x = [
      [1, 4, 1],
      [1, 2, 3, 4],
    ] as const;
    expect(
      flat(
        (a, w) => ops.conv(a, w),
        [...x],
        [
          [2, 4, 1],
          [1, 1, 1, 1, 1, 0, 0, 0],
        ],
      ),
    ).toEqual([10, 1]);
    expect(
      flat(
        (a, w) => ops.conv(a, w, { groups: 2 }),
        [...x],
        [
          [2, 2, 1],
          [1, 1, 1, 1],
        ],
      ),
    ).toEqual([3, 7]);
    expect(
      flat(
        (a, w) => ops.conv(a, w, { groups: 4 }),
        [...x],
        [
          [4, 1, 1],
          [1, 10, 100, 1000],
        ],
      ),
    ).toEqual([1, 20, 300, 4000]);
  });
  test('"same" keeps ⌈input/stride⌉ with the odd zero at the end, "valid" pads nothing', () => {
    expect(
      flat(
        (x, w) => ops.conv(x, w, { padding: "same" }),
        [
          [1, 1, 3],
          [1, 2, 3],
        ],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([12, 23, 30]);
    expect(
      flat(
        (x, w) => ops.conv(x, w, { padding: "same", stride: 2 }),
        [
          [1, 1, 3],
          [1, 2, 3],
        ],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([12, 30]);
    expect(
      flat(
        (x, w) => ops.conv(x, w, { padding: "valid" }),
        [
          [1, 1, 3],
          [1, 2, 3],
        ],
        [
          [1, 1, 2],
          [10, 1],
        ],
      ),
    ).toEqual([12, 23]);
  });
  test("transposed: each input paints the kernel", () => {
    expect(
      flat(
        (x, w) => ops.convTranspose(x, w, { stride: 2 }),
        [
          [1, 1, 2],
          [1, 2],
        ],
        [
          [1, 1, 3],
          [1, 10, 100],
        ],
      ),
    ).toEqual([1, 10, 102, 20, 200]);
    expect(
      flat(
        (x, w) => ops.convTranspose(x, w, { stride: 2, padding: 1, outputPadding: 1 }),
        [
          [1, 1, 2],
          [1, 2],
        ],
        [
          [1, 1, 3],
          [1, 10, 100],
        ],
      ),
    ).toEqual([10, 102, 20, 200]);
  });
});

describe("pools", () => {
  test("maximum of each window; padding never wins", () => {
    expect(
      flat(
        (x) => ops.maxPool(x, 2),
        [
          [1, 1, 2, 4],
          [1, 5, 3, 4, 2, 0, 7, 6],
        ],
      ),
    ).toEqual([5, 7]);
    expect(
      flat(
        (x) => ops.maxPool(x, 3, { padding: 1, stride: 2 }),
        [
          [1, 1, 3],
          [-1, -2, -3],
        ],
      ),
    ).toEqual([-1, -2]);
  });
  test("the first maximum takes the gradient", () => {
    expect(
      flat(
        (x) => ops.grad(ops.sum(ops.maxPool(x, 2)), [x])[0],
        [
          [1, 1, 2, 2],
          [1, 3, 3, 3],
        ],
      ),
    ).toEqual([0, 1, 0, 0]);
  });
  test("overlapping windows add their gradients", () => {
    expect(
      flat(
        (x) => ops.grad(ops.sum(ops.maxPool(x, 2, { stride: 1 })), [x])[0],
        [
          [1, 1, 3],
          [1, 3, 2],
        ],
      ),
    ).toEqual([0, 2, 0]);
  });
  test("mean of each window, padding counted or not", () => {
    const x = [
      [1, 1, 4],
      [2, 4, 6, 8],
    ] as const;
    expect(flat((v) => ops.avgPool(v, 2), [...x])).toEqual([3, 7]);
    expect(flat((v) => ops.avgPool(v, 2, { padding: 1 }), [...x])).toEqual([1, 5, 4]);
    expect(flat((v) => ops.avgPool(v, 2, { padding: 1, countIncludePad: false }), [...x])).toEqual([
      2, 5, 8,
    ]);
    expect(
      flat(
        (v) => ops.grad(ops.sum(ops.avgPool(v, 2, { padding: 1, countIncludePad: false })), [v])[0],
        [...x],
      ),
    ).toEqual([1, 0.5, 0.5, 1]);
  });
});
