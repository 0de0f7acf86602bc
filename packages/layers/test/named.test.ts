// Models with named inputs and outputs: their types, their graphs, and where they are refused.

import { add, mul } from "@conv/ops";
import { createHost, evaluate, hostArray, spec, UnsupportedError, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer, Model } from "../src/index.ts";

type Pair = { readonly image: Value; readonly gain: Value };
type Both = { readonly scores: Value; readonly sum: Value };

const hidden = layers.linear(2);
const doubled: Layer<Value, Both> = {
  type: "doubled",
  forward: (x) => ({ scores: mul(x, x), sum: add(x, x) }),
};
const two: Layer<Pair, Both> = {
  type: "two",
  forward: ({ image, gain }, ctx) =>
    ctx.child("doubled", doubled, mul(ctx.child("hidden", hidden, image), gain)),
};
const model: Model<Pair, Both> = {
  name: "two",
  input: { image: [3], gain: spec([1]) },
  layer: two,
};

test("inputs and outputs of the graph stand in the order of their names", () => {
  const traced = layers.traceModel(model, { batch: 2 });
  const { x, output, graph, entries } = traced;
  expect([x.image.name, x.gain.name]).toEqual(["image", "gain"]);
  expect([x.image.shape, x.gain.shape]).toEqual([
    [2, 3],
    [2, 1],
  ]);
  expect(graph.inputs.slice(0, 2)).toEqual([x.image, x.gain]);
  expect(graph.outputs).toEqual([output.scores, output.sum]);
  expect(entries.map((e) => e.name)).toEqual(["hidden.weight", "hidden.bias"]);
  expect([...layers.initialize(model).keys()]).toEqual(["hidden.weight", "hidden.bias"]);
  const given = [
    [1, 2, 3, 4, 5, 6],
    [2, -1],
    [1, 0, 0, 0, 1, 0],
    [0, 10],
  ];
  const [scores, sum] = evaluate(
    graph,
    given.map((data, i) => hostArray(graph.inputs[i].spec, Float64Array.from(data))),
  );
  expect([...sum.data]).toEqual([4, 48, -8, -30]);
  expect([...scores.data]).toEqual([4, 576, 16, 225]);
});

test("an input may have another type", () => {
  const indexed: Model<{ readonly at: Value }> = {
    name: "indexed",
    input: { at: spec([4], "int32") },
    layer: { type: "at", forward: ({ at }) => at },
  };
  expect(layers.traceModel(indexed).x.at.spec).toEqual(spec([1, 4], "int32"));
});

describe("training and inference take one input and one output", () => {
  const untyped = (m: object) => m as Model;
  const several = untyped(model);
  const outputs = untyped({ name: "outputs", input: [2], layer: doubled });
  const backend = createHost();
  test.each<[string, (m: Model) => unknown]>([
    ["train", (m) => layers.createTrainer({ backend, model: m, optimizer: layers.sgd({ lr: 1 }) })],
    ["train", (m) => layers.traceStep(m, layers.sgd({ lr: 1 }), 1)],
    ["train", (m) => layers.traceGradients(m, 1)],
    ["predict", (m) => layers.createPredictor(backend, m, new Map())],
  ])("%s", (op, make) => {
    expect(() => make(several)).toThrow(UnsupportedError);
    expect(() => make(several)).toThrow(
      `${op}: two has the inputs image, gain, but the trainer and the predictor need one input without a name; trace it with traceModel`,
    );
    expect(() => make(outputs)).toThrow(
      expect.objectContaining({
        message: `${op}: outputs has the outputs scores, sum, but the trainer and the predictor need one output without a name; trace it with traceModel`,
        code: "named-outputs",
        values: { model: "outputs", what: "output", names: "scores, sum" },
      }),
    );
  });

  test("by their types too", () => {
    // @ts-expect-error: the model has named inputs.
    const refused: Model = model;
    expect(refused).toBe(model);
  });
});
