// What a trainer can be told besides model and optimizer: each option against plain arithmetic on
// what it does without, and all of them together, stopped and resumed.

import { add, binaryCrossEntropyWithLogits, dice, sigmoid } from "@conv/ops";
import { createHost, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  adam,
  adamW,
  arrayDataset,
  augmentAll,
  augmented,
  average,
  averagedState,
  batchNorm2d,
  confusion,
  conv2d,
  createTrainer,
  crop,
  decodeSafetensors,
  encodeSafetensors,
  flip,
  keepCheckpoints,
  meanAbsoluteError,
  oneCycle,
  sequential,
  sgd,
  topK,
  warmUp,
  type EpochReport,
  type Model,
  type State,
  type TrainerOptions,
} from "../src/index.ts";
import { all, onHost, plain, stripes, tinyModel, weightsOf } from "./tiny.ts";

const data = stripes(20);
const make = (options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend: createHost(),
    model: tinyModel(),
    optimizer: sgd({ lr: 0.1 }),
    batch: 20,
    seed: 1,
    ...options,
  });
/** Weights after one step on all of the data. */
const stepped = async (options: Partial<TrainerOptions> = {}) => {
  const t = make(options);
  await all(t.fit(data, { epochs: 1 }));
  return weightsOf(t);
};
const near = (got: Record<string, number[]>, want: Record<string, number[]>, digits = 5) => {
  expect(Object.keys(got)).toEqual(Object.keys(want));
  for (const [name, values] of Object.entries(want))
    values.forEach((v, i) => expect(got[name][i], `${name} ${i}`).toBeCloseTo(v, digits));
};
const batchOf = (from = 0, count = 20) =>
  data.batch(Array.from({ length: count }, (_, i) => from + i));
/** before − factor·gradient, name by name. */
const moved = (before: State, gradients: State, factor: (name: string) => number) =>
  Object.fromEntries(
    [...before].map(([name, { data: p }]) => [
      name,
      [...p].map((v, i) => v - factor(name) * (gradients.get(name)?.data[i] ?? 0)),
    ]),
  );

describe("rules", () => {
  test("scale the learning rate, decay or freeze what they match; the last holds", async () => {
    const t = make();
    const [before, { gradients }] = [await t.state(), await t.gradients(batchOf())];
    const got = await stepped({
      rules: [
        { match: "c1", rate: 0.5 },
        { match: /bias$/, frozen: true },
        { match: "out.bias", frozen: false, rate: 3 },
      ],
    });
    near(
      got,
      moved(
        before,
        gradients,
        (name) => ({ "c1.weight": 0.05, "c1.bias": 0, "out.bias": 0.3 })[name] ?? 0.1,
      ),
    );
  });

  test("give a weight decay of its own", async () => {
    const free = await stepped({ optimizer: adamW({ lr: 0.1, weightDecay: 0 }) });
    const got = await stepped({
      optimizer: adamW({ lr: 0.1, weightDecay: 0.5 }),
      rules: [{ match: /bias$/, weightDecay: 0 }],
    });
    const before = plain(await make().state());
    near(
      got,
      Object.fromEntries(
        Object.entries(free).map(([name, v]) => [
          name,
          v.map((x, i) => x - (name.endsWith("bias") ? 0 : 0.05 * before[name][i])),
        ]),
      ),
    );
  });

  test("freezing keeps no state", async () => {
    const t = make({ optimizer: adam(), rules: [{ match: "c1", frozen: true }] });
    await all(t.fit(data, { epochs: 1 }));
    const names = [...decodeSafetensors(await t.checkpoint()).state.keys()];
    expect(
      names.filter((name) => name.startsWith("optimizer/")).map((name) => name.split("/")[2]),
    ).toEqual(["out.weight", "out.weight", "out.bias", "out.bias"]);
    expect((await weightsOf(t))["c1.weight"]).toEqual(plain(await make().state())["c1.weight"]);
  });

  test.each([
    [{ match: "c2" }, "train: the rule for c2 matches no trainable parameter of tiny"],
    [
      { match: /x/g, frozen: true },
      "train: the rule for /x/g matches no trainable parameter of tiny",
    ],
    [{ match: "c1", rate: -1 }, "train: the rule for c1: rate -1 is not a finite number ≥ 0"],
    [
      { match: "c1", weightDecay: NaN },
      "train: the rule for c1: weight decay NaN is not a finite number ≥ 0",
    ],
    [
      { match: /./, frozen: true },
      "train: the rules freeze all parameters of tiny; leave one trainable",
    ],
  ])("%o is refused", (rule, message) => expect(() => make({ rules: [rule] })).toThrow(message));
});

