import { grad, sum } from "@conv/ops";
import { evaluate, graphOf, hostArray, spec } from "@conv/tensor";
import { elementwiseGoldens } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer } from "../src/index.ts";
import { only } from "./tiny.ts";

const activations: Record<string, Layer> = {
  elu: layers.elu(),
  gelu: layers.gelu(),
  geluTanh: layers.gelu({ approximate: "tanh" }),
  hardSigmoid: layers.hardSigmoid(),
  hardSwish: layers.hardSwish(),
  leakyRelu: layers.leakyRelu(),
  mish: layers.mish(),
  relu: layers.relu(),
  relu6: layers.relu6(),
  scaledTanh: layers.scaledTanh(),
  selu: layers.selu(),
  sigmoid: layers.sigmoid(),
  silu: layers.silu(),
  softplus: layers.softplus(),
  tanh: layers.tanh(),
};

/** y and Σ y's gradients with respect to x and the parameters. */
function run(
  layer: Layer,
  shape: readonly number[],
  data: readonly number[],
  ...parameters: number[][]
): number[][] {
  const { x, output, values } = layers.traceModel(only(layer, shape.slice(1)), { batch: shape[0] });
  const given = [data, ...parameters].map((v, i) =>
    hostArray(spec(i === 0 ? shape : values[i - 1].shape), Float64Array.from(v, Math.fround)),
  );
  return evaluate(
    graphOf([x, ...values], [output, ...grad(sum(output), [x, ...values])]),
    given,
  ).map((y) => [...y.data]);
}

describe("activations and their gradients are PyTorch's", () => {
  const goldens = elementwiseGoldens.filter(({ op }) => op in activations);
  test("all of them", () => expect(goldens).toHaveLength(Object.keys(activations).length));
  test.each(goldens)("$op", ({ op, inputs: [x], y, grads: [dx] }) => {
    const got = run(activations[op], x.shape, x.data);
    for (const [values, want] of [
      [got[0], y.data],
      [got[1], dx.data],
    ])
      want.forEach((w, i) =>
        expect(Math.abs(values[i] - w), `${values[i]} for ${w}`).toBeLessThanOrEqual(
          2e-7 * Math.max(1, Math.abs(w)),
        ),
      );
  });
});

test("prelu has one slope, or one a channel", () => {
  expect(run(layers.prelu(), [1, 2, 2], [-1, 2, -4, 0], [0.5])).toEqual([
    [-0.5, 2, -2, 0],
    [0.5, 1, 0.5, 0.5],
    [-5],
  ]);
  expect(run(layers.prelu({ perChannel: true }), [1, 2, 2], [-1, 2, -4, 0], [0.5, 0.25])).toEqual([
    [-0.5, 2, -1, 0],
    [0.5, 1, 0.25, 0.25],
    [-1, -4],
  ]);
  const first = layers.initialize(only(layers.prelu({ perChannel: true, init: 0.125 }), [2, 3]));
  expect([...first]).toEqual([["weight", { shape: [2], data: Float32Array.of(0.125, 0.125) }]]);
  expect(() => layers.traceModel(only(layers.prelu({ perChannel: true }), []))).toThrow(
    "prelu: input has 1 axes, needs at least 2 (batch and channels)",
  );
});

test("elu bends to −alpha, softplus is sharper with beta and never overflows", () => {
  expect(run(layers.elu(2), [3], [-50, 0, 3])[0]).toEqual([-2, 0, 3]);
  expect(run(layers.softplus(4), [3], [-1000, 0, 1000])[0]).toEqual([0, Math.log(2) / 4, 1000]);
  expect(run(layers.mish(), [2], [-1000, 1000])[0]).toEqual([-0, 1000]);
  expect(() => layers.softplus(0)).toThrow("softplus: beta 0 is not a finite number > 0");
});
