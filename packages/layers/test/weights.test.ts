// Whatever is batched, accumulated or averaged over machines, the value is that of one large batch:
// losses with weights, metrics, reports.

import { crossEntropy, hinge, lossTerms, squaredError, sum } from "@conv/ops";
import { createHost, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import {
  arrayDataset,
  average,
  batchNorm1d,
  createTrainer,
  linear,
  sequential,
  sgd,
  topK,
} from "../src/index.ts";
import type { Dataset, Loss, Metric, Model, TrainerOptions } from "../src/index.ts";
import { weightsOf } from "./tiny.ts";

const classes = [0, 0, 0, 0, 1, 1, 2, 2];
const x = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * i + 1));
const data = arrayDataset({ x, y: classes, sample: [3] });
const weighted: Loss = (output, labels) => crossEntropy(output, labels, { weight: [1, 5, 20] });
const model = (layer: layers.Layer = linear(3)): Model => ({ name: "net", input: [3], layer });
const make = (options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend: createHost(),
    model: model(),
    optimizer: sgd({ lr: 0.5 }),
    loss: weighted,
    batch: 8,
    seed: 3,
    ...options,
  });
const near = (got: Record<string, number[]>, want: Record<string, number[]>) => {
  expect(Object.keys(got)).toEqual(Object.keys(want));
  for (const [name, list] of Object.entries(want))
    list.forEach((v, i) => expect(got[name][i], `${name} ${i}`).toBeCloseTo(v, 5));
};

const ignoring = arrayDataset({ x, y: [0, -1, 1, 2, -1, -1, -1, 0], sample: [3] });
const l1 = { outputRegularizer: layers.l1(0.3), weightRegularizer: layers.l2(0.1) };
const losses: [string, Partial<TrainerOptions>, Dataset][] = [
  ["class weights", {}, data],
  ["class weights and labels that are ignored", {}, ignoring],
  [
    "labels that are ignored",
    { loss: (y, t) => crossEntropy(y, t, { labelSmoothing: 0.2 }) },
    ignoring,
  ],
  ["hinge", { loss: hinge }, data],
  [
    "a sum and a weight of one's own",
    { loss: (y, t) => ({ sum: sum(y), weight: lossTerms(weighted(y, t) as Value)!.weight }) },
    data,
  ],
  ["regularizers of outputs and weights", { model: model(linear(3, l1)) }, data],
  ["limits of gradients", { clip: { norm: 0.4, value: 0.3 }, model: model(linear(3, l1)) }, data],
];

describe.each(losses)("with %s", (_, options, set) => {
  test.each([
    [4, 2],
    [3, 3],
    [1, 8],
    [5, 2],
  ])(
    "batches of %i, %i to an update, descend and report as one of all",
    async (batch, accumulate) => {
      const [whole, parts] = [make(options), make({ ...options, batch, accumulate })];
      const [want, got] = [
        await whole.fit(set, { epochs: 2 }),
        await parts.fit(set, { epochs: 2 }),
      ];
      near(await weightsOf(parts), await weightsOf(whole));
      expect(got!.loss).toBeCloseTo(want!.loss, 5);
      expect(got!.accuracy).toBeCloseTo(want!.accuracy, 12);
    },
  );

  test("evaluation does not know of batches", async () => {
    const metrics = { top1: topK(1), top2: topK(2) };
    const want = await make({ ...options, metrics }).evaluate(set);
    for (const batch of [5, 4, 3, 1]) {
      const got = await make({ ...options, metrics, batch }).evaluate(set);
      expect(got.loss).toBeCloseTo(want.loss, 5);
      expect(got.accuracy).toBeCloseTo(want.accuracy, 12);
      for (const name of ["top1", "top2"])
        expect(got.metrics[name]).toBeCloseTo(want.metrics[name], 12);
    }
    expect(want.metrics.top1).toBeCloseTo(want.accuracy, 12);
  });

  test("and in any order it is the same", async () => {
    const turned = layers.subset(set, [7, 2, 5, 0, 1, 6, 3, 4]);
    const [one, other] = [make({ ...options, batch: 3 }), make({ ...options, batch: 3 })];
    const [a, b] = [await one.evaluate(set), await other.evaluate(turned)];
    expect(b.loss).toBeCloseTo(a.loss, 5);
    expect(b.accuracy).toBeCloseTo(a.accuracy, 12);
  });
});

