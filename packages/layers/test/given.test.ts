// What users pass is checked before anything is written; the error names the remedy: data,
// states, positions, calls of fit.

import { sqrt } from "@conv/ops";
import { createHost } from "@conv/tensor";
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
  subset,
} from "../src/index.ts";
import type { Batch, Dataset, FitOptions } from "../src/index.ts";
import { good, make, model, untyped } from "./given.ts";
import { only, stripes, tinyModel, weightsOf } from "./tiny.ts";

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
      "linear: this part is Function, must be a layer; call the function that makes it: relu(), not relu",
    ],
    [
      () => layers.traceModel(only(layers.sequential(untyped({ a: undefined })), [2])),
      "a: this part is undefined, must be a layer",
    ],
    [
      given([1, 0, 0, 1, 1, 0]),
      "6 values are not 6 samples of shape 2, which have 12 values; give the class of each sample, not a one-hot row",
    ],
    [
      () => subset(good, [7]),
      "subset: index 7 is not the index of a sample: the data set has 6 samples, counted from 0",
    ],
    [
      () => subset(good, [0.5]),
      "subset: index 0.5 is not the index of a sample: the data set has 6 samples, counted from 0",
    ],
    [
      () => good.batch([6]),
      "arrayDataset: index 6 is not the index of a sample: the data set has 6 samples, counted from 0",
    ],
    [
      () => layers.confusion(2, [0, 2], [0, 0]),
      "confusion: label 2 at index 1 is not one of 2 classes, counted from 0",
    ],
    [
      () => layers.confusion(2, [0, 1], [0]),
      "confusion: there are 2 labels and 1 answers, must be equally many",
    ],
    [
      () => layers.topK(2)(new Float32Array(6), Int32Array.of(0), 2),
      "topK: there are 1 labels for 2 samples; topK needs one label for each sample",
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
      "has label 3, only has 3 classes, counted from 0",
    ],
    [
      "a negative label",
      batch(({ x, y }) => ({ x, y: y.map((v) => v - 1) })),
      "has label -1, only has 3 classes, counted from 0",
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
      "x of a batch has 6 values, 4 samples of shape 2 need 8",
    ],
    [
      "fewer labels",
      batch(({ x, y }) => ({ x, y: y.subarray(1) })),
      "y of a batch has 3 labels, 4 samples need 4",
    ],
    [
      "one-hot labels",
      batch(({ x }) => ({ x, y: new Int32Array(12) })),
      "y of a batch has 12 labels, 4 samples need 4; give the class of each sample, not a one-hot row",
    ],
    [
      "doubles",
      batch(({ x, y }) => ({ x: Float64Array.from(x), y })),
      "x of a batch is Float64Array, must be Float32Array",
    ],
    [
      "a promise",
      batch((b) => Promise.resolve(b)),
      "method batch of the data set returned a promise or not an object, must return { x, y } synchronously",
    ],
    [
      "a count that is NaN",
      { ...good, count: NaN },
      "count of the data set is NaN, must be a whole number ≥ 1",
    ],
    [
      "a count of 1.5",
      { ...good, count: 1.5 },
      "count of the data set is 1.5, must be a whole number ≥ 1",
    ],
    ["no samples", subset(good, []), "the data set is empty"],
    ["NaN", batch(({ x, y }) => ({ x: x.fill(NaN, 3, 4), y })), "contains NaN in x"],
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
      [off, "sample 3 has label 3, only has 3 classes, counted from 0"],
      [subset(off, [0, 3]), "sample 1 has label 3, only has 3 classes, counted from 0"],
      [late(good), "sample 0 has label 3, only has 3 classes, counted from 0"],
      [
        batch(({ x, y }) => ({ x: x.subarray(1), y })),
        "x of a batch has 7 values, 4 samples of shape 2 need 8",
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
    expect(error).toMatch(/sample \d contains NaN in x.*correct or remove the sample/);
    expect(error).not.toMatch(/learning rate/);
  });

  test("channels that come last", async () => {
    const last = arrayDataset({ x: new Float32Array(36), y: [0], sample: [6, 6, 1] });
    await expect(make({ model: tinyModel() }).fit(last, { epochs: 1 })).rejects.toThrow(
      "samples have shape 6×6×1, tiny takes 1×6×6; the model has channels first: transpose the samples",
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
    await expect(t.fit(off, { epochs: 1 })).rejects.toThrow(
      "has label 3, only has 3 classes, counted from 0",
    );
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
      "augmented: targets have shape 6×6, but only samples are augmented; write a Dataset whose method batch changes both",
    );
  });
});

test("states and samples of another kind", async () => {
  const state = layers.initialize(model, 1);
  const make = (given: unknown) => () =>
    layers.createPredictor(createHost(), model, untyped(given));
  expect(make(Object.fromEntries(state))).toThrow(
    "only: the state is Object, must be a Map from names to { shape, data }",
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
  const at: Record<string, unknown> = JSON.parse(metadata.position);
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
      `checkpoint: the position has a missing or invalid number: ${what}`,
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
      "train: patience is 2, but there is no validation loss to compare; set the option validation",
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
