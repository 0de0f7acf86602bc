// Networks in the vocabulary of ONNX: by what their ops compute, whatever they are called.

import { batchNorm2d, conv2d, relu, sequential, traceModel, zeros, type Layer } from "@conv/layers";
import { map, type Expr } from "@conv/ops";
import type { Value } from "@conv/tensor";
import { expect, test } from "vitest";
import { lower } from "../src/lower.ts";

const ops = (layer: Layer) =>
  lower(traceModel({ name: "net", input: [2, 4, 4], layer })).nodes.map((n) => n.op);
const named = (label: string, f: Expr, more: (x: Value) => readonly Value[] = () => []): Layer => ({
  type: label,
  forward: (x) => map(label, f, [x, ...more(x)]),
});

test("layers keep their operators", () => {
  expect(ops(sequential([conv2d(3, 3), batchNorm2d(), relu()]))).toEqual([
    "Conv",
    "BatchNormalization",
    "Relu",
  ]);
});

test.each(["relu", "relu6", "add", "batchNorm", "conv", "mine"])(
  "an op labeled %s becomes what it computes",
  (label) => {
    expect(ops(named(label, ["max", "a", 0]))).toEqual(["Relu"]);
    expect(ops(named(label, ["min", ["max", "a", 0], 6]))).toEqual(["Clip"]);
    expect(ops(named(label, ["add", "a", "b"], (x) => [x]))).toEqual(["Add"]);
    expect(() => ops(named(label, ["mul", 2, "a"]))).toThrow(
      new Error(`ONNX: no form for ${label}`),
    );
  },
);

test("a batch normalization is known by its parts", () => {
  const mine: Layer = {
    type: "relu",
    forward(x, ctx) {
      const [weight, bias, average, variance] = ["weight", "bias", "mean", "var"].map((name) =>
        ctx.param(name, [1, 2, 1, 1], zeros),
      );
      const scale = map("relu", ["div", "a", ["sqrt", ["add", "b", 1e-3]]], [weight, variance]);
      return map(
        "conv",
        ["add", ["mul", "a", "c"], "b"],
        [scale, map("add", ["sub", "a", ["mul", "b", "c"]], [bias, average, scale]), x],
      );
    },
  };
  expect(lower(traceModel({ name: "net", input: [2, 4, 4], layer: mine })).nodes).toEqual([
    {
      op: "BatchNormalization",
      inputs: ["x", "weight", "bias", "mean", "var"],
      output: "v0",
      attributes: { epsilon: 1e-3 },
    },
  ]);
});
