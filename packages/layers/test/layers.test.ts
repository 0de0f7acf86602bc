import { createHost, graphOf, evaluate, hostArray, spec } from "@conv/tensor";
import { convGoldens, poolGoldens } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer, Model, State } from "../src/index.ts";
import { onHost, only } from "./tiny.ts";

async function predict(model: Model, state: State, x: readonly number[]): Promise<Float32Array> {
  let y: Float32Array = new Float32Array();
  await onHost(async (backend) => {
    using predictor = layers.createPredictor(backend, model, state, { batch: 2 });
    y = await predictor.predict(Float32Array.from(x));
  });
  return y;
}

function expectClose(got: ArrayLike<number>, want: readonly number[], tolerance = 1e-5): void {
  expect(got.length).toBe(want.length);
  want.forEach((v, i) =>
    expect(Math.abs(got[i] - v), `element ${i}: ${got[i]}, want ${v}`).toBeLessThanOrEqual(
      tolerance * (1 + Math.abs(v)),
    ),
  );
}

const { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d } = layers;
const makers = {
  conv: [conv1d, conv2d, conv3d],
  convTranspose: [convTranspose1d, convTranspose2d, convTranspose3d],
};

describe("convolution layers answer as PyTorch", () => {
  test.each(convGoldens)("$name", async ({ op, options, x, w, y }) => {
    const make = makers[op === "conv" ? "conv" : "convTranspose"][x.shape.length - 3];
    const outChannels = op === "conv" ? w.shape[0] : w.shape[1] * (options.groups ?? 1);
    const bias = Float32Array.from({ length: outChannels }, (_, c) => c - 1);
    const state: State = new Map([
      ["weight", { shape: w.shape, data: Float32Array.from(w.data) }],
      ["bias", { shape: [outChannels], data: bias }],
    ]);
    const got = await predict(
      only(make(outChannels, w.shape.slice(2), options), x.shape.slice(1)),
      state,
      x.data,
    );
    const plane = y.data.length / y.shape[0] / outChannels;
    expectClose(
      got,
      y.data.map((v, i) => v + bias[Math.floor(i / plane) % outChannels]),
    );
  });
});

describe("pooling layers answer as PyTorch", () => {
  const pools = {
    maxPool: [layers.maxPool1d, layers.maxPool2d, layers.maxPool3d],
    avgPool: [layers.avgPool1d, layers.avgPool2d, layers.avgPool3d],
  };
  test.each(poolGoldens)("$name", async ({ op, kernel, options, x, y }) => {
    const make = pools[op === "maxPool" ? "maxPool" : "avgPool"][x.shape.length - 3];
    expectClose(
      await predict(only(make(kernel, options), x.shape.slice(1)), new Map(), x.data),
      y.data,
    );
  });
});

test("activations, flatten and softmax are those of the ops", async () => {
  const x = [-2, -0.5, 0, 0.5, 1, 3];
  const apply = (layer: Layer) => predict(only(layer, [2, 3]), new Map(), x);
  const each = (fn: (v: number) => number) => x.map(fn);
  expectClose(
    await apply(layers.relu()),
    each((v) => Math.max(v, 0)),
  );
  expectClose(
    await apply(layers.leakyRelu(0.1)),
    each((v) => (v > 0 ? v : 0.1 * v)),
  );
  expectClose(
    await apply(layers.sigmoid()),
    each((v) => 1 / (1 + Math.exp(-v))),
  );
  expectClose(await apply(layers.tanh()), each(Math.tanh));
  expectClose(
    await apply(layers.scaledTanh()),
    each((v) => 1.7159 * Math.tanh((2 * v) / 3)),
  );
  expectClose(await apply(layers.flatten()), x);
  const total = (axis: number, i: number) =>
    x.reduce(
      (sum, v, k) => sum + ((axis === 1 ? k % 3 === i % 3 : k >= 3 === i >= 3) ? Math.exp(v) : 0),
      0,
    );
  expectClose(
    await apply(layers.softmax()),
    x.map((v, i) => Math.exp(v) / total(1, i)),
  );
  expectClose(
    await apply(layers.logSoftmax(2)),
    x.map((v, i) => v - Math.log(total(2, i))),
  );
});

test("linear multiplies by its weight (out, in) and adds its bias, also over leading axes", async () => {
  const state: State = new Map([
    ["weight", { shape: [2, 3], data: Float32Array.of(1, 2, 3, 0, -1, 0) }],
    ["bias", { shape: [2], data: Float32Array.of(10, 20) }],
  ]);
  expect([...(await predict(only(layers.linear(2), [3]), state, [1, 1, 1, 2, 0, 1]))]).toEqual([
    16, 19, 15, 20,
  ]);
  expect([...(await predict(only(layers.linear(2), [2, 3]), state, [1, 1, 1, 2, 0, 1]))]).toEqual([
    16, 19, 15, 20,
  ]);
});

test("dropout zeroes the share p, keeps the mean, and is a function of its seed", () => {
  const { graph, x } = layers.traceModel(only(layers.dropout(0.3), [10000]), { training: true });
  const run = (seed: readonly number[]) =>
    evaluate(graph, [
      hostArray(x.spec, new Float64Array(10000).fill(2)),
      hostArray(spec([2], "int32"), Float64Array.from(seed)),
    ])[0].data;
  const y = run([1, 2]);
  const dropped = y.filter((v) => v === 0).length / y.length;
  expect(dropped).toBeGreaterThan(0.28);
  expect(dropped).toBeLessThan(0.32);
  expectClose(
    [...new Set(y)].toSorted((a, b) => a - b),
    [0, 2 / 0.7],
  );
  expect(run([1, 2])).toEqual(y);
  expect(run([1, 3])).not.toEqual(y);
});

