// The options that layers share: what stands around a layer, what its parameters carry, and what a
// training step does with that.

import { sum } from "@conv/ops";
import {
  evaluate,
  graphOf,
  hostArray,
  optimize,
  sizeOf,
  spec,
  type HostArray,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Constraint, Layer, Model, Regularizer } from "../src/index.ts";
import { failure, only, plain } from "./tiny.ts";

const { conv2d, linear, sequential, values } = layers;
const names = (layer: Layer, input: readonly number[]) =>
  layers.traceModel(only(layer, input)).entries.map((e) => e.name);

/** What a predicting model gives for x. */
function answer(layer: Layer, shape: readonly number[], x: readonly number[]): HostArray {
  const model = only(layer, shape.slice(1));
  const traced = layers.traceModel(model, { batch: shape[0] });
  const state = layers.initialize(model, 1);
  const given = [
    hostArray(spec(shape), Float64Array.from(x)),
    ...traced.entries.map((e) => hostArray(e.spec, Float64Array.from(state.get(e.name)!.data))),
  ];
  return evaluate(traced.graph, given)[0];
}

/** Loss and state after one step of plain descent, from the model's initial values. */
function step(model: Model, x: readonly number[], labels: readonly number[], lr = 1) {
  const { graph, entries, written } = layers.traceStep(model, layers.sgd({ lr }), labels.length);
  const state = layers.initialize(model, 1);
  const given = [
    hostArray(spec([labels.length, ...model.input]), Float64Array.from(x)),
    hostArray(spec([labels.length], "int32"), Float64Array.from(labels)),
    hostArray(spec([1]), Float64Array.of(lr)),
    ...entries.map((e) => hostArray(e.spec, Float64Array.from(state.get(e.name)!.data))),
  ];
  const [loss, , ...after] = evaluate(graph, given);
  const changed = Object.fromEntries(written.map((i, k) => [entries[i].name, [...after[k].data]]));
  return {
    loss: loss.data[0],
    before: plain(state),
    changed,
    nodes: graph.nodes.map((n) => n.op.name),
  };
}

/** A loss without gradient, so that only what parameters carry moves them. */
const nothing = (output: Value): Value => layers.l2(0)(output);
const carrying = (
  weight: readonly number[],
  shape: readonly [number, number],
  options: { regularizer?: Regularizer; constraint?: Constraint },
): Model => ({
  ...only(
    linear(shape[0], {
      bias: false,
      weightInit: values(weight),
      weightRegularizer: options.regularizer,
      weightConstraint: options.constraint,
    }),
    [shape[1]],
  ),
  loss: nothing,
});

