import { affine, mean, squaredError } from "@conv/ops";
import { createHost, type Backend, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  adam,
  createPredictor,
  createTrainer,
  decodeSafetensors,
  encodeSafetensors,
  initialize,
  sgd,
  subset,
} from "../src/index.ts";
import type { EpochReport, StepReport, TrainerOptions } from "../src/index.ts";
import { all, onHost, plain, stripes, tinyModel, weightsOf } from "./tiny.ts";

const trainer = (backend: Backend, options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend,
    model: tinyModel(2, 0.2),
    optimizer: adam({ lr: 0.02 }),
    batch: 8,
    seed: 1,
    ...options,
  });

/** What two runs must agree on. */
const essence = ({ epoch, loss, accuracy, validation, improved }: EpochReport) => ({
  epoch,
  loss,
  accuracy,
  validation,
  improved,
});

describe("learning", () => {
  test.each([1, 2, 3])("a net over %i axes learns stripes", async (rank) => {
    await onHost(async (backend) => {
      const t = trainer(backend, {
        model: tinyModel(rank),
        optimizer: sgd({ lr: 0.1, momentum: 0.9 }),
      });
      const reports = await all(
        t.fit(stripes(32, rank), { epochs: 12, validation: stripes(20, rank, 1) }),
      );
      expect(reports.map((r) => r.epoch)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      const last = reports[11];
      expect(last.loss).toBeLessThan(reports[0].loss / 2);
      expect(last.accuracy).toBeGreaterThan(0.9);
      expect(last.validation!.accuracy).toBeGreaterThanOrEqual(0.9);
      expect(last.imagesPerSecond).toBeCloseTo(32 / last.seconds, 6);
      t.dispose();
    });
  });

  test("the predictor answers as the trainer evaluates", async () => {
    await onHost(async (backend) => {
      const data = stripes(19);
      const t = trainer(backend);
      await all(t.fit(data, { epochs: 2 }));
      const { predicted, accuracy, loss } = await t.evaluate(data);
      const predictor = createPredictor(backend, tinyModel(), await t.state());
      const { x, y } = data.batch(Array.from({ length: 19 }, (_, i) => i));
      const logits = await predictor.predict(x);
      expect([...predicted]).toEqual(
        Array.from({ length: 19 }, (_, i) => Number(logits[2 * i + 1] > logits[2 * i])),
      );
      expect(accuracy).toBe(predicted.filter((p, i) => p === y[i]).length / 19);
      const each = [...y].map(
        (label, i) =>
          Math.log(Math.exp(logits[2 * i]) + Math.exp(logits[2 * i + 1])) - logits[2 * i + label],
      );
      expect(loss).toBeCloseTo(each.reduce((a, b) => a + b) / 19, 5);
      predictor.dispose();
      t.dispose();
    });
  });

  test("steps are reported in order, the last batch smaller, and their means are the epoch's", async () => {
    await onHost(async (backend) => {
      const t = trainer(backend, { optimizer: sgd({ lr: (step) => 0.1 / (1 + step) }) });
      const steps: StepReport[] = [];
      const [report] = await all(
        t.fit(stripes(19), { epochs: 1, onStep: (s) => void steps.push(s) }),
      );
      expect(
        steps.map(({ epoch, step, steps: count, seen, samples }) => ({
          epoch,
          step,
          count,
          seen,
          samples,
        })),
      ).toEqual([
        { epoch: 1, step: 1, count: 3, seen: 8, samples: 19 },
        { epoch: 1, step: 2, count: 3, seen: 16, samples: 19 },
        { epoch: 1, step: 3, count: 3, seen: 19, samples: 19 },
      ]);
      expect(steps.map((s) => s.learningRate)).toEqual([0.1, 0.05, 0.1 / 3]);
      const sizes = [8, 8, 3];
      expect(report.loss).toBeCloseTo(
        steps.reduce((sum, s, i) => sum + s.loss * sizes[i], 0) / 19,
        12,
      );
      expect(report.accuracy).toBeCloseTo(
        steps.reduce((sum, s, i) => sum + s.accuracy * sizes[i], 0) / 19,
        12,
      );
      t.dispose();
    });
  });

  test("the model's loss stands in for cross-entropy, and the trainer's for both", async () => {
    await onHost(async (backend) => {
      const constant = (value: number) => (output: Value) => affine(mean(output), 0, value);
      const model = { ...tinyModel(), loss: constant(3) };
      const own = trainer(backend, { model });
      const given = trainer(backend, { model, loss: constant(4) });
      expect((await all(own.fit(stripes(8), { epochs: 1 })))[0].loss).toBe(3);
      expect((await own.evaluate(stripes(8))).loss).toBe(3);
      expect((await all(given.fit(stripes(8), { epochs: 1 })))[0].loss).toBe(4);
      own.dispose();
      given.dispose();
    });
  });

  test("training starts from the given state", async () => {
    await onHost(async (backend) => {
      const state = initialize(tinyModel(), 9);
      const t = trainer(backend, { state });
      expect(await weightsOf(t)).toEqual(plain(state));
      t.dispose();
    });
  });
});

describe("the same seed gives the same bits", () => {
  const run = async (seed: number) => {
    const backend = createHost();
    const t = trainer(backend, { seed });
    await all(t.fit(stripes(20), { epochs: 2 }));
    return weightsOf(t);
  };
  test("and another seed others", async () => {
    const first = await run(5);
    expect(await run(5)).toEqual(first);
    expect(await run(6)).not.toEqual(first);
  });
});

describe("checkpoints", () => {
  const data = stripes(20); // three steps an epoch, the last of four
  const validation = stripes(10, 2, 1);
  const whole = async () => {
    const t = trainer(createHost());
    const reports = await all(t.fit(data, { epochs: 4, validation }));
    return {
      reports: reports.map(essence),
      weights: await weightsOf(t),
      saved: await t.checkpoint(),
    };
  };

  test.each([1, 3, 4, 5, 9, 11])(
    "stopped after step %i of 12, a new trainer goes on to the same bits and reports",
    async (stop) => {
      const want = await whole();
      const backend = createHost();
      const first = trainer(backend);
      const controller = new AbortController();
      let count = 0;
      const onStep = () => {
        if (++count === stop) controller.abort();
      };
      const before = await all(
        first.fit(data, { epochs: 4, validation, signal: controller.signal, onStep }),
      );
      const saved = await first.checkpoint();
      first.dispose();
      const second = trainer(backend, { seed: 77 });
      const after = await all(second.fit(data, { epochs: 4, validation, resume: saved }));
      expect([...before, ...after].map(essence)).toEqual(want.reports);
      expect(await weightsOf(second)).toEqual(want.weights);
      expect(await second.checkpoint()).toEqual(want.saved);
      second.dispose();
      expect(backend.memory()).toMatchObject({ buffers: 0, programs: 0 });
    },
  );

  test("taken at any moment, without stopping, are whole too", async () => {
    const want = await whole();
    const first = trainer(createHost());
    const taken: Promise<Uint8Array>[] = [];
    await all(
      first.fit(data, { epochs: 4, validation, onStep: () => void taken.push(first.checkpoint()) }),
    );
    expect(taken).toHaveLength(12);
    expect(await weightsOf(first)).toEqual(want.weights);
    for (const saved of [taken[0], taken[4], taken[8]]) {
      const next = trainer(createHost());
      next.restore(await saved);
      const reports = await all(next.fit(data, { epochs: 4, validation }));
      expect(reports.map(essence)).toEqual(want.reports.slice(4 - reports.length));
      expect(await weightsOf(next)).toEqual(want.weights);
    }
  });

  const optimizers = {
    adam: () => adam({ lr: 0.02 }),
    momentum: () => sgd({ lr: 0.1, momentum: 0.9, nesterov: true }),
  };
  test.each(Object.entries(optimizers))(
    "%s resumes at every step to the same bits",
    async (_, optimizer) => {
      const straight = trainer(createHost(), { optimizer: optimizer() });
      const taken: Promise<Uint8Array>[] = [];
      await straight.fit(data, { epochs: 2, onStep: () => void taken.push(straight.checkpoint()) });
      const want = await straight.checkpoint();
      expect(taken).toHaveLength(6);
      for (const saved of await Promise.all(taken)) {
        const next = trainer(createHost(), { optimizer: optimizer(), seed: 9 });
        await next.fit(data, { epochs: 2, resume: saved });
        expect(await next.checkpoint()).toEqual(want);
        next.dispose();
      }
    },
  );

  test("momentum is kept too", async () => {
    const optimizer = sgd({ lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.01 });
    const straight = trainer(createHost(), { optimizer });
    await all(straight.fit(data, { epochs: 2 }));
    const first = trainer(createHost(), { optimizer });
    await all(first.fit(data, { epochs: 1 }));
    const second = trainer(createHost(), { optimizer });
    second.restore(await first.checkpoint());
    expect(second.position).toEqual({ epoch: 1, step: 0 });
    await all(second.fit(data, { epochs: 2 }));
    expect(await weightsOf(second)).toEqual(await weightsOf(straight));
  });

  test("hold the weights under the model's names, and serve a predictor as they are", async () => {
    const t = trainer(createHost());
    await all(t.fit(data, { epochs: 1 }));
    const { state, metadata } = decodeSafetensors(await t.checkpoint());
    const names = [...initialize(tinyModel()).keys()];
    expect([...state.keys()]).toEqual([
      ...names,
      ...names.flatMap((name) => [`optimizer/mean/${name}`, `optimizer/variance/${name}`]),
    ]);
    expect(metadata).toMatchObject({
      format: "conv-checkpoint-1",
      model: "tiny",
      optimizer: "adam",
    });
    const predictor = createPredictor(createHost(), tinyModel(), state);
    expect(await predictor.predict(data.batch([0]).x)).toHaveLength(2);
  });

  test("of something else are refused, and change nothing", async () => {
    const t = trainer(createHost());
    await all(t.fit(data, { epochs: 1 }));
    const before = await weightsOf(t);
    const saved = await t.checkpoint();
    const { state, metadata } = decodeSafetensors(saved);
    const changed = (texts: Record<string, string>) =>
      encodeSafetensors(state, { ...metadata, ...texts });
    const at: Record<string, unknown> = JSON.parse(metadata.position);
    const elsewhere = (change: Record<string, unknown>) =>
      changed({ position: JSON.stringify({ ...at, ...change }) });
    const bad: [Uint8Array, string][] = [
      [
        encodeSafetensors(state),
        'checkpoint: not a checkpoint: its format is null, a checkpoint has "conv-checkpoint-1"; weights alone cannot be resumed; pass them as option state',
      ],
      [
        changed({ model: "lenet5" }),
        "checkpoint: the model of the checkpoint is lenet5, that of the trainer is tiny",
      ],
      [
        changed({ optimizer: "sgd" }),
        "checkpoint: the optimizer of the checkpoint is sgd, that of the trainer is adam",
      ],
      [
        elsewhere({ batch: 9 }),
        "checkpoint: the batch of the checkpoint is 9, that of the trainer is 8",
      ],
      [changed({ position: "{" }), "checkpoint: the position is not valid JSON"],
      [elsewhere({ epoch: -1 }), "checkpoint: the position has a missing or invalid number"],
      [elsewhere({ best: "x" }), "checkpoint: the position has a missing or invalid number"],
      [changed({ position: "[]" }), "checkpoint: the position has a missing or invalid number"],
      [saved.subarray(0, 100), "safetensors: the header takes"],
    ];
    for (const [bytes, message] of bad) expect(() => t.restore(bytes)).toThrow(message);
    const half = elsewhere({ step: 1 });
    state.delete("optimizer/mean/c1.weight");
    expect(() => t.restore(encodeSafetensors(state, metadata))).toThrow(
      "adam: this state belongs to another optimizer (missing mean/c1.weight)",
    );
    expect(await weightsOf(t)).toEqual(before);
    const other = trainer(createHost());
    await expect(all(other.fit(stripes(12), { epochs: 9, resume: half }))).rejects.toThrow(
      "train: the current epoch began with 20 samples, the data set has 12",
    );
  });
});

describe("stopping", () => {
  test("an aborted signal ends the iteration after the step, and the same trainer can go on", async () => {
    const data = stripes(20);
    const t = trainer(createHost());
    const controller = new AbortController();
    const seen: number[] = [];
    const reports = await all(
      t.fit(data, {
        epochs: 3,
        signal: controller.signal,
        onStep: async ({ epoch, step }) => {
          seen.push(step);
          await Promise.resolve();
          if (epoch === 2 && step === 1) controller.abort();
        },
      }),
    );
    expect(reports.map((r) => r.epoch)).toEqual([1]);
    expect(seen).toEqual([1, 2, 3, 1, 2]); // step 2 was under way
    expect(t.position).toEqual({ epoch: 1, step: 2 });
    expect(await all(t.fit(data, { epochs: 3, signal: controller.signal }))).toEqual([]);
    const rest = await all(t.fit(data, { epochs: 3 }));
    const straight = trainer(createHost());
    const want = await all(straight.fit(data, { epochs: 3 }));
    expect(rest.map(essence)).toEqual(want.slice(1).map(essence));
    expect(await weightsOf(t)).toEqual(await weightsOf(straight));
  });

  test("timers and messages get through while it computes", async () => {
    const t = trainer(createHost());
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 5);
    await all(t.fit(stripes(20), { epochs: Infinity, signal: controller.signal }));
    expect(t.position.epoch + t.position.step).toBeGreaterThan(0);
  });

  test("abort during validation leaves the epoch to be reported by the next call", async () => {
    const data = stripes(20);
    const t = trainer(createHost());
    const controller = new AbortController();
    const batch = (indices: Uint32Array | readonly number[]) => {
      if (t.position.step === 3) controller.abort(); // its first batch was looked at before
      return data.batch(indices);
    };
    const validation = { ...data, batch };
    expect(await all(t.fit(data, { epochs: 1, validation, signal: controller.signal }))).toEqual(
      [],
    );
    expect(t.position).toEqual({ epoch: 0, step: 3 });
    const straight = trainer(createHost());
    const want = await all(straight.fit(data, { epochs: 1, validation: data }));
    expect((await all(t.fit(data, { epochs: 1, validation: data }))).map(essence)).toEqual(
      want.map(essence),
    );
    await expect(t.evaluate(data, AbortSignal.abort(new Error("enough")))).rejects.toThrow(
      "enough",
    );
  });

  test("patience ends a training that gets no better, also when it is resumed", async () => {
    const data = stripes(16);
    const t = trainer(createHost(), { optimizer: sgd({ lr: 0 }) });
    const options = { epochs: 50, patience: 3, validation: data };
    const reports = await all(t.fit(data, options));
    expect(reports.map((r) => r.improved)).toEqual([true, false, false, false]);
    const resumed = trainer(createHost(), { optimizer: sgd({ lr: 0 }) });
    expect(await all(resumed.fit(data, { ...options, resume: await t.checkpoint() }))).toEqual([]);
    await expect(all(t.fit(data, { epochs: 50, patience: 3 }))).rejects.toThrow(
      "train: patience is 3, but there is no validation loss to compare; set the option validation",
    );
  });

  test("an error of onStep is passed on, and the steps already made count", async () => {
    const data = stripes(20);
    const t = trainer(createHost());
    const onStep = () => {
      throw new Error("mine");
    };
    await expect(all(t.fit(data, { epochs: 1, onStep }))).rejects.toThrow("mine");
    expect(t.position).toEqual({ epoch: 0, step: 2 });
    const straight = trainer(createHost());
    const want = await all(straight.fit(data, { epochs: 1 }));
    expect((await all(t.fit(data, { epochs: 1 }))).map(essence)).toEqual(want.map(essence));
  });

  test("leaving the loop leaves a trainer that goes on", async () => {
    const t = trainer(createHost());
    for await (const { epoch } of t.fit(stripes(8), { epochs: 5 })) if (epoch === 2) break;
    expect(t.position).toEqual({ epoch: 2, step: 0 });
    expect(await all(t.fit(stripes(8), { epochs: 3 }))).toHaveLength(1);
  });

  test("a loss that is not finite is an error that names epoch and step", async () => {
    const data = stripes(16);
    const t = trainer(createHost(), { optimizer: sgd({ lr: (step) => (step < 2 ? 0.01 : 1e38) }) });
    await expect(all(t.fit(data, { epochs: 9 }))).rejects.toThrow(
      "train: the loss is Infinity at epoch 2, step 2, first in out (matmul, forward); a lower learning rate than 1e+38 may help",
    );
    const fresh = trainer(createHost(), { optimizer: sgd({ lr: 0.01 }) });
    t.restore(await fresh.checkpoint());
    expect(await weightsOf(t)).toEqual(await weightsOf(fresh));
  });
});