describe("clipping", () => {
  test("by value, and by the length of all gradients together", async () => {
    const t = make();
    const [before, { gradients }] = [await t.state(), await t.gradients(batchOf())];
    const clamped = new Map(
      [...gradients].map(([name, g]) => [
        name,
        { ...g, data: g.data.map((v) => Math.min(0.02, Math.max(-0.02, v))) },
      ]),
    );
    near(
      await stepped({ clip: { value: 0.02 } }),
      moved(before, clamped, () => 0.1),
    );
    const length = Math.sqrt(
      [...gradients.values()].reduce((s, g) => s + g.data.reduce((a, v) => a + v * v, 0), 0),
    );
    near(
      await stepped({ clip: { norm: length / 4 } }),
      moved(before, gradients, () => 0.025),
    );
    near(
      await stepped({ clip: { norm: 4 * length } }),
      moved(before, gradients, () => 0.1),
    );
  });
});

describe("gathering the gradients of several batches", () => {
  test("updates as one large batch would, also where the last are fewer or smaller", async () => {
    const epochs = 2;
    const large = make({ batch: 12, optimizer: sgd({ lr: 0.1, momentum: 0.9 }) }); // 12 and 8
    await all(large.fit(data, { epochs }));
    // 4 · 3, and 3, 3, 2
    const small = make({ batch: 3, accumulate: 4, optimizer: sgd({ lr: 0.1, momentum: 0.9 }) });
    await all(small.fit(data, { epochs }));
    near(await weightsOf(small), await weightsOf(large));
  });

  test("counts updates for the learning rate", async () => {
    const rates: number[] = [];
    const t = make({ batch: 4, accumulate: 2, optimizer: sgd({ lr: (step) => 0.1 / (1 + step) }) });
    await all(
      t.fit(data, { epochs: 1, onStep: ({ learningRate }) => void rates.push(learningRate) }),
    );
    expect(rates).toEqual([0.1, 0.1, 0.05, 0.05, 0.1 / 3]);
  });

  test("needs a whole number", () => {
    expect(() => make({ accumulate: 0 })).toThrow("train: accumulate 0 is not a whole number ≥ 1");
  });
});

describe("the moving average of the weights", () => {
  test("starts from the first weights, follows ever more slowly, and is what is evaluated", async () => {
    const t = make({ average: 0.15 });
    let want = plain(await t.state());
    for (const [epoch, decay] of [
      [1, 1 / 10],
      [2, 0.15], // less than 2/11
    ]) {
      await all(t.fit(data, { epochs: epoch }));
      const now = await weightsOf(t);
      want = Object.fromEntries(
        Object.entries(want).map(([name, v]) => [
          name,
          v.map((old, i) => decay * old + (1 - decay) * now[name][i]),
        ]),
      );
      near(plain(await t.averaged()), want, 6);
    }
    const measured = await t.evaluate(data);
    expect(await make({ state: await t.averaged() }).evaluate(data)).toEqual(measured);
    expect((await make({ state: await t.state() }).evaluate(data)).loss).not.toBe(measured.loss);
    expect([...averagedState(decodeSafetensors(await t.checkpoint()).state)].slice(0, 4)).toEqual([
      ...(await t.averaged()),
    ]);
  });

  test("is the weights where there is none", async () => {
    const t = make();
    expect(plain(await t.averaged())).toEqual(await weightsOf(t));
  });

  test("must be in [0, 1)", () => {
    expect(() => make({ average: 1 })).toThrow("train: average 1 is not in [0, 1)");
  });
});

