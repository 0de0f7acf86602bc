// What users give is checked before anything is written, and the error names the remedy.

import { crossEntropy, sqrt } from "@conv/ops";
import { createHost, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import {
  adam,
  arrayDataset,
  augmented,
  createTrainer,
  decodeSafetensors,
  encodeSafetensors,
  flip,
  linear,
  sgd,
  subset,
} from "../src/index.ts";
import type { Batch, Dataset, FitOptions, TrainerOptions } from "../src/index.ts";
import { all, only, stripes, tinyModel, weightsOf } from "./tiny.ts";

const model = { ...only(linear(3), [2]), classes: 3 };
const good = arrayDataset({
  x: Float32Array.from({ length: 12 }, (_, i) => Math.sin(i * i)),
  y: [0, 1, 2, 0, 1, 2],
  sample: [2],
});
const make = (options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend: createHost(),
    model,
    optimizer: sgd({ lr: 0.1 }),
    batch: 4,
    ...options,
  });
/** As plain JavaScript has it. */
const untyped = <T>(value: unknown): T => value as T;

describe("samples and labels", () => {
  const given = (y: unknown, target?: layers.Target) => () =>
    arrayDataset({ x: new Float32Array(6), y: untyped<number[]>(y), sample: [2], target });
  const holes = [0, 1, 2];
  delete holes[1];
  test.each([
    [given([0, "cat", 1]), "y[1] is cat, must be a whole number"],
    [given([0, NaN, 1]), "y[1] is NaN, must be a whole number"],
    [given([0, 0.9, 1]), "y[1] is 0.9, must be a whole number"],
    [given([0, -0.5, 1]), "y[1] is -0.5, must be a whole number"],
    [given([0, 2 ** 32, 1]), "y[1] is 4294967296, must be a whole number"],
    [given(holes), "y[1] is undefined, must be a whole number"],
    [
      given([0, 1, 2], { shape: [2], dtype: "int32" }),
      "y has 3 values, not a whole number of targets of shape 2",
    ],
    [given([0, NaN, 1], { shape: [], dtype: "float32" }), "y[1] is NaN, must be a finite number"],
    [
      () => arrayDataset(untyped({ x: new Float32Array(2), y: [0] })),
      "arrayDataset: sample is undefined, must be a list",
    ],
    [() => arrayDataset(untyped({})), "arrayDataset: x is undefined, must be a list"],
    [
      () => layers.traceModel(only(layers.sequential(untyped([linear])), [2])),
      "linear: this part is Function, must be a layer: relu(), not relu",
    ],
    [
      () => layers.traceModel(only(layers.sequential(untyped({ a: undefined })), [2])),
      "a: this part is undefined, must be a layer",
    ],
    [
      given([1, 0, 0, 1, 1, 0]),
      "6 values are not 6 samples of shape 2, which hold 12; give the class of each sample, not a one-hot row",
    ],
    [() => subset(good, [7]), "subset: index 7 is not one of 6 samples"],
    [() => subset(good, [0.5]), "subset: index 0.5 is not one of 6 samples"],
    [() => good.batch([6]), "arrayDataset: index 6 is not one of 6 samples"],
    [() => layers.confusion(2, [0, 2], [0, 0]), "confusion: label 2 at 1 is not one of 2 classes"],
    [() => layers.confusion(2, [0, 1], [0]), "confusion: 2 labels for 1 answers"],
    [
      () => layers.topK(2)(new Float32Array(6), Int32Array.of(0), 2),
      "topK: 1 labels for 2 samples",
    ],
  ])("%#: %s", (run, message) => expect(run).toThrow(message));

  const batch = (change: (batch: Batch) => unknown, rest: Partial<Dataset> = {}): Dataset => ({
    ...good,
    ...rest,
    batch: (indices) => untyped<Batch>(change(good.batch(indices))),
  });
  const target = { shape: [], dtype: "float32" } as const;
  const bad: [string, Dataset, string][] = [
    [
      "labels out of range",
      batch(({ x, y }) => ({ x, y: y.map((v) => v + 1) })),
      "has label 3, only has 3 classes",
    ],
    [
      "a negative label",
      batch(({ x, y }) => ({ x, y: y.map((v) => v - 1) })),
      "has label -1, only has 3 classes",
    ],
    [
      "floats for classes",
      batch(({ x, y }) => ({ x, y: Float32Array.from(y) })),
      "y of a batch is Float32Array, must be Int32Array",
    ],
    [
      "bytes for classes",
      batch(({ x, y }) => ({ x, y: Uint8Array.from(y) })),
      "y of a batch is Uint8Array, must be Int32Array",
    ],
    [
      "whole numbers for a float target",
      batch((b) => b, { target }),
      "y of a batch is Int32Array, must be Float32Array",
    ],
    [
      "fewer samples",
      batch(({ x, y }) => ({ x: x.subarray(2), y })),
      "x of a batch has 6 values, 4 samples of shape 2 have 8",
    ],
    [
      "fewer labels",
      batch(({ x, y }) => ({ x, y: y.subarray(1) })),
      "y of a batch has 3 labels, 4 samples have 4",
    ],
    [
      "one-hot labels",
      batch(({ x }) => ({ x, y: new Int32Array(12) })),
      "y of a batch has 12 labels, 4 samples have 4; give the class of each sample, not a one-hot row",
    ],
    [
      "doubles",
      batch(({ x, y }) => ({ x: Float64Array.from(x), y })),
      "x of a batch is Float64Array, must be Float32Array",
    ],
    [
      "a promise",
      batch((b) => Promise.resolve(b)),
      "batch returned a promise or not an object, must return { x, y } at once",
    ],
    [
      "a count that is NaN",
      { ...good, count: NaN },
      "the data set has count NaN, must be a whole number",
    ],
    [
      "a count of 1.5",
      { ...good, count: 1.5 },
      "the data set has count 1.5, must be a whole number",
    ],
    ["no samples", subset(good, []), "the data set is empty"],
    ["NaN", batch(({ x, y }) => ({ x: x.fill(NaN, 3, 4), y })), "holds NaN in x"],
  ];
  test.each(bad)(
    "%s: refused by fit, evaluate and gradients, and nothing changes",
    async (name, data, message) => {
      const t = make({ loss: data.target ? (y) => layers.l2()(y) : undefined });
      const before = await weightsOf(t);
      await expect(t.fit(data, { epochs: 1 })).rejects.toThrow(message);
      await expect(t.evaluate(data)).rejects.toThrow(message);
      if (name === "labels out of range")
        await expect(t.gradients(data.batch([0, 1, 2, 3]))).rejects.toThrow(message);
      expect(await weightsOf(make())).toEqual(before);
    },
  );

  test("validation data are checked before the first epoch is trained", async () => {
    const off = arrayDataset({ x: new Float32Array(8), y: [0, 1, 2, 3], sample: [2] });
    const late = (data: Dataset): Dataset => ({
      ...data,
      batch: (indices) => ({ ...data.batch(indices), y: Int32Array.from(indices, () => 3) }),
    });
    const sets: [Dataset, string][] = [
      [off, "sample 3 has label 3, only has 3 classes"],
      [subset(off, [0, 3]), "sample 1 has label 3, only has 3 classes"],
      [late(good), "sample 0 has label 3, only has 3 classes"],
      [
        batch(({ x, y }) => ({ x: x.subarray(1), y })),
        "x of a batch has 7 values, 4 samples of shape 2 have 8",
      ],
      [
        arrayDataset({ x: new Float32Array(9), y: [0, 1, 2], sample: [3] }),
        "samples have shape 3, only takes 2",
      ],
    ];
    for (const [validation, message] of sets) {
      const t = make();
      const before = await t.checkpoint();
      await expect(t.fit(good, { epochs: 1, validation })).rejects.toThrow(message);
      expect(await t.checkpoint()).toEqual(before);
    }
    // Labels in memory are read to the end before anything is trained; whoever changes labels in
    // `batch` has them checked as they come.
    await expect(make().fit(off, { epochs: 1 })).rejects.toThrow("sample 3 has label 3");
    const shifted: Dataset = {
      ...off,
      batch: (indices) => ({ ...off.batch(indices), y: Int32Array.from(indices, () => 1) }),
    };
    expect(await make().fit(shifted, { epochs: 1, validation: shifted })).toMatchObject({
      epoch: 1,
    });
  });

  test("an error about data does not blame the learning rate", async () => {
    const error = await make()
      .fit(bad.at(-1)![1], { epochs: 1 })
      .then(() => "", String);
    expect(error).toMatch(/sample \d holds NaN in x.*correct it or leave it out/);
    expect(error).not.toMatch(/learning rate/);
  });

  test("channels that come last", async () => {
    const last = arrayDataset({ x: new Float32Array(36), y: [0], sample: [6, 6, 1] });
    await expect(make({ model: tinyModel() }).fit(last, { epochs: 1 })).rejects.toThrow(
      "samples have shape 6×6×1, tiny takes 1×6×6; channels come first",
    );
  });

  test("cross-entropy has as many classes as there are scores, where the model names none", async () => {
    const t = make({ model: only(linear(3), [2]) });
    const off = {
      ...good,
      batch: (indices: Uint32Array | readonly number[]) => ({
        ...good.batch(indices),
        y: Int32Array.from(indices, () => 3),
      }),
    };
    await expect(t.fit(off, { epochs: 1 })).rejects.toThrow("has label 3, only has 3 classes");
  });

  test("augmentations", async () => {
    const images = stripes(4);
    const odd = (result: unknown) =>
      augmented(images, () => untyped<Float32Array>(result)).batch([0], "key");
    expect(() => odd(new Float32Array(35))).toThrow(
      "augmented: the augmentation returned 35 values, must return a Float32Array of 36",
    );
    expect(() => odd(Promise.resolve())).toThrow(
      "augmented: the augmentation returned object, must return a Float32Array of 36",
    );
    const masks = { ...images, target: { shape: [6, 6], dtype: "int32" } as const };
    expect(() => augmented(masks, flip())).toThrow(
      "augmented: targets have shape 6×6 and would not move with the image; write a Dataset whose batch changes both",
    );
  });
});

