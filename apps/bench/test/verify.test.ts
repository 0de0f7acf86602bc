// The judge itself is judged: its references against the ops' own, and its verdicts on wrong
// answers.

import {
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  type ConvGeometry,
  type ConvOptions,
} from "@conv/ops";
import { hostArray, sizeOf, spec } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { directions, shapesOf } from "../src/layers.ts";
import { operand } from "../src/random.ts";
import { judge, reference } from "../src/verify.ts";

const geometry = (x: number[], w: number[], options: ConvOptions) =>
  convGeometry(spec(x), spec(w), options);
const ops = { forward: convOp, gradInput: convGradInputOp, gradWeight: convGradWeightOp };
const geometries: Record<string, ConvGeometry> = {
  plain: geometry([2, 3, 7, 6], [4, 3, 3, 3], { padding: 1 }),
  "strided, dilated, uneven padding": geometry([1, 4, 9, 11], [6, 4, 3, 2], {
    stride: [2, 3],
    dilation: [2, 1],
    padding: [
      [1, 2],
      [0, 3],
    ],
  }),
  grouped: geometry([2, 6, 5, 5], [4, 3, 3, 3], { groups: 2 }),
  depthwise: geometry([1, 4, 8, 8], [4, 1, 3, 3], { groups: 4, padding: 1, stride: 2 }),
  "one axis": geometry([2, 3, 17], [5, 3, 4], { stride: 2 }),
  "three axes": geometry([1, 2, 4, 5, 3], [3, 2, 2, 3, 2], { padding: 1 }),
};

describe.each(directions)("%s", (direction) => {
  test.each(Object.entries(geometries))("reference of %s is the op's", (_, g) => {
    const { operands, result } = shapesOf(direction, g);
    const [a, b] = operands.map((shape, i) => operand(i + 1, sizeOf(shape))) as [
      Float32Array,
      Float32Array,
    ];
    const expected = reference(direction, g, a, b);
    expect(expected.index.length).toBe(sizeOf(result));
    const [truth] = ops[direction].reference(
      operands.map((shape, i) => hostArray(spec(shape), Float64Array.from([a, b][i]))),
      g,
    );
    expected.value.forEach((v, i) => expect(v).toBeCloseTo(truth.data[i], 12));
    expect(judge(expected, Float32Array.from(truth.data))).toMatchObject({
      verified: true,
      checked: sizeOf(result),
    });
  });

  test("a sample looks at corners and edges, and finds a fault in them", () => {
    const g = geometry([2, 16, 40, 40], [16, 16, 3, 3], { padding: 1 });
    const { operands, result } = shapesOf(direction, g);
    const [a, b] = operands.map((shape, i) => operand(i + 1, sizeOf(shape))) as [
      Float32Array,
      Float32Array,
    ];
    const full = reference(direction, g, a, b);
    const sample = reference(direction, g, a, b, 1);
    expect(sample.index.length).toBeLessThan(full.index.length);
    expect(sample.index.length).toBeGreaterThan(400);
    sample.index.forEach((flat, i) => expect(sample.value[i]).toBe(full.value[flat]));
    const answer = Float32Array.from(full.value);
    expect(judge(sample, answer).verified).toBe(true);
    const rowLength = result.at(-1)!;
    const lastColumn = answer.map((v, i) => (i % rowLength === rowLength - 1 ? 0 : v));
    expect(judge(sample, lastColumn).verified).toBe(false);
    const lastOutput = answer.slice();
    lastOutput[lastOutput.length - 1] += 1;
    expect(judge(sample, lastOutput).verified).toBe(false);
  });
});

describe("verdicts", () => {
  const g = geometries.plain;
  const { operands } = shapesOf("forward", g);
  const [x, w] = operands.map((shape, i) => operand(i + 1, sizeOf(shape))) as [
    Float32Array,
    Float32Array,
  ];
  const expected = reference("forward", g, x, w);
  const right = Float32Array.from(expected.value);

  test("a float32 answer is right, with its error", () => {
    const verdict = judge(expected, right);
    expect(verdict.verified).toBe(true);
    expect(verdict.error).toBeLessThan(1);
  });

  test.each([NaN, Infinity, -Infinity])("an output of %s is refused", (odd) => {
    const wrong = right.slice();
    wrong[17] = odd;
    expect(judge(expected, wrong)).toMatchObject({
      verified: false,
      reason: `output 17 is ${odd}`,
    });
  });

  test("a missing product is refused", () => {
    const wrong = right.slice();
    wrong[40] += 0.01;
    const { verified, error, reason } = judge(expected, wrong);
    expect(verified).toBe(false);
    expect(error).toBeGreaterThan(256);
    expect(reason).toBe(
      `output 40 is ${wrong[40]}, expected ${expected.value[40]}: off by ${error.toFixed(0)} ε·Σ|a·b|, the limit is 256`,
    );
  });

  test("a wrong number of outputs is refused", () => {
    expect(judge(expected, right.subarray(1)).reason).toBe(
      `${right.length - 1} outputs, expected ${right.length}`,
    );
  });

  test("an output that sums nothing must be zero", () => {
    const outside = geometry([1, 1, 2, 2], [1, 1, 1, 1], { padding: 1 });
    const nothing = reference("forward", outside, Float32Array.of(1, 2, 3, 4), Float32Array.of(1));
    const y = Float32Array.from(nothing.value);
    expect(judge(nothing, y).verified).toBe(true);
    y[0] = 1e-30;
    expect(judge(nothing, y).verified).toBe(false);
  });
});