describe("all of them together", () => {
  const everything = (): Partial<TrainerOptions> => ({
    model: tinyModel(2, 0.2),
    optimizer: adamW({ lr: warmUp(3, oneCycle({ lr: 0.02, steps: 20 })) }),
    batch: 4,
    accumulate: 2,
    average: 0.9,
    clip: { value: 1, norm: 0.5 },
    rules: [{ match: /bias$/, weightDecay: 0, rate: 2 }],
  });
  const changed = augmented(data, augmentAll(crop({ padding: 1 }), flip()));

  test.each([1, 2, 5, 7, 14])(
    "stopped after step %i of 15, a new trainer goes on to the same bits",
    async (stop) => {
      const straight = make(everything());
      await all(straight.fit(changed, { epochs: 3 }));
      await onHost(async (backend) => {
        const first = make({ ...everything(), backend });
        const controller = new AbortController();
        let steps = 0;
        await all(
          first.fit(changed, {
            epochs: 3,
            signal: controller.signal,
            onStep: () => void (++steps === stop && controller.abort()),
          }),
        );
        const second = make({ ...everything(), backend, seed: 9 });
        await all(second.fit(changed, { epochs: 3, resume: await first.checkpoint() }));
        expect(await second.checkpoint()).toEqual(await straight.checkpoint());
        first.dispose();
        second.dispose();
      });
    },
  );

  test("a checkpoint without what an option keeps is refused", async () => {
    const t = make({ accumulate: 2 });
    const saved = await make().checkpoint();
    expect(() => t.restore(saved)).toThrow(
      "sgd: this state belongs to another optimizer (missing sum/c1.weight and 4 more)",
    );
  });

  test("augmentation is drawn anew each epoch, and tests see the samples as they are", async () => {
    const seen: string[] = [];
    const spy = {
      ...data,
      batch: (indices: Uint32Array | readonly number[], key?: string) => (
        seen.push(`${indices.length} ${key}`),
        data.batch(indices, key)
      ),
    };
    await all(make().fit(spy, { epochs: 2, validation: spy }));
    // The validation data are checked before the first epoch.
    expect(seen).toEqual([
      "20 undefined",
      "20 1 sample 0",
      "20 undefined",
      "20 1 sample 1",
      "20 undefined",
    ]);
  });
});

test("checkpoints are kept: the last, and the best by the validation loss", async () => {
  // epoch 2 changes nothing
  const t = make({ optimizer: sgd({ lr: (step) => (step === 1 ? 0 : 0.05) }) });
  const kept: string[] = [];
  let best: Uint8Array | undefined;
  const options = {
    last: (_: Uint8Array, { epoch }: EpochReport) => void kept.push(`last ${epoch}`),
    best: async (bytes: Uint8Array, { epoch }: EpochReport) => {
      best = bytes;
      kept.push(`best ${epoch}`);
    },
  };
  const reports = await all(
    keepCheckpoints(t, t.fit(data, { epochs: 2, validation: data }), options),
  );
  expect(reports.map((r) => r.epoch)).toEqual([1, 2]);
  expect(kept).toEqual(["last 1", "best 1", "last 2"]);
  const again = make();
  again.restore(best!);
  expect(again.position).toEqual({ epoch: 1, step: 0 });
  expect(await all(keepCheckpoints(again, again.fit(data, { epochs: 2 }), {}))).toHaveLength(1);
});

describe("training on many machines", () => {
  test("gradients of parts, averaged and applied, are a step on the whole", async () => {
    for (const options of [
      { optimizer: adam({ lr: 0.01 }), average: 0.9, clip: { norm: 0.1 } },
      { optimizer: sgd({ lr: 0.1 }), accumulate: 2 },
    ]) {
      const [t, whole] = [make(options), make(options)];
      const parts = await Promise.all([t.gradients(batchOf(0, 12)), t.gradients(batchOf(12, 8))]);
      t.apply(
        average(
          parts.map((p) => p.gradients),
          [12, 8],
        ),
      );
      const [{ loss }] = await all(whole.fit(data, { epochs: 1 }));
      expect((12 * parts[0].loss + 8 * parts[1].loss) / 20).toBeCloseTo(loss, 5);
      near(await weightsOf(t), await weightsOf(whole));
      near(plain(await t.averaged()), plain(await whole.averaged()));
    }
  });

  test("a state travels as one buffer of safetensors", async () => {
    const [one, other] = [make({ seed: 1 }), make({ seed: 2 })];
    const sent = await Promise.all(
      [one, other].map(async (t) => encodeSafetensors(await t.state())),
    );
    const mean = average(sent.map((bytes) => decodeSafetensors(bytes).state));
    one.setState(mean);
    expect(await weightsOf(one)).toEqual(plain(mean));
    const [a, b] = [
      plain(decodeSafetensors(sent[0]).state),
      plain(decodeSafetensors(sent[1]).state),
    ];
    near(
      plain(mean),
      Object.fromEntries(
        Object.entries(a).map(([name, v]) => [name, v.map((x, i) => (x + b[name][i]) / 2)]),
      ),
      7,
    );
  });

  test("what does not fit is refused", async () => {
    const t = make();
    const state = await t.state();
    const { gradients } = await t.gradients(batchOf());
    gradients.delete("c1.bias");
    expect(() => t.apply(gradients)).toThrow(
      "tiny: these weights belong to another network (missing c1.bias)",
    );
    expect(() => t.setState(gradients)).toThrow(
      "tiny: these weights belong to another network (missing c1.bias)",
    );
    expect(() => average([state, gradients])).toThrow(
      "average: these weights belong to another network (missing c1.bias)",
    );
    expect(() => average([state, state], [1])).toThrow(
      "average: weights 1 are not 2 finite numbers ≥ 0 with a sum > 0",
    );
    expect(() => average([state], [0])).toThrow(
      "average: weights 0 are not 1 finite numbers ≥ 0 with a sum > 0",
    );
    for await (const _ of t.fit(data, { epochs: 1 })) {
      expect(() => t.setState(state)).toThrow("train: fit is running; abort it before setState");
      expect(() => t.apply(state)).toThrow("train: fit is running; abort it before apply");
    }
  });
});