describe("around a layer", () => {
  test("an activation by name, or as a layer with parameters of its own", () => {
    const centered = {
      weightInit: values([1, -1]),
      biasInit: layers.constant(0.5),
    };
    expect([...answer(linear(2, { ...centered, activation: "relu" }), [1, 1], [2]).data]).toEqual([
      2.5, 0,
    ]);
    expect([
      ...answer(linear(2, { ...centered, activation: layers.prelu({ init: 0.5 }) }), [1, 1], [2])
        .data,
    ]).toEqual([2.5, -0.75]);
    expect(names(conv2d(1, 1, { activation: "prelu" }), [1, 2, 2])).toEqual([
      "weight",
      "bias",
      "activation.weight",
    ]);
    const word: string = "swoosh";
    expect(() => conv2d(1, 1, { activation: word as "relu" })).toThrow(
      'conv2d: there is no activation "swoosh"; use one of elu, gelu, hardSigmoid, hardSwish, leakyRelu, logSoftmax, mish, prelu, relu, relu6, scaledTanh, selu, sigmoid, silu, softmax, softplus, tanh',
    );
  });

  test("a name, which a list takes instead of the place", () => {
    const list = sequential([
      linear(2, { name: "hidden", bias: false }),
      layers.relu(),
      linear(1, { bias: false }),
    ]);
    expect(names(list, [3])).toEqual(["hidden.weight", "2.weight"]);
    expect(names(sequential([["mine", linear(2, { name: "hidden", bias: false })]]), [3])).toEqual([
      "mine.weight",
    ]);
    expect(
      names(sequential([layers.freeze(linear(2, { name: "hidden", bias: false }))]), [3]),
    ).toEqual(["hidden.weight"]);
  });

  test("channels last: the same numbers in the other order", () => {
    const x = Array.from({ length: 2 * 4 * 5 * 3 }, (_, i) => Math.sin(i));
    const shape = [2, 4, 5, 3];
    const first = [...Array(x.length).keys()].map((i) => {
      const [n, c, h, w] = [
        Math.floor(i / 60),
        Math.floor(i / 20) % 3,
        Math.floor(i / 5) % 4,
        i % 5,
      ];
      return x[((n * 4 + h) * 5 + w) * 3 + c];
    });
    const want = answer(conv2d(2, 3, { padding: 1, stride: 2 }), [2, 3, 4, 5], first);
    const got = answer(conv2d(2, 3, { padding: 1, stride: 2, layout: "channels-last" }), shape, x);
    expect(got.shape).toEqual([2, 2, 3, 2]);
    got.data.forEach((v, i) => {
      const [n, h, w, c] = [
        Math.floor(i / 12),
        Math.floor(i / 6) % 2,
        Math.floor(i / 2) % 3,
        i % 2,
      ];
      expect(v).toBeCloseTo(want.data[((n * 2 + c) * 2 + h) * 3 + w], 12);
    });
    expect(answer(layers.channelsLast(conv2d(2, 3, { padding: 1, stride: 2 })), shape, x)).toEqual(
      got,
    );
    const word: string = "NHWC";
    expect(() => conv2d(1, 1, { layout: word as "channels-last" })).toThrow(
      'conv2d: layout "NHWC" is neither "channels-first" nor "channels-last"',
    );
  });

  test("between layers with channels last nothing is transposed", () => {
    const options = { layout: "channels-last", padding: 1, activation: "relu" } as const;
    const net = sequential([
      conv2d(4, 3, options),
      layers.batchNorm2d({ layout: "channels-last" }),
      layers.maxPool2d(2, options),
      conv2d(2, 3, options),
    ]);
    const { nodes } = optimize(layers.traceModel(only(net, [8, 8, 3])).graph);
    expect(nodes.map((n) => n.op.name).filter((name) => name === "transpose")).toHaveLength(2);
  });

  test("a bias, or none", () => {
    expect(names(linear(2, { bias: false }), [3])).toEqual(["weight"]);
    expect(names(linear(2, { bias: true }), [3])).toEqual(["weight", "bias"]);
  });

  test.each([
    [{ useBias: false }, "useBias", "bias"],
    [{ kernelInitializer: layers.zeros }, "kernelInitializer", "weightInit"],
    [{ biasInitializer: layers.zeros }, "biasInitializer", "biasInit"],
    [{ kernelRegularizer: layers.l2() }, "kernelRegularizer", "weightRegularizer"],
    [{ kernelConstraint: layers.nonNeg() }, "kernelConstraint", "weightConstraint"],
    [{ activityRegularizer: layers.l2() }, "activityRegularizer", "outputRegularizer"],
    [{ dilationRate: 2 }, "dilationRate", "dilation"],
    [{ strides: 2 }, "strides", "stride"],
    [{ padding_mode: "zeros" }, "padding_mode", "paddingMode"],
  ])("%o: the error names the option of this library", (options: object, option, meant) => {
    expect(() => conv2d(1, 1, options)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: `conv2d: there is no option "${option}"; did you mean ${meant}?`,
        code: "unknown-option",
        values: { option: `"${option}"`, meant },
      }),
    );
  });

  test.each([
    ["gammaInitializer", "weightInit"],
    ["betaInitializer", "biasInit"],
    ["gammaRegularizer", "weightRegularizer"],
    ["betaConstraint", "biasConstraint"],
    ["epsilon", "eps"],
  ])("%s of a normalization is %s", (option, meant) => {
    const options: object = { [option]: layers.ones };
    expect(() => layers.batchNorm2d(options)).toThrow(
      `batchNorm2d: there is no option "${option}"; did you mean ${meant}?`,
    );
  });

  test("what must be a function is checked when the layer is made", () => {
    const wrong = (options: object) => () => conv2d(1, 1, options);
    expect(wrong({ weightInit: "zeros" })).toThrow(
      failure(
        "RangeError",
        "conv2d: weightInit is string, must be a function such as xavierUniform() or zeros",
        "function",
      ),
    );
    expect(wrong({ init: 0 })).toThrow("conv2d: init is number, must be a function such as");
    expect(wrong({ biasInit: [0] })).toThrow("conv2d: biasInit is Array, must be a function");
    expect(wrong({ weightRegularizer: 0.01 })).toThrow(
      "conv2d: weightRegularizer is number, must be a function such as l2(0.01)",
    );
    expect(wrong({ biasConstraint: {} })).toThrow(
      "conv2d: biasConstraint is Object, must be a function such as maxNorm(2)",
    );
    expect(wrong({ outputRegularizer: null })).toThrow("conv2d: outputRegularizer is null");
    const separable: object = { depthwiseInit: "zeros" };
    expect(() => layers.separableConv2d(1, 1, separable)).toThrow(
      "separableConv2d: depthwiseInit is string, must be a function such as",
    );
  });

  test.each<[string, object, string]>([
    [
      "constant",
      layers.constant,
      "the initializer of weight returned Function, must return a Float32Array of 2 values; write constant(0.1), not constant",
    ],
    [
      "xavierUniform",
      layers.xavierUniform,
      "xavierUniform: xavierUniform is not an initializer, but returns one; write xavierUniform()",
    ],
    [
      "kaimingNormal",
      layers.kaimingNormal,
      "kaimingNormal: kaimingNormal is not an initializer, but returns one; write kaimingNormal()",
    ],
    [
      "too few values",
      () => new Float32Array(1),
      "the initializer of weight returned Float32Array, must return a Float32Array of 2 values",
    ],
  ])("%s is no init", (_, weightInit, message) => {
    const options: object = { weightInit };
    expect(() => layers.initialize(only(conv2d(1, 1, options), [2, 1, 1]))).toThrow(message);
  });

  test("every init may be that of any parameter", () => {
    const first = (init: layers.Init) =>
      plain(layers.initialize(only(conv2d(2, 1, { init }), [1, 1, 1])));
    expect(first(layers.zeros)).toEqual({ weight: [0, 0], bias: [0, 0] });
    expect(first(layers.values([1, 2]))).toEqual({ weight: [1, 2], bias: [1, 2] });
    const own: Layer = {
      type: "own",
      forward: (x, ctx) => (ctx.param("w", [3, 4], layers.xavierUniform()), x),
    };
    const [drawn] = [...layers.initialize(only(own, [1])).values()];
    expect(Math.max(...drawn.data.map(Math.abs))).toBeLessThanOrEqual(Math.sqrt(6 / 7));
    const flat: Layer = { ...own, forward: (x, ctx) => (ctx.param("w", [3], layers.pytorch), x) };
    expect(() => layers.initialize(only(flat, [1]))).toThrow(
      "fan: a weight of shape 3 has no fan, needs at least 2 axes",
    );
  });

  test("separate initializers of weight and bias", () => {
    const state = layers.initialize(
      only(
        conv2d(1, 1, {
          weightInit: layers.ones,
          init: layers.kaimingNormal(),
          biasInit: layers.constant(3),
        }),
        [2, 1, 1],
      ),
    );
    expect(plain(state)).toEqual({ weight: [1, 1], bias: [3] });
  });
});

