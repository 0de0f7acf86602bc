// Losses on tensors, and what they refuse; their values and gradients are held against PyTorch's in
// @conv/testkit.

import {
  createHost,
  evaluate,
  graphOf,
  hostArray,
  input,
  spec,
  tensor,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";
import {
  absoluteError,
  add,
  binaryCrossEntropy,
  crossEntropy,
  dice,
  grad,
  hinge,
  huber,
  lossTerms,
  type LossTerms,
} from "../src/index.ts";

const host = createHost();
const zeros = (...shape: number[]) =>
  tensor(host, new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
const labels = (...values: number[]) => tensor(host, values, [values.length], "int32");

test("run on tensors at once, class weights too, and leave nothing behind", async () => {
  const before = host.memory().buffers;
  {
    using x = tensor(host, [0, Math.log(3), 0, 0], [2, 2]);
    using y = labels(1, 0);
    using loss = crossEntropy(x, y, { weight: [1, 3] });
    const [value] = await loss.read();
    expect(value).toBeCloseTo((-3 * Math.log(0.75) - Math.log(0.5)) / 4, 6);
  }
  expect(host.memory().buffers).toBe(before);
});

test("a logarithm of 0 counts as −100", async () => {
  const [value] = await binaryCrossEntropy(tensor(host, [0, 1]), tensor(host, [1, 1])).read();
  expect(value).toBe(50);
});

/** A loss and its gradient: of scores (rows) with labels, in float64. */
function measured(
  loss: (x: Value, y: Value) => Value,
  rows: readonly (readonly number[])[],
  classes: readonly number[],
) {
  const [x, y] = [input(spec([rows.length, rows[0].length])), input(spec([rows.length], "int32"))];
  const value = loss(x, y);
  const arrays = [
    hostArray(x.spec, Float64Array.from(rows.flat())),
    hostArray(y.spec, Float64Array.from(classes)),
  ];
  const [{ data }, gradient] = evaluate(graphOf([x, y], [value, ...grad(value, [x])]), arrays);
  return { value: data[0], gradient: [...gradient.data] };
}

describe("what is not chosen", () => {
  test.each([
    [
      {},
      [
        [-Infinity, 0],
        [0, 1],
      ],
      [1, 1],
      0.15663,
    ],
    [
      { weight: [0, 2] },
      [
        [-Infinity, 0],
        [0, 1],
      ],
      [1, 1],
      0.15663,
    ],
    [
      {},
      [
        [1e4, -1e4],
        [3e38, -3e38],
      ],
      [1, 0],
      10000,
    ],
    [
      {},
      [
        [0, Infinity - Infinity],
        [1, 1],
      ],
      [-1, 0],
      Math.log(2) / 2,
    ],
  ])("may be infinite or absent: crossEntropy %j of %j", async (options, rows, classes, want) => {
    const [value] = await crossEntropy(
      tensor(host, rows.flat(), [2, 2]),
      labels(...classes),
      options,
    ).read();
    expect(value).toBeCloseTo(want, 4);
  });

  test("of an infinite weight's class adds nothing where the class weighs nothing", () => {
    const rows = [
      [-Infinity, 0],
      [0, 1],
    ];
    expect(
      measured((x, y) => crossEntropy(x, y, { weight: [0, 1] }), rows, [0, 1]).value,
    ).toBeCloseTo(Math.log(1 + Math.exp(-1)), 12);
  });

  test("hinge passes infinite scores over, and its gradient too", () => {
    for (const p of [1, 2] as const) {
      const { value, gradient } = measured(
        (x, y) => hinge(x, y, { p }),
        [
          [3, -Infinity, 2.5],
          [1, 1, 1],
        ],
        [0, -1],
      );
      expect(value).toBeCloseTo(0.5 ** p / 6, 12);
      expect(gradient).toEqual([-1 / 6, 0, 1 / 6, 0, 0, 0].map((v) => expect.closeTo(v, 12)));
    }
  });
});

describe("a label out of range", () => {
  const rows = [
    [1, 2, 3],
    [3, 1, 0],
  ];
  const weight = [2, 2, 2];
  const losses: [string, (x: Value, y: Value) => Value, number][] = [
    ["smoothed", (x, y) => crossEntropy(x, y, { labelSmoothing: 0.3 }), 0.3538],
    ["by weights", (x, y) => crossEntropy(x, y, { weight }), 0.40761],
    [
      "by weights and smoothed",
      (x, y) => crossEntropy(x, y, { weight, labelSmoothing: 0.3 }),
      0.70761,
    ],
    ["plain", (x, y) => crossEntropy(x, y), 0.2038],
    ["hinge", (x, y) => hinge(x, y, { margin: 1.5 }), 0.5 / 6],
  ];
  test.each(losses)("adds nothing and has no gradient: %s", (_, loss, want) => {
    for (const label of [-1, 3, 255]) {
      const { value, gradient } = measured(loss, rows, [2, label]);
      expect(value).toBeCloseTo(want, 5);
      expect(gradient.slice(3)).toEqual([0, 0, 0]);
      expect(gradient.slice(0, 3).some((v) => v !== 0)).toBe(true);
    }
  });
});

describe("sum and weight", () => {
  const draw = (n: number, at: number) =>
    Float64Array.from({ length: n }, (_, i) => 0.5 + 0.45 * Math.sin(7 * (i + at) ** 2 + 1));
  const classes = (x: Value) => input(spec([x.shape[0], ...x.shape.slice(2)], "int32"), "labels");
  const same = (x: Value) => input(x.spec, "target");
  const losses: [string, (x: Value) => Value, (x: Value, y: Value) => Value, readonly number[]][] =
    [
      ["crossEntropy", classes, (x, y) => crossEntropy(x, y), [3]],
      ["weighted", classes, (x, y) => crossEntropy(x, y, { weight: [1, 5, 20] }), [3]],
      [
        "weighted and smoothed, in space",
        classes,
        (x, y) => crossEntropy(x, y, { weight: [1, 5, 20], labelSmoothing: 0.2 }),
        [3, 2, 2],
      ],
      ["hinge", classes, (x, y) => hinge(x, y), [3]],
      ["squaredError", same, ops.squaredError, [3, 2]],
      ["absoluteError", same, absoluteError, [3, 2]],
      ["huber", same, (x, y) => huber(x, y, { delta: 0.2 }), [3, 2]],
      ["binaryCrossEntropy", same, binaryCrossEntropy, [3, 2]],
      [
        "binaryCrossEntropyWithLogits",
        same,
        (x, y) => ops.binaryCrossEntropyWithLogits(x, y, { posWeight: 3 }),
        [3, 2],
      ],
      ["dice", same, (x, y) => dice(x, y), [3, 2, 2]],
    ];
  test.each(losses)(
    "of %s add up: batches of any sizes give the mean of one large batch, in any order",
    (_, target, loss, shape) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const all = draw(8 * size, 0);
      const run = (samples: readonly number[]) => {
        const x = input(spec([samples.length, ...shape]), "x");
        const y = target(x);
        const mean = loss(x, y);
        const { sum, weight } = lossTerms(mean)!;
        const rows = (per: number, of: (at: number) => number) =>
          Float64Array.from(
            samples.flatMap((s) => Array.from({ length: per }, (_v, k) => of(s * per + k))),
          );
        const per = y.shape.slice(1).reduce((a, b) => a * b, 1);
        const given = [
          hostArray(
            x.spec,
            rows(size, (at) => all[at]),
          ),
          hostArray(
            y.spec,
            rows(per, (at) => (y.dtype === "int32" ? (at * 5) % 4 : draw(1, at + 99)[0])),
          ),
        ];
        return evaluate(graphOf([x, y], [mean, sum, weight]), given).map((v) => v.data[0]);
      };
      const [whole] = run([0, 1, 2, 3, 4, 5, 6, 7]);
      for (const parts of [
        [[6, 1, 3], [0], [7, 5, 4, 2]],
        [
          [7, 6, 5, 4],
          [3, 2, 1, 0],
        ],
        [0, 1, 2, 3, 4, 5, 6, 7].map((i) => [i]),
      ]) {
        const terms = parts.map(run);
        const total = (k: number) => terms.reduce((sum, t) => sum + t[k], 0);
        expect(total(1) / total(2)).toBeCloseTo(whole, 10);
      }
    },
  );

  test("are known of the means of losses alone", () => {
    const x = input(spec([2, 3]));
    const known: LossTerms | undefined = lossTerms(ops.squaredError(x, x));
    expect([known?.sum.shape, known?.weight.shape]).toEqual([[], []]);
    expect(lossTerms(add(ops.squaredError(x, x), 1))).toBeUndefined();
  });
});

describe("errors", () => {
  test.each([
    [
      () => crossEntropy(zeros(2, 3), labels(1)),
      "crossEntropy: logits 2×3 and labels 1 are not n×classes and n",
    ],
    [
      () => crossEntropy(zeros(2, 3, 4), labels(1)),
      "crossEntropy: logits 2×3×4 and labels 1 are not n×classes×space and n×space",
    ],
    [() => crossEntropy(zeros(0, 3), labels()), "crossEntropy: the batch is empty (axis 0)"],
    [
      () => crossEntropy(zeros(1, 3), labels(1), { labelSmoothing: 1 }),
      "crossEntropy: label smoothing 1 is not in [0, 1)",
    ],
    [
      () => crossEntropy(zeros(1, 3), labels(1), { weight: [1] }),
      "crossEntropy: weight has 1 numbers for 3 classes; give one for each",
    ],
    [
      () => crossEntropy(zeros(1, 2), labels(1), { weight: [1, -1] }),
      "crossEntropy: weight 1, -1 must be finite numbers ≥ 0",
    ],
    [
      () => crossEntropy(zeros(1, 2), labels(1), { weight: [NaN, 1] }),
      "crossEntropy: weight NaN, 1 must be finite numbers ≥ 0",
    ],
    [() => absoluteError(zeros(0), zeros(0)), "absoluteError: the batch is empty (axis 0)"],
    [() => absoluteError(zeros(2), zeros(3)), "absoluteError: output has shape 2, target has 3"],
    [() => huber(zeros(2), zeros(2), { delta: 0 }), "huber: delta 0 is not a finite number > 0"],
    [() => hinge(zeros(2, 3), labels(0)), "hinge: scores 2×3 and labels 1 are not n×classes and n"],
    [
      () => dice(zeros(2, 3), zeros(2, 3)),
      "dice: output has shape 2×3, needs samples, channels and space",
    ],
  ])("%#", (run, message) => expect(run).toThrow(message));
});