describe("metrics", () => {
  test("top-k counts, and are means over all samples", async () => {
    const scores = Float32Array.of(3, 1, 2, 0, 5, 5, 1, 1, 1);
    expect([1, 2, 3].map((k) => topK(k)(scores, Int32Array.of(2, 2, 1), 3))).toEqual([0, 1, 1]);
    expect(topK(1)(scores, Int32Array.of(0, 1, 0), 3)).toBe(1); // the first of equals
    // NaN is no answer
    expect(topK(1)(Float32Array.of(NaN, 0, NaN, NaN), Int32Array.of(0, 1), 2)).toBe(0);
    expect(() => topK(0)).toThrow("topK: k 0 is not a whole number ≥ 1");
    const t = make({ batch: 8, metrics: { top1: topK(1), top2: topK(2) } });
    const { accuracy, metrics } = await t.evaluate(data);
    expect(metrics).toEqual({ top1: accuracy, top2: 1 });
    const [report] = await all(t.fit(data, { epochs: 1, validation: data }));
    expect(report.validation!.metrics.top1).toBe(report.validation!.accuracy);
  });

  test("confusion", () => {
    expect(confusion(3, [0, 1, 1, 2], [0, 1, 2, 2])).toEqual([
      [1, 0, 0],
      [0, 1, 1],
      [0, 0, 1],
    ]);
  });
});

describe("labels that are no classes", () => {
  const images = Float32Array.from({ length: 8 * 36 }, (_, i) => Math.sin(i * i));
  const net = (channels: number): Model => ({
    name: "map",
    input: [1, 6, 6],
    layer: sequential([conv2d(4, 3, { padding: 1 }), batchNorm2d(), conv2d(channels, 1)]),
  });

  test("a map of numbers, by a loss on maps", async () => {
    const target = { shape: [1, 6, 6], dtype: "float32" } as const;
    const maps = arrayDataset({
      x: images,
      y: images.map((v) => Number(v > 0)),
      sample: [1, 6, 6],
      target,
    });
    const loss = (y: Value, want: Value) =>
      add(binaryCrossEntropyWithLogits(y, want), dice(sigmoid(y), want));
    const t = make({
      model: { ...net(1), loss },
      batch: 4,
      optimizer: adam({ lr: 0.02 }),
      metrics: { error: meanAbsoluteError },
    });
    const reports = await all(t.fit(maps, { epochs: 6, validation: maps }));
    expect(reports[5].loss).toBeLessThan(reports[0].loss / 2);
    expect(reports[5].accuracy).toBeNaN();
    expect(reports[5].validation!.accuracy).toBeNaN();
    expect(reports[5].validation!.metrics.error).toBeGreaterThan(0);
    const { loss: measured } = await t.gradients(maps.batch([0, 1]), target);
    expect(measured).toBeLessThan(reports[0].loss);
  });

  test("a class for each pixel", async () => {
    const target = { shape: [6, 6], dtype: "int32" } as const;
    const pixels = arrayDataset({
      x: images,
      y: Array.from(images, (v) => Number(v > 0)),
      sample: [1, 6, 6],
      target,
    });
    const t = make({ model: { ...net(2), classes: 2 }, batch: 4, optimizer: adam({ lr: 0.05 }) });
    const reports = await all(t.fit(pixels, { epochs: 10, validation: pixels }));
    const { accuracy, predicted } = reports[9].validation!;
    expect(predicted).toHaveLength(8 * 36);
    expect(accuracy).toBeCloseTo(
      predicted.filter((p, i) => p === Number(images[i] > 0)).length / predicted.length,
      12,
    );
    expect(accuracy).toBeGreaterThan(0.9);
  });
});