describe("errors", () => {
  const fails = async (message: string, run: (backend: Backend) => Promise<unknown>) => {
    await expect(run(createHost())).rejects.toThrow(message);
  };

  test("options", () => {
    const backend = createHost();
    expect(() => trainer(backend, { seed: 0.5 })).toThrow("train: seed 0.5 is not a whole number");
    expect(() => trainer(backend, { batch: 0 })).toThrow(
      "train: batch 0 is not a whole number ≥ 1",
    );
    expect(() => trainer(backend, { state: new Map() })).toThrow(
      "tiny: these weights belong to another network (missing c1.weight and 3 more)",
    );
    expect(backend.memory().buffers).toBe(0);
  });

  test("data", async () => {
    const { y } = stripes(8).batch([0, 1]);
    await fails("train: samples have shape 1×6, tiny takes 1×6×6", (backend) =>
      all(trainer(backend).fit(stripes(8, 1), { epochs: 1 })),
    );
    await fails("train: the data set is empty", (backend) =>
      all(trainer(backend).fit(subset(stripes(8), []), { epochs: 1 })),
    );
    const labeled = {
      ...stripes(8),
      batch: (indices: Uint32Array | readonly number[]) => ({
        x: stripes(8).batch(indices).x,
        y: Int32Array.from(indices, (i) => (i === 5 ? 2 : y[0])),
      }),
    };
    await fails("train: sample 5 has label 2, tiny has 2 classes, counted from 0", (backend) =>
      all(trainer(backend).fit(labeled, { epochs: 1 })),
    );
  });

  test("loss and model", async () => {
    await fails("train: the loss has shape 8×2, must have one element", (backend) =>
      all(trainer(backend, { loss: (output) => output }).fit(stripes(8), { epochs: 1 })),
    );
    await fails("squaredError: output has shape 8×2, target has 8", (backend) =>
      all(trainer(backend, { loss: squaredError }).fit(stripes(8), { epochs: 1 })),
    );
    const none = {
      ...tinyModel(),
      layer: { type: "mean", forward: (x: Value) => mean(x, [1, 2], false) },
    };
    expect(() => trainer(createHost(), { model: none })).toThrow(
      "train: tiny has no trainable parameter",
    );
  });

  test("one fit at a time", async () => {
    const t = trainer(createHost());
    for await (const _ of t.fit(stripes(8), { epochs: 1 })) {
      await expect(all(t.fit(stripes(8), { epochs: 2 }))).rejects.toThrow(
        "train: fit is already running",
      );
      const saved = await t.checkpoint();
      expect(() => t.restore(saved)).toThrow("train: fit is running; abort it before restore");
    }
  });
});
