// What ops give on numbers small enough to check by hand.

import {
  createHost,
  evaluate,
  graphOf,
  hostArray,
  input,
  jit,
  spec,
  tensor,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";
import { flat, valuesOf } from "./check.ts";

const ints = (data: readonly number[], shape: readonly number[] = [data.length]) =>
  hostArray(spec(shape, "int32"), Float64Array.from(data));
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
const near = (got: readonly number[], want: readonly number[]) => {
  expect(got.length).toBe(want.length);
  got.forEach((v, i) => expect(v).toBeCloseTo(want[i], 12));
};

describe("elementwise", () => {
  const at = (f: (x: Value) => Value, ...xs: number[]) => flat(f, [[xs.length], xs]);
  test("named functions", () => {
    expect(at(ops.relu, -1, 0, 2)).toEqual([0, 0, 2]);
    expect(at(ops.relu6, -1, 0, 2, 6, 7)).toEqual([0, 0, 2, 6, 6]);
    expect(at((x) => ops.leakyRelu(x, 0.1), -1, 0, 2)).toEqual([-0.1, 0, 2]);
    near(at(ops.sigmoid, 0, Math.log(3)), [0.5, 0.75]);
    near(at(ops.tanh, 0, 1), [0, Math.tanh(1)]);
    near(
      at(ops.scaledTanh, -1, 1, 10),
      [-1, 1, 10].map((v) => 1.7159 * Math.tanh((2 / 3) * v)),
    );
    expect(at(ops.scaledTanh, 1)[0]).toBeCloseTo(1, 5);
    expect(at((x) => ops.affine(x, 3, -1), 2)).toEqual([5]);
    expect(at(ops.neg, 2)).toEqual([-2]);
    expect(at(ops.abs, -2, 2)).toEqual([2, 2]);
    expect(at(ops.square, -3)).toEqual([9]);
    expect(at(ops.sqrt, 9)).toEqual([3]);
    near(at(ops.exp, 1), [Math.E]);
    near(at(ops.log, Math.E), [1]);
  });
  test("a number as second operand", () => {
    expect(at((x) => ops.add(x, 1), 2)).toEqual([3]);
    expect(at((x) => ops.sub(x, 1), 2)).toEqual([1]);
    expect(at((x) => ops.mul(x, 3), 2)).toEqual([6]);
    expect(at((x) => ops.div(x, 4), 2)).toEqual([0.5]);
    expect(at((x) => ops.maximum(x, 1), 2, 0)).toEqual([2, 1]);
    expect(at((x) => ops.minimum(x, 1), 2, 0)).toEqual([1, 0]);
  });
  test("broadcasting aligns at the end", () => {
    expect(flat(ops.add, [[2, 3], upTo(6)], [[3], [10, 20, 30]])).toEqual([11, 22, 33, 14, 25, 36]);
    expect(
      flat(
        ops.mul,
        [
          [2, 1],
          [1, 10],
        ],
        [
          [1, 3],
          [1, 2, 3],
        ],
      ),
    ).toEqual([1, 2, 3, 10, 20, 30]);
  });
  test("corners have the gradients of PyTorch", () => {
    const slope = (f: (x: Value) => Value, ...xs: number[]) =>
      at((x) => ops.grad(ops.sum(f(x)), [x])[0], ...xs);
    expect(slope(ops.relu, -1, 0, 1)).toEqual([0, 0, 1]);
    expect(slope(ops.abs, -1, 0, 1)).toEqual([-1, 0, 1]);
    expect(slope((x) => ops.maximum(x, 0), -1, 0, 1)).toEqual([0, 0.5, 1]);
    expect(slope((x) => ops.minimum(x, 0), -1, 0, 1)).toEqual([1, 0.5, 0]);
  });
});

describe("reductions", () => {
  const x: [number[], number[]] = [
    [2, 3],
    [1, 5, 2, 4, 3, 6],
  ];
  test("sum, mean, max over axes", () => {
    expect(flat((v) => ops.sum(v), x)).toEqual([21]);
    expect(flat((v) => ops.sum(v, 0), x)).toEqual([5, 8, 8]);
    expect(flat((v) => ops.mean(v, -1), x)).toEqual([8 / 3, 13 / 3]);
    expect(flat((v) => ops.max(v, [1]), x)).toEqual([5, 6]);
    expect(flat((v) => ops.max(v), x)).toEqual([6]);
    expect(flat((v) => ops.sum(v, []), x)).toEqual(x[1]);
  });
  test("reduced axes go, or stay with size 1", () => {
    const v = input(spec([2, 3, 4]));
    expect(ops.sum(v, [0, 2]).shape).toEqual([3]);
    expect(ops.sum(v, [2, 0], true).shape).toEqual([1, 3, 1]);
    expect(ops.max(v).shape).toEqual([]);
    expect(ops.mean(v, 1, true).shape).toEqual([2, 1, 4]);
  });
  test("ties of max share the gradient", () => {
    expect(
      flat(
        (v) => ops.grad(ops.sum(ops.max(v, 1)), [v])[0],
        [
          [2, 3],
          [2, 2, 1, 0, 3, 0],
        ],
      ),
    ).toEqual([0.5, 0.5, 0, 0, 1, 0]);
  });
  test("broadcastTo and sumTo", () => {
    expect(
      flat(
        (v) => ops.broadcastTo(v, [2, 2, 3]),
        [
          [2, 1],
          [1, 2],
        ],
      ),
    ).toEqual([1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2]);
    expect(flat((v) => ops.sumTo(v, [2, 1]), x)).toEqual([8, 13]);
    expect(flat((v) => ops.sumTo(v, []), x)).toEqual([21]);
  });
});

describe("moves", () => {
  const x: [number[], number[]] = [[2, 3], upTo(6)];
  test("reshape works one size out; flatten joins", () => {
    const v = input(spec([2, 3, 4]));
    expect(ops.reshape(v, [4, -1]).shape).toEqual([4, 6]);
    expect(ops.flatten(v).shape).toEqual([2, 12]);
    expect(ops.flatten(v, 0).shape).toEqual([24]);
    expect(ops.flatten(v, -1)).toBe(v);
  });
  test("transpose", () => {
    expect(flat((v) => ops.transpose(v), x)).toEqual([1, 4, 2, 5, 3, 6]);
    const v = input(spec([2, 3, 4]));
    expect(ops.transpose(v).shape).toEqual([4, 3, 2]);
    expect(ops.transpose(v, [1, 2, 0]).shape).toEqual([3, 4, 2]);
  });
  test("pad, slice, concat", () => {
    expect(flat((v) => ops.pad(v, [0, 1], [1, 0]), x)).toEqual([
      0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0,
    ]);
    expect(flat((v) => ops.slice(v, [1, 0], [1, 2]), x)).toEqual([4, 5]);
    expect(
      flat((a, b) => ops.concat([a, b], 1), x, [
        [2, 1],
        [8, 9],
      ]),
    ).toEqual([1, 2, 3, 8, 4, 5, 6, 9]);
    expect(flat((a, b) => ops.concat([a, b]), [[1], [1]], [[2], [2, 3]])).toEqual([1, 2, 3]);
  });
});

describe("matrix product", () => {
  test("all ways of storing give one product", () => {
    const [a, at, b, bt] = [
      [[2, 3], upTo(6)],
      [
        [3, 2],
        [1, 4, 2, 5, 3, 6],
      ],
      [
        [3, 2],
        [7, 8, 9, 10, 11, 12],
      ],
      [
        [2, 3],
        [7, 9, 11, 8, 10, 12],
      ],
    ] as [number[], number[]][];
    const want = [58, 64, 139, 154];
    expect(flat((x, y) => ops.matmul(x, y), a, b)).toEqual(want);
    expect(flat((x, y) => ops.matmul(x, y, { transposeA: true }), at, b)).toEqual(want);
    expect(flat((x, y) => ops.matmul(x, y, { transposeB: true }), a, bt)).toEqual(want);
    expect(
      flat((x, y) => ops.matmul(x, y, { transposeA: true, transposeB: true }), at, bt),
    ).toEqual(want);
  });
  test("linear: rows times the transposed weight, plus bias, on any leading axes", () => {
    const w: [number[], number[]] = [
      [2, 3],
      [1, 0, 0, 1, 1, 1],
    ];
    const b: [number[], number[]] = [[2], [10, 20]];
    expect(
      flat(
        (x, v, c) => ops.linear(x, v, c),
        [
          [1, 3],
          [1, 2, 3],
        ],
        w,
        b,
      ),
    ).toEqual([11, 26]);
    expect(flat((x, v) => ops.linear(x, v), [[3], [1, 2, 3]], w)).toEqual([1, 6]);
    expect(ops.linear(input(spec([4, 5, 3])), input(spec([2, 3]))).shape).toEqual([4, 5, 2]);
    expect(ops.linear(input(spec([3])), input(spec([2, 3]))).shape).toEqual([2]);
  });
});

describe("softmax and losses", () => {
  test("softmax sums to one and does not overflow", () => {
    near(
      flat(
        (x) => ops.softmax(x),
        [
          [2, 2],
          [0, Math.log(3), 1000, 1000],
        ],
      ),
      [0.25, 0.75, 0.5, 0.5],
    );
    near(
      flat(
        (x) => ops.logSoftmax(x, 0),
        [
          [2, 1],
          [-1000, 1000],
        ],
      ),
      [-2000, 0],
    );
  });
  test("cross-entropy is the mean of −log p of the label; a label out of range adds nothing", () => {
    const logits = hostArray(spec([2, 2]), Float64Array.of(0, Math.log(3), 0, 0));
    near(
      [...valuesOf((x, l) => ops.crossEntropy(x, l), [logits, ints([1, 0])])[0].data],
      [(-Math.log(0.75) - Math.log(0.5)) / 2],
    );
    near(
      [...valuesOf((x, l) => ops.crossEntropy(x, l), [logits, ints([1, 7])])[0].data],
      [-Math.log(0.75) / 2],
    );
    // The gradient is (softmax − one-hot) / n.
    near(
      [
        ...valuesOf((x, l) => ops.grad(ops.crossEntropy(x, l), [x])[0], [logits, ints([1, 0])])[0]
          .data,
      ],
      [0.125, -0.125, -0.25, 0.25],
    );
  });
  test("squared error is the mean over all elements", () => {
    expect(
      flat(
        ops.squaredError,
        [
          [2, 2],
          [1, 2, 3, 4],
        ],
        [
          [2, 2],
          [1, 0, 3, 0],
        ],
      ),
    ).toEqual([5]);
  });
});

describe("made from nothing", () => {
  test("full and oneHot", () => {
    const seven = ops.full([2, 2], 7);
    expect([...evaluate(graphOf([], [seven]), [])[0].data]).toEqual([7, 7, 7, 7]);
    expect([...valuesOf((l) => ops.oneHot(l, 3), [ints([2, -1, 0, 3])])[0].data]).toEqual([
      0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0,
    ]);
    expect(ops.oneHot(input(spec([2, 5], "int32")), 3).shape).toEqual([2, 5, 3]);
  });

  const draw = (a: number, b: number, n: number) =>
    valuesOf((s) => ops.random(s, [n]), [ints([a, b])])[0].data;

  test("random numbers are those of the documented function, on every device and for ever", () => {
    expect([...draw(0, 0, 4)].map((v) => v * 2 ** 24)).toEqual([
      11929036, 5131069, 11300040, 15223025,
    ]);
    expect([...draw(1, 2, 4)].map((v) => v * 2 ** 24)).toEqual([
      7819707, 6478262, 11939435, 3244760,
    ]);
    expect([...draw(-1, 2147483647, 4)].map((v) => v * 2 ** 24)).toEqual([
      12441217, 2111789, 117791, 10572218,
    ]);
  });

  test("random numbers are uniform, and independent of their neighbors and of neighboring seeds", () => {
    const n = 1 << 14;
    const streams = [
      draw(0, 0, n),
      draw(0, 1, n),
      draw(1, 0, n),
      draw(1, 1, n),
      draw(123456, 7, n),
    ];
    for (const u of streams) {
      const bins = new Array<number>(64).fill(0);
      for (const v of u) bins[Math.floor(v * 64)]++;
      const chi2 = bins.reduce((s, c) => s + (c - n / 64) ** 2 / (n / 64), 0);
      expect(chi2).toBeLessThan(63 + 5 * Math.sqrt(126)); // five standard deviations
    }
    const correlation = (a: Float64Array, b: Float64Array) =>
      a.reduce((s, v, i) => s + (v - 0.5) * (b[i] - 0.5), 0) * (12 / Math.sqrt(n));
    streams.forEach((a, i) => {
      for (const b of streams.slice(i + 1)) expect(Math.abs(correlation(a, b))).toBeLessThan(5);
      for (const lag of [1, 2, 3, 4, 28, 64])
        expect(Math.abs(correlation(a.slice(0, -lag), a.slice(lag)))).toBeLessThan(5);
      // No stream is another in a different order.
      for (const b of streams.slice(i + 1))
        expect(new Set([...a, ...b]).size).toBeGreaterThan(1.9 * n);
    });
  });
});

test("parameters that are changed later change no earlier result", async () => {
  const host = createHost();
  const read = (factor: number, change?: (f: unknown[]) => void) => {
    const f: unknown[] = ["mul", "a", factor];
    const y = ops.map("scaled", f as unknown as ops.Expr, [tensor(host, [1])]).read();
    change?.(f);
    return y;
  };
  await read(2, (f) => (f[2] = 3));
  expect([...(await read(2))]).toEqual([2]);
  const rows: [number, number][][] = [[[0, 1]]];
  ops.resample(tensor(host, [1]), rows);
  rows[0][0][1] = 7;
  expect([...(await ops.resample(tensor(host, [1]), [[[0, 1]]]).read())]).toEqual([1]);
  const f: [string, string, number] = ["mul", "a", 2];
  const twice = jit((v) => ops.map("twice", f as ops.Expr, [v]));
  expect([...(await twice(tensor(host, [1])).read())]).toEqual([2]);
  f[2] = 3;
  expect([...(await twice(tensor(host, [1])).read())]).toEqual([2]);
});

test.each<[unknown, string]>([
  [["mul", "a"], "odd: mul takes 2 arguments, got 1"],
  [["neg", "a", 1], "odd: neg takes 1 arguments, got 2"],
  [["cube", "a"], "odd: there is no function cube, only add"],
  [["mul", "a", "b"], "odd: there is no variable b, only a"],
  [["toString", "a"], "odd: there is no function toString"],
  [undefined, "odd: undefined is no expression"],
])("map refuses %j", (f, message) =>
  expect(() => ops.map("odd", f as ops.Expr, [tensor(createHost(), [1])])).toThrow(message),
);
