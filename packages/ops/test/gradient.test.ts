// Every vjp against central differences on every case, and gradients of gradients.

import { apply, hostArray, sizeOf, type HostArray, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { caseInputs, cases, type OpCase } from "../src/cases/index.ts";
import { grad, mul, sum } from "../src/index.ts";
import { checkGradient, valuesOf } from "./check.ts";

const hostInputs = (c: OpCase): HostArray[] =>
  caseInputs(c).map((data, i) => hostArray(c.inputs[i], Float64Array.from(data)));
const applied =
  ({ op, params }: OpCase) =>
  (...xs: Value[]): Value =>
    apply(op, params, xs)[0];

test("cases have names of their own", () => {
  expect(new Set(cases.map((c) => c.name)).size).toBe(cases.length);
});

describe("every reference fills the shape that is inferred", () => {
  test.each(cases)("$name", (c) => {
    const out = c.op.reference(hostInputs(c), c.params);
    const specs = c.op.infer(c.inputs, c.params);
    expect(out.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(specs);
    expect(out.map((y) => y.data.length)).toEqual(specs.map((s) => sizeOf(s.shape)));
    expect(out.every((y) => y.data.every(Number.isFinite))).toBe(true);
  });
});

const elements = (c: OpCase) => c.inputs.reduce((total, s) => total + sizeOf(s.shape), 0);
const differentiable = cases.filter((c) => c.gradient !== false);

describe("gradient equals central differences", () => {
  test.each(differentiable)("$name", (c) => checkGradient(applied(c), hostInputs(c)));
});

describe("gradient of the gradient equals central differences", () => {
  test.each(differentiable.filter((c) => elements(c) <= 600))("$name", (c) => {
    const arrays = hostInputs(c);
    // The gradients of Σ y² with respect to each input, one test each, as functions of all inputs.
    arrays.forEach(({ dtype }, i) => {
      if (dtype !== "float32") return;
      const gradient = (...xs: Value[]) => {
        const y = applied(c)(...xs);
        return grad(sum(mul(y, y)), [xs[i]])[0];
      };
      checkGradient(gradient, arrays, 1);
    });
  });
});

test("third derivatives of the conv family go on", () => {
  const c = cases.find((x) => x.name === "conv 3×3 stride 1,2 padding 0,2")!;
  const third = (x: Value, w: Value): Value => {
    const y = applied(c)(x, w);
    const [dx] = grad(sum(mul(mul(y, y), y)), [x]);
    return grad(sum(mul(dx, dx)), [w])[0];
  };
  checkGradient(third, hostInputs(c), 2);
});

test("int32 inputs get no gradient and stop none", () => {
  const c = cases.find((x) => x.name === "oneHot 5 of 10")!;
  const [y] = valuesOf(
    (labels, x) => grad(sum(mul(applied(c)(labels), x)), [x])[0],
    [...hostInputs(c), hostArray({ shape: [5, 10], dtype: "float32" })],
  );
  expect(y.data.reduce((a, b) => a + b)).toBe(
    hostInputs(c)[0].data.filter((v) => v >= 0 && v < 10).length,
  );
});