describe("options", () => {
  test.each([
    [() => make({ clip: { norm: -1 } }), "train: clip.norm -1 is not a finite number > 0"],
    [() => make({ clip: { value: -1 } }), "train: clip.value -1 is not a finite number > 0"],
    [() => make({ clip: { norm: NaN } }), "train: clip.norm NaN is not a finite number > 0"],
    [() => make({ accumulate: 1.5 }), "train: accumulate 1.5 is not a whole number ≥ 1"],
    [() => make({ average: NaN }), "train: average NaN is not in [0, 1)"],
    [() => make({ seed: NaN }), "train: seed NaN is not a whole number"],
    [
      () => make(untyped({ epochs: 3 })),
      'train: there is no option "epochs"; there are backend, model, optimizer',
    ],
    [
      () => make({ rules: [untyped({ match: "weight", lr: 3 })] }),
      'rules: there is no option "lr"; there are match, rate, weightDecay, frozen',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ strides: 2 })),
      'conv2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.maxPool2d(2, untyped({ strides: 2 })),
      'maxPool2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ kernelInitialiser: layers.zeros })),
      'conv2d: there is no option "kernelInitialiser"; did you mean weightInit?',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ outputPadding: 1 })),
      'conv2d: there is no option "outputPadding"',
    ],
    [
      () => layers.convTranspose2d(4, 3, untyped({ paddingMode: "zeros" })),
      'convTranspose2d: there is no option "paddingMode"',
    ],
    [
      () => layers.linear(10, untyped({ dilation: 2 })),
      'linear: there is no option "dilation"; there are inFeatures, bias',
    ],
    [
      () => layers.linear(10, untyped({ layout: "channels-last" })),
      'linear: there is no option "layout"',
    ],
    [
      () => layers.batchNorm2d(untyped({ epsilon: 1 })),
      'batchNorm2d: there is no option "epsilon"; did you mean eps?',
    ],
    [
      () => layers.layerNorm(3, untyped({ momentum: 1 })),
      'layerNorm: there is no option "momentum"',
    ],
    [
      () => layers.groupNorm(1, untyped({ track_running_stats: true })),
      'groupNorm: there is no option "track_running_stats"',
    ],
    [
      () => layers.batchNorm1d(untyped({ track_running_stat: true })),
      'batchNorm1d: there is no option "track_running_stat"; did you mean trackRunningStats?',
    ],
    [
      () => layers.avgPool2d(2, untyped({ ceil_mode: true })),
      'avgPool2d: there is no option "ceil_mode"; did you mean ceilMode?',
    ],
    [
      () => layers.maxPool2d(2, untyped({ countIncludePad: true })),
      'maxPool2d: there is no option "countIncludePad"',
    ],
    [
      () => layers.globalAvgPool(untyped({ keepdim: true })),
      'globalAvgPool: there is no option "keepdim"; did you mean keepDims?',
    ],
    [
      () => layers.globalAvgPool(untyped(2)),
      "globalAvgPool: options are 2, must be an object: { layout: … }",
    ],
    [
      () => layers.upsample(untyped({ size: 2, modes: "linear" })),
      'upsample: there is no option "modes"; did you mean mode?',
    ],
    [
      () => layers.depthwiseConv2d(3, untyped({ groups: 2 })),
      'depthwiseConv2d: there is no option "groups"',
    ],
    [
      () => layers.separableConv2d(4, 3, untyped({ strides: 2 })),
      'separableConv2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.pointwiseConv2d(4, untyped({ padding: 2 })),
      'pointwiseConv2d: there is no option "padding"',
    ],
    [
      () => layers.prelu(untyped({ init: 0.1, channels: true })),
      'prelu: there is no option "channels"',
    ],
    [
      () => layers.localResponseNorm(5, untyped({ gamma: 1 })),
      'localResponseNorm: there is no option "gamma"',
    ],
    [
      () => layers.kaimingNormal(untyped({ modes: "out" })),
      'kaimingNormal: there is no option "modes"; did you mean mode?',
    ],
    [
      () => layers.maxNorm(2, untyped({ axis: 0 })),
      'maxNorm: there is no option "axis"; did you mean axes?',
    ],
    [
      () => layers.cosine(untyped({ lr: 1, step: 3 })),
      'cosine: there is no option "step"; did you mean steps?',
    ],
    [
      () => layers.shift(untyped({ by: 1, filled: 3 })),
      'shift: there is no option "filled"; did you mean fill?',
    ],
    [() => layers.flip(untyped({ axis: 1 })), 'flip: axis 1 is neither "width" nor "height"'],
    [
      () => layers.rotate(untyped({ degree: 3 })),
      'rotate: there is no option "degree"; did you mean degrees?',
    ],
    [
      () => layers.createPredictor(createHost(), model, new Map(), untyped({ batchSize: 3 })),
      'predict: there is no option "batchSize"; did you mean batch?',
    ],
    [
      () => make(untyped({ optimiser: 3 })),
      'train: there is no option "optimiser"; did you mean optimizer?',
    ],
    [
      () => make({ optimizer: untyped(undefined) }),
      "train: optimizer is undefined, must be an object",
    ],
    [() => make({ model: untyped("lenet5") }), "train: model is string, must be an object"],
    [
      () => make({ backend: untyped(Promise.resolve()) }),
      "train: backend is Promise, must be an object: await it",
    ],
    [() => make({ clip: { norm: untyped("1") } }), "train: clip.norm 1 is not a finite number > 0"],
    [() => make({ average: untyped("0.5") }), "train: average 0.5 is not in [0, 1)"],
    [() => layers.conv2d(-3, 3), "conv2d: outChannels -3 is not a whole number ≥ 1"],
    [
      () => layers.convTranspose1d(1.5, 3),
      "convTranspose1d: outChannels 1.5 is not a whole number ≥ 1",
    ],
    [() => layers.deformConv2d(0, 3), "deformConv2d: outChannels 0 is not a whole number ≥ 1"],
    [() => linear(NaN), "linear: outFeatures NaN is not a whole number ≥ 1"],
    [() => linear(untyped("10")), "linear: outFeatures 10 is not a whole number ≥ 1"],
    [
      () => createTrainer(untyped({ accumulates: 3 })),
      'train: there is no option "accumulates"; did you mean accumulate?',
    ],
    [
      () => layers.conv2d(4, 3, untyped(2)),
      "conv2d: options are 2, must be an object: { stride: … }",
    ],
    [() => adam(untyped(0.01)), "adam: options are 0.01, must be an object: { lr: … }"],
    [() => sgd(untyped(0.01)), "sgd: options are 0.01, must be an object: { lr: … }"],
    [
      () => adam(untyped({ learningRate: 1 })),
      'adam: there is no option "learningRate"; there are lr, betas, eps, weightDecay',
    ],
    [
      () => arrayDataset(untyped({ x: [], y: [], sample: [1], labels: [] })),
      'arrayDataset: there is no option "labels"',
    ],
    [
      () =>
        crossEntropy(untyped<Value>(null), untyped<Value>(null), untyped({ label_smoothing: 1 })),
      'crossEntropy: there is no option "label_smoothing"',
    ],
  ])("%#", (run, message) => {
    expect(run).toThrow(RangeError);
    expect(run).toThrow(message);
  });

  test("numbers that are text", () => {
    expect(() => sgd({ lr: untyped("0.1") })).toThrow(
      "sgd: learning rate 0.1 is not a finite number ≥ 0",
    );
    expect(() => sgd({ lr: 1, momentum: untyped("0.1") })).toThrow(
      "sgd: momentum 0.1 is not in [0, 1)",
    );
    expect(() => layers.dropout(untyped("0.1"))).toThrow(
      "dropout: probability 0.1 is not in [0, 1)",
    );
  });

  const fits: [Partial<FitOptions>, string][] = [
    ...[NaN, 0, -1, 1.5].map((epochs): [Partial<FitOptions>, string] => [
      { epochs },
      `train: epochs ${epochs} is not a whole number ≥ 1`,
    ]),
    [{ patience: 0, validation: good }, "train: patience 0 is not a whole number ≥ 1"],
    [untyped({ epoch: 1 }), 'fit: there is no option "epoch"; did you mean epochs?'],
  ];
  test.each(fits)("of fit: %o", async (options, message) => {
    const t = make();
    const error: unknown = await t.fit(good, { epochs: 1, ...options }).then(
      () => null,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).toContain(message);
    expect(t.position).toEqual({ epoch: 0, step: 0 });
  });

  test("fit trains where it is awaited, once, and says so where there is nothing to do", async () => {
    const t = make();
    const run = t.fit(good, { epochs: 2 });
    expect(await run).toMatchObject({ epoch: 2 });
    expect(await run).toMatchObject({ epoch: 2 });
    expect(t.position).toEqual({ epoch: 2, step: 0 });
    await expect(t.fit(good, { epochs: 2 })).rejects.toThrow(
      "train: there is nothing to do: 2 epochs are done, and epochs (2) counts from the beginning; epochs: 4 trains 2 more",
    );
    expect(await t.fit(good, { epochs: 2, resume: await t.checkpoint() })).toBeUndefined();
    expect(await all(t.fit(good, { epochs: 3 }))).toHaveLength(1);
  });
});