test("several machines descend as one, by the weights of their gradients", async () => {
  const [whole, machine] = [make(), make()];
  await whole.fit(data, { epochs: 1 });
  const parts = await Promise.all(
    [[0, 1, 2], [3], [4, 5, 6, 7]].map((at) => machine.gradients(data.batch(at))),
  );
  expect(parts.map((p) => p.weight)).toEqual([3, 1, 50]);
  await machine.apply(
    average(
      parts.map((p) => p.gradients),
      parts.map((p) => p.weight),
    ),
  );
  near(await weightsOf(machine), await weightsOf(whole));
});

test("a loss of one element that no loss of ops returned is the mean over the samples", async () => {
  const mine: Loss = (y, t) => layers.l2(0.5)(squaredErrorOf(y, t));
  const squaredErrorOf = (y: Value, _t: Value): Value => squaredError(y, y);
  expect((await make({ loss: mine, batch: 3 }).evaluate(data)).loss).toBe(0);
  const constant: Loss = (y) => ({ sum: sum(y), weight: y });
  await expect(make({ loss: constant }).evaluate(data)).rejects.toThrow(
    "train: the weight of the loss has shape 8×3, must have one element",
  );
  const nothing = (() => undefined) as unknown as Loss;
  await expect(make({ loss: nothing }).evaluate(data)).rejects.toThrow(
    "train: the loss function returned no value for the loss",
  );
});

test("a batch in which nothing counts moves nothing", async () => {
  const none = arrayDataset({ x, y: classes.map(() => -1), sample: [3] });
  const t = make({ batch: 4, accumulate: 2 });
  const before = await weightsOf(t);
  await t.fit(none, { epochs: 1 });
  expect(await weightsOf(t)).toEqual(before);
});

test("a metric of one's own may say what its mean is over", async () => {
  const share = (output: Float32Array, labels: ArrayLike<number>, _count: number) =>
    output.length / Array.from(labels).filter((l) => l > 0).length;
  const metric: Metric = Object.assign(share, {
    weight: (_: Float32Array, labels: ArrayLike<number>) =>
      Array.from(labels).filter((l) => l > 0).length,
  });
  for (const batch of [8, 3, 2])
    expect(
      (
        await make({ batch, metrics: { metric } }).evaluate(
          layers.subset(data, [4, 0, 5, 1, 6, 2, 7, 3]),
        )
      ).metrics.metric,
    ).toBe(6);
});

// From zeros every class has probability 1/3; the weights of the labels are 4·1, 2·5 and 2·20,
// together 54. The gradient of a bias is (54/3 − its own weight)/54: 7/27, 4/27, −11/27.
test.each([
  [8, 1],
  [4, 2],
  [3, 3],
  [2, 4],
  [1, 8],
])("batches of %i, %i to an update, move zeros by the weighted mean", async (batch, accumulate) => {
  const one = arrayDataset({ x: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), y: classes, sample: [1] });
  const t = make({
    model: { name: "net", input: [1], layer: linear(3, { init: layers.zeros }) },
    optimizer: sgd({ lr: 1 }),
    batch,
    accumulate,
  });
  const report = await t.fit(one, { epochs: 1 });
  expect(report!.loss).toBeCloseTo(Math.log(3), 6);
  const { weight, bias } = await weightsOf(t);
  // Σ w·x: 10 of class 0, 55 of class 1, 300 of class 2, together 365.
  near(
    { weight, bias },
    {
      weight: [-(365 / 3 - 10) / 54, -(365 / 3 - 55) / 54, -(365 / 3 - 300) / 54],
      bias: [-7 / 27, -4 / 27, 11 / 27],
    },
  );
});

test.each([8, 4, 3, 1])("evaluation by batches of %i is weighted by classes", async (batch) => {
  const state = new Map([
    ["weight", { shape: [3, 3], data: new Float32Array(9) }],
    ["bias", { shape: [3], data: Float32Array.of(0.5, 0, -0.5) }],
  ]);
  // log(√e + 1 + 1/√e) − (4·½ + 10·0 − 40·½)/54
  expect((await make({ batch, state }).evaluate(data)).loss).toBeCloseTo(1.5136034, 6);
});