describe("regularizers", () => {
  const weight = [0.5, -2, 0, 1];
  test.each<[string, Regularizer, number, readonly number[]]>([
    ["l1", layers.l1(), 0.01 * 3.5, [0.01, -0.01, 0, 0.01]],
    ["l2", layers.l2(0.1), 0.1 * 5.25, [0.1, -0.4, 0, 0.2]],
    ["l1l2", layers.l1l2({ l1: 1, l2: 0.5 }), 3.5 + 0.5 * 5.25, [1 + 0.5, -1 - 2, 0, 1 + 1]],
  ])("%s adds to the loss, and its gradient to the step", (_, regularizer, loss, slope) => {
    const got = step(carrying(weight, [2, 2], { regularizer }), [1, 1], [0]);
    expect(got.loss).toBeCloseTo(loss, 12);
    got.changed.weight.forEach((w, i) => expect(w).toBeCloseTo(weight[i] - slope[i], 12));
  });

  test("of what a layer gives out: the sum over the batch divided by it, while training only", () => {
    const layer = linear(1, {
      weightInit: values([2]),
      biasInit: layers.constant(-1),
      biasRegularizer: layers.l1(0.25),
      outputRegularizer: layers.l2(0.5),
    });
    const { loss } = step({ ...only(layer, [1]), loss: nothing }, [1, 3], [0, 0]);
    expect(loss).toBeCloseTo((0.5 * (1 + 25)) / 2 + 0.25, 12);
    expect(layers.traceModel(only(layer, [1])).losses).toEqual([]);
  });

  test("what a layer adds has one element", () => {
    const odd: Layer = { type: "odd", forward: (x, ctx) => (ctx.loss(x), x) };
    expect(() => layers.traceModel(only(odd, [3]))).toThrow(
      "loss: the value that a layer adds to the loss has shape 1×3, must have one element; reduce it with sum or mean",
    );
    expect(
      layers.traceModel(only({ ...odd, forward: (x, ctx) => (ctx.loss(sum(x)), x) }, [3]), {
        training: true,
      }).losses,
    ).toHaveLength(1);
  });
});