test("states and samples of another kind", async () => {
  const state = layers.initialize(model, 1);
  const make = (given: unknown) => () =>
    layers.createPredictor(createHost(), model, untyped(given));
  expect(make(Object.fromEntries(state))).toThrow(
    "only: the state is Object, must be a Map of names to { shape, data }",
  );
  expect(make(undefined)).toThrow("only: the state is undefined, must be a Map");
  const doubles = new Map(
    [...state].map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
  );
  expect(make(doubles)).toThrow(
    "weight has data of kind Float64Array in the state, must be Float32Array",
  );
  expect(make(new Map([...state].map(([name, { data }]) => [name, data])))).toThrow(
    "weight has data of kind undefined",
  );
  const predictor = make(state)();
  for (const kind of [Float64Array, Uint8Array])
    await expect(predictor.predict(untyped(new kind(2)))).rejects.toThrow(
      `only: samples are ${kind.name}, must be Float32Array`,
    );
});

test("positions that cannot be are refused", async () => {
  const t = make();
  await t.fit(good, { epochs: 1 });
  const { state, metadata } = decodeSafetensors(await t.checkpoint());
  const at: Record<string, unknown> = JSON.parse(metadata.position!);
  const changes: [string, Record<string, unknown>][] = [
    ["step", { step: 3 }],
    ["right", { step: 1, steps: 3, seen: 4, labels: 4, right: 1e15 }],
    ["seen", { step: 1, steps: 3, seen: 5 }],
    ["updates", { updates: 1e9 }],
    ["stale", { stale: 9 }],
    ["batch", { batch: 0 }],
    ["weight", { weight: -1 }],
    ["loss", { loss: 3 }],
  ];
  for (const [what, change] of changes) {
    const bytes = encodeSafetensors(state, {
      ...metadata,
      position: JSON.stringify({ ...at, ...change }),
    });
    expect(() => make().restore(bytes)).toThrow(
      `checkpoint: the position has a missing or impossible number: ${what}`,
    );
  }
});