test.each([
  [8, 1],
  [4, 2],
  [3, 3],
])(
  "patience and the best epoch do not depend on batches of %i, %i to an update",
  async (batch, accumulate) => {
    const t = make({ batch, accumulate, optimizer: sgd({ lr: (step) => (step < 3 ? 0.5 : 60) }) });
    const improved: boolean[] = [];
    for await (const report of t.fit(data, { epochs: 20, validation: data, patience: 2 }))
      improved.push(report.improved);
    expect(improved).toEqual([true, true, true, false, false]);
  },
);

/** Logits with an auxiliary head on the same input, and what the layers add to the loss. */
const headed: Model = model({
  type: "headed",
  forward(value, ctx) {
    const aux = ctx.child("aux", head, value);
    if (ctx.training) ctx.auxiliary(aux, 0.3);
    return ctx.child("main", main, value);
  },
});
const head = linear(3);
const main = linear(3, l1);

test.each([
  [4, 2],
  [3, 3],
  [1, 8],
])(
  "auxiliary heads in batches of %i, %i to an update, descend as one batch",
  async (batch, accumulate) => {
    // The heads share the labels, and so the weight of their batch.
    const [whole, parts] = [make({ model: headed }), make({ model: headed, batch, accumulate })];
    const [want, got] = [
      await whole.fit(data, { epochs: 2 }),
      await parts.fit(data, { epochs: 2 }),
    ];
    near(await weightsOf(parts), await weightsOf(whole));
    expect(got!.loss).toBeCloseTo(want!.loss, 5);
  },
);

describe("running statistics", () => {
  const net = model(sequential([linear(4), batchNorm1d(), linear(3)]));
  test("follow as in fit where gradients are applied by hand", async () => {
    const [fitted, by] = [make({ model: net }), make({ model: net })];
    await fitted.fit(data, { epochs: 20 });
    const order = data.batch([0, 1, 2, 3, 4, 5, 6, 7]);
    for (let i = 0; i < 20; i++) await by.apply((await by.gradients(order)).gradients);
    near(await weightsOf(by), await weightsOf(fitted));
    expect((await weightsOf(by))["1.num_batches_tracked"]).toEqual([20]);
  });

  test("stand still and are used where all parameters of their layer are frozen", async () => {
    const frozen = make({ model: net, rules: [{ match: "1", frozen: true }] });
    const before = await weightsOf(frozen);
    await frozen.fit(data, { epochs: 3 });
    const after = await weightsOf(frozen);
    for (const name of Object.keys(before))
      expect(name.startsWith("1."), name).toBe(String(after[name]) === String(before[name]));
    const { gradients } = await frozen.gradients(data.batch([0, 1]));
    expect([...gradients.keys()]).toEqual(["0.weight", "0.bias", "2.weight", "2.bias"]);
    const bias = make({ model: net, rules: [{ match: "1.bias", frozen: true }] });
    await bias.fit(data, { epochs: 1 });
    expect((await weightsOf(bias))["1.running_mean"]).not.toEqual(before["1.running_mean"]);
  });

  test("of a layer without parameters are frozen by a rule that matches them", async () => {
    const bare = model(
      sequential({
        body: sequential([linear(4), batchNorm1d({ affine: false })]),
        head: linear(3),
      }),
    );
    const t = make({ model: bare, rules: [{ match: "body", frozen: true }] });
    await t.fit(data, { epochs: 2 });
    expect((await weightsOf(t))["body.1.num_batches_tracked"]).toEqual([0]);
  });
});

describe("layers that need several samples", () => {
  const net = model(sequential([linear(4), batchNorm1d({ trackRunningStats: false }), linear(3)]));
  test("are initialized and trained, though one sample would not do", async () => {
    expect([...layers.initialize(net, 1).keys()]).toHaveLength(6);
    const t = make({ model: net });
    await t.fit(data, { epochs: 1 });
    expect((await t.evaluate(data)).loss).toBeGreaterThan(0);
  });

  test("a last batch of one sample is refused before the epoch", async () => {
    const t = make({ model: net, batch: 7 });
    const before = await weightsOf(t);
    await expect(t.fit(data, { epochs: 1 })).rejects.toThrow(
      "mean and variance of a batch need more than one value per channel",
    );
    expect(await weightsOf(t)).toEqual(before);
    const other = make({ model: net });
    await expect(
      other.fit(data, { epochs: 1, validation: layers.subset(data, [0]) }),
    ).rejects.toThrow("mean and variance of a batch need more than one");
    expect(other.position).toEqual({ epoch: 0, step: 0 });
  });
});