describe("constraints hold after each step", () => {
  // Rows of length 5, 0.5 and 0.
  const weight = [3, -4, 0.3, 0.4, 0, 0];
  const near = 1e-6;
  test.each<[string, Constraint, readonly number[]]>([
    ["maxNorm", layers.maxNorm(), [1.2, -1.6, 0.3, 0.4, 0, 0]],
    [
      "maxNorm over all axes",
      layers.maxNorm(1, { axes: [0, 1] }),
      weight.map((w) => w / Math.sqrt(25.25)),
    ],
    ["unitNorm", layers.unitNorm(), [0.6, -0.8, 0.6, 0.8, 0, 0]],
    ["minMaxNorm", layers.minMaxNorm({ min: 1, max: 2.5 }), [1.5, -2, 0.6, 0.8, 0, 0]],
    [
      "minMaxNorm half way",
      layers.minMaxNorm({ min: 1, max: 2.5, rate: 0.5 }),
      [2.25, -3, 0.45, 0.6, 0, 0],
    ],
    ["nonNeg", layers.nonNeg(), [3, 0, 0.3, 0.4, 0, 0]],
  ])("%s", (_, constraint, want) => {
    const { changed } = step(carrying(weight, [3, 2], { constraint }), [1, 1], [0]);
    changed.weight.forEach((w, i) =>
      expect(Math.abs(w - want[i]), `${w} for ${want[i]}`).toBeLessThan(near),
    );
  });

  test("a bias is constrained as a whole", () => {
    const layer = linear(2, {
      weightInit: layers.zeros,
      biasInit: values([3, 4]),
      biasConstraint: layers.unitNorm(),
    });
    const { changed } = step({ ...only(layer, [1]), loss: nothing }, [1], [0]);
    expect(changed.bias[0]).toBeCloseTo(0.6, 6);
    expect(changed.bias[1]).toBeCloseTo(0.8, 6);
  });

  test("numbers are checked", () => {
    expect(() => layers.maxNorm(-1)).toThrow("maxNorm: max -1 is not a finite number ≥ 0");
    expect(() => layers.minMaxNorm({ rate: 2 })).toThrow("minMaxNorm: rate 2 is not in [0, 1]");
    expect(() => layers.minMaxNorm({ min: NaN })).toThrow(
      "minMaxNorm: min NaN is not a finite number ≥ 0",
    );
  });
});

describe("what is frozen", () => {
  const backbone = sequential({
    conv: conv2d(2, 3, { bias: false, weightRegularizer: layers.l2(100) }),
    norm: layers.batchNorm2d(),
  });
  const model = (body: Layer): Model => ({
    ...only(sequential({ body, flat: layers.flatten(), head: linear(2) }), [1, 4, 4]),
    classes: 2,
  });
  const x = Array.from({ length: 32 }, (_, i) => Math.cos(i * i));

  test("stays as it is, takes no gradient, costs no penalty, and normalizes as when predicting", () => {
    const free = step(model(backbone), x, [0, 1]);
    const frozen = step(model(layers.freeze(backbone)), x, [0, 1]);
    expect(Object.keys(free.changed)).toEqual([
      "body.conv.weight",
      "body.norm.weight",
      "body.norm.bias",
      "body.norm.running_mean",
      "body.norm.running_var",
      "body.norm.num_batches_tracked",
      "head.weight",
      "head.bias",
    ]);
    expect(Object.keys(frozen.changed)).toEqual(["head.weight", "head.bias"]);
    expect(free.nodes).toContain("convGradWeight");
    expect(frozen.nodes).not.toContain("convGradWeight");
    expect(frozen.loss).toBeLessThan(5);
    expect(free.loss).toBeGreaterThan(5);
    const traced = layers.traceModel(model(layers.freeze(backbone)), { training: true });
    expect(traced.entries.map((e) => [e.name, e.kind, e.trainable]).slice(0, 4)).toEqual([
      ["body.conv.weight", "parameter", false],
      ["body.norm.weight", "parameter", false],
      ["body.norm.bias", "parameter", false],
      ["body.norm.running_mean", "buffer", false],
    ]);
  });

  test("one layer by its option, and dropout in it drops nothing", () => {
    const layer = sequential({
      a: linear(2, { trainable: false }),
      b: layers.freeze(layers.dropout(0.5)),
      c: linear(2),
    });
    const traced = layers.traceModel({ ...only(layer, [3]), classes: 2 }, { training: true });
    expect(traced.seeds).toEqual([]);
    expect(traced.entries.filter((e) => e.trainable).map((e) => e.name)).toEqual([
      "c.weight",
      "c.bias",
    ]);
    expect(sizeOf(traced.output.shape)).toBe(2);
    expect(graphOf([traced.x, ...traced.values], [traced.output]).nodes.length).toBeGreaterThan(0);
  });

  test("nothing in it updates a buffer", () => {
    const odd: Layer = {
      type: "odd",
      forward(v, ctx) {
        const inner = ctx.frozen();
        inner.update("b", inner.buffer("b", [1], layers.ones));
        return v;
      },
    };
    expect(() => layers.traceModel(only(odd, [1]), { training: true })).toThrow(
      'update: "b" is not a buffer that this layer created in training; call ctx.buffer first',
    );
  });
});