describe("a fit that is refused", () => {
  const data = stripes(12);
  const trainer = (seed: number) =>
    createTrainer({ backend: createHost(), model: tinyModel(), optimizer: adam(), batch: 4, seed });
  const refused: [string, Dataset, object, string][] = [
    ["for its data", good, {}, "samples have shape 2"],
    [
      "for patience without validation",
      data,
      { patience: 2 },
      "train: patience 2 needs validation data",
    ],
    [
      "for a signal that is none",
      data,
      { signal: new AbortController() },
      "fit: signal is AbortController, must be an AbortSignal",
    ],
    [
      "for an onStep that is no function",
      data,
      { onStep: 3 },
      "fit: onStep is number, must be a function",
    ],
  ];
  test.each(refused)("%s takes no checkpoint either", async (_, set, options, message) => {
    const first = trainer(1);
    await first.fit(data, { epochs: 1 });
    const resume = await first.checkpoint();
    const second = trainer(2);
    const before = await weightsOf(second);
    await expect(
      second.fit(set, untyped<FitOptions>({ epochs: 3, resume, ...options })),
    ).rejects.toThrow(message);
    expect(await weightsOf(second)).toEqual(before);
    expect(second.position).toEqual({ epoch: 0, step: 0 });
  });

  test("a metric that is no function is refused when the trainer is made", () =>
    expect(() => make({ metrics: untyped({ mine: 3 }) })).toThrow(
      "train: the metric mine is number, must be a function",
    ));
});