test("two dropouts of a step draw from different seeds, and p = 0 or predicting draws nothing", () => {
  const model = only(
    layers.sequential([layers.dropout(0.5), layers.dropout(0.5), layers.dropout(0)]),
    [4],
  );
  const { graph, seeds, x, output } = layers.traceModel(model, { training: true });
  expect(seeds).toHaveLength(2);
  expect(graphOf([x, ...seeds], [output]).nodes.filter((n) => n.op.name === "random")).toHaveLength(
    2,
  );
  expect(graph.outputs).toEqual([output]);
  expect(layers.traceModel(model).graph.nodes).toHaveLength(0);
});

test("a predictor takes any number of samples, other weights, and nothing that does not fit", async () => {
  const model = only(
    layers.sequential({ a: layers.linear(2, { init: layers.xavierNormal() }) }),
    [3],
  );
  const backend = createHost();
  const predictor = layers.createPredictor(backend, model, layers.initialize(model, 1), {
    batch: 4,
  });
  expect(predictor.output).toEqual([2]);
  const x = Float32Array.from({ length: 33 }, (_, i) => Math.sin(i));
  const whole = await predictor.predict(x);
  expect(whole).toHaveLength(22);
  for (const n of [0, 1, 2, 3, 5])
    expect(await predictor.predict(x.subarray(0, 3 * n))).toEqual(whole.subarray(0, 2 * n));
  const both = await Promise.all([
    predictor.predict(x.subarray(0, 3)),
    predictor.predict(x.subarray(3, 6)),
  ]);
  expect(both.map((y) => [...y])).toEqual([[...whole.subarray(0, 2)], [...whole.subarray(2, 4)]]);
  await expect(predictor.predict(x.subarray(0, 4))).rejects.toThrow(
    "only: 4 values are not a whole number of samples of shape 3, which have 3 values",
  );
  expect(() => predictor.setState(new Map())).toThrow(
    "only: these weights belong to another network (missing a.weight and 1 more)",
  );
  expect(await predictor.predict(x)).toEqual(whole);
  predictor.setState(layers.initialize(model, 2));
  expect(await predictor.predict(x)).not.toEqual(whole);
  predictor.dispose();
  expect(backend.memory()).toMatchObject({ buffers: 0, programs: 0 });
});

test("channels, samples or the whole batch drop together", () => {
  /** The share of runs of `size` elements that are dropped, of which none is dropped in part. */
  const dropped = (layer: Layer, shape: readonly number[], size: number, seed = 1) => {
    const { graph, x } = layers.traceModel(only(layer, shape.slice(1)), {
      training: true,
      batch: shape[0],
    });
    const count = shape.reduce((a, b) => a * b);
    const [y] = evaluate(graph, [
      hostArray(x.spec, new Float64Array(count).fill(1)),
      hostArray(spec([2], "int32"), Float64Array.of(seed, 1)),
    ]);
    const runs = Array.from({ length: count / size }, (_, i) => [
      ...new Set(y.data.subarray(i * size, (i + 1) * size)),
    ]);
    for (const run of runs) expect([[0], [1 / 0.75]]).toContainEqual(run);
    return runs.filter(([v]) => v === 0).length / runs.length;
  };
  const near = (share: number) => expect(Math.abs(share - 0.25)).toBeLessThan(0.1);
  near(dropped(layers.channelDropout(0.25), [20, 25, 3], 3));
  near(dropped(layers.stochasticDepth(0.25), [400, 2, 3], 6));
  const batches = Array.from({ length: 400 }, (_, seed) =>
    dropped(layers.stochasticDepth(0.25, "batch"), [2, 3], 6, seed),
  );
  near(batches.reduce((a, b) => a + b) / 400);
  expect(layers.traceModel(only(layers.stochasticDepth(0.25), [2])).graph.nodes).toEqual([]);
});

test("pooling refuses what it cannot pool, and takes channels last", async () => {
  const trace = (layer: Layer, shape: readonly number[]) => () =>
    layers.traceModel(only(layer, shape));
  expect(trace(layers.avgPool1d(2, { divisorOverride: 0 }), [1, 4])).toThrow(
    "avgPool: divisorOverride 0 is not a number ≠ 0",
  );
  expect(trace(layers.lpPool1d(0.5, 2), [1, 4])).toThrow(
    "lpPool: the exponent 0.5 is not a finite number ≥ 1",
  );
  expect(trace(layers.lpPool2d(2, 2), [1, 4])).toThrow(
    "lpPool2d: input has 3 axes, needs 4 (batch, channels and 2 spatial)",
  );
  expect(trace(layers.globalMaxPool(), [4])).toThrow(
    "globalMaxPool: input has 2 axes, needs batch, channels and at least one spatial axis",
  );
  expect(() => layers.adaptiveMaxPool1d(0)).toThrow(
    "adaptiveMaxPool1d: output 0 is not a whole number ≥ 1 (axis w)",
  );
  expect([
    ...(await predict(
      only(layers.maxPool1d(2, { layout: "channels-last" }), [4, 2]),
      new Map(),
      [1, 8, 2, 7, 3, 6, 4, 5],
    )),
  ]).toEqual([2, 8, 4, 6]);
  expect([...(await predict(only(layers.lpPool1d(3, 2), [1, 2]), new Map(), [0, 0]))]).toEqual([0]);
});