test.each([
  ["start", { start: 0 }],
  ["end", { end: 0 }],
  ["lr", { lr: NaN }],
])("oneCycle refuses a rate that is no number: %s", (name, change) =>
  expect(() => layers.oneCycle({ lr: 1, steps: 10, ...change })).toThrow(`oneCycle: ${name}`),
);

test.each([NaN, -1, 2.5])("confusion refuses %d classes", (classes) =>
  expect(() => layers.confusion(classes, [], [])).toThrow(
    `confusion: classes ${classes} is not a whole number ≥ 1`,
  ),
);

test("a sample of negative sizes is refused", () =>
  expect(() => arrayDataset({ x: new Float32Array(1), y: [0], sample: [-1, -1] })).toThrow(
    "size -1 is not a whole number ≥ 0",
  ));

test("an answer that is NaN is not a right one", async () => {
  const roots = layers.sequential({
    roots: { type: "sqrt", forward: sqrt },
    out: linear(2, { bias: false }),
  });
  const root = { ...only(roots, [2]), classes: 2 };
  const state = layers.initialize(root);
  for (const { data } of state.values()) data.set([1, 0, 0, 1]);
  using t = make({ model: root, state, metrics: { top: layers.topK(1) } });
  const { accuracy, metrics, predicted } = await t.evaluate(
    arrayDataset({ x: Float32Array.of(4, 1, -1, 1, 1, 4), y: [0, 0, 1], sample: [2] }),
  );
  expect([accuracy, metrics.top]).toEqual([2 / 3, 2 / 3]);
  expect([...predicted]).toEqual([0, 1, 1]);
});
