// Programs of predictors and trainers: of exactly the size that is asked for, bounded in number,
// and gone where anything does not fit.

import { createCpu } from "@conv/kernels-cpu";
import { createHost, type Backend } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import {
  arrayDataset,
  batchNorm1d,
  batchNorm2d,
  createPredictor,
  createTrainer,
  flatten,
  initialize,
  linear,
  sequential,
  sgd,
  type Model,
} from "../src/index.ts";
import { failure } from "./tiny.ts";

const backends: [string, () => Backend | Promise<Backend>][] = [
  ["host", createHost],
  ["cpu", () => createCpu({ threads: 1 })],
];
const small: Model = {
  name: "small",
  input: [1, 2, 2],
  classes: 3,
  layer: sequential([flatten(), linear(3)]),
};
const dataOf = (count: number) =>
  arrayDataset({
    x: new Float32Array(count * 4).fill(0.5),
    y: new Int32Array(count),
    sample: [1, 2, 2],
  });

describe.each(backends)("on the %s", (_, make) => {
  it.each([0, -1, 1.5, NaN, Infinity])("a predictor's batch of %d is refused", async (batch) => {
    const backend = await make();
    const before = backend.memory();
    expect(() => createPredictor(backend, small, initialize(small), { batch })).toThrow(
      failure("RangeError", `predict: batch ${batch} is not a whole number ≥ 1`),
    );
    expect(backend.memory()).toEqual(before);
    backend.dispose();
  });

  it("no row that fills up a batch meets a real one", async () => {
    const backend = await make();
    const model: Model = {
      name: "norm",
      input: [1, 2, 2],
      layer: batchNorm2d({ trackRunningStats: false, affine: false }),
    };
    const predictor = createPredictor(backend, model, new Map());
    const y = await predictor.predict(Float32Array.from({ length: 12 }, (_v, i) => 10 + i));
    expect(y[0]).toBeCloseTo(-1.5933, 4);
    expect(y.reduce((a, b) => a + b)).toBeCloseTo(0, 4);
    predictor.dispose();
    backend.dispose();
  });

  it("a model that needs several samples is made, trained and asked, and refuses one", async () => {
    const backend = await make();
    const model: Model = {
      name: "norm",
      input: [4],
      classes: 3,
      layer: sequential([batchNorm1d({ trackRunningStats: false }), linear(3)]),
    };
    const state = initialize(model);
    const trainer = createTrainer({ backend, model, optimizer: sgd({ lr: 0.1 }), state, batch: 4 });
    const data = arrayDataset({
      x: Float32Array.from({ length: 32 }, (_v, i) => Math.sin(i)),
      y: new Int32Array(8),
      sample: [4],
    });
    for await (const { loss } of trainer.fit(data, { epochs: 1 })) expect(loss).toBeGreaterThan(0);
    trainer.dispose();
    const predictor = createPredictor(backend, model, state);
    expect((await predictor.predict(new Float32Array(12).map((_v, i) => i))).length).toBe(9);
    await expect(predictor.predict(new Float32Array(4))).rejects.toThrow(
      "mean and variance of a batch need more than one value per channel",
    );
    predictor.dispose();
    backend.dispose();
  });

  it(
    "programs of many sizes are bounded, and go with their owner",
    { timeout: 60_000 },
    async () => {
      const backend = await make();
      const before = backend.memory();
      const predictor = createPredictor(backend, small, initialize(small));
      const of = async (n: number) => [
        ...(await predictor.predict(new Float32Array(4 * n).fill(0.5))),
      ];
      const one = await of(1);
      for (let n = 1; n <= 20; n++)
        expect(await of(n)).toEqual(Array.from({ length: n }, () => one).flat());
      expect(backend.memory().programs).toBeLessThanOrEqual(8);
      predictor.dispose();
      expect(backend.memory()).toEqual(before);
      const trainer = createTrainer({ backend, model: small, optimizer: sgd({ lr: 0.1 }) });
      for (let n = 1; n <= 20; n++)
        for await (const { epoch } of trainer.fit(dataOf(n), {
          epochs: n,
          validation: dataOf(n + 1),
        }))
          expect(epoch).toBe(n);
      expect(backend.memory().programs).toBeLessThanOrEqual(16);
      trainer.dispose();
      expect(backend.memory()).toEqual(before);
      backend.dispose();
    },
  );

  it("what is disposed of throws at every use, and makes nothing more", async () => {
    const backend = await make();
    const before = backend.memory();
    const predictor = createPredictor(backend, small, initialize(small), { batch: 2 });
    const trainer = createTrainer({ backend, model: small, optimizer: sgd({ lr: 0.1 }), batch: 2 });
    const halves = trainer.fit(dataOf(8), {
      epochs: 2,
      onStep: ({ step }) => void (step === 2 && trainer.dispose()),
    });
    await expect(halves).rejects.toThrow(/used after/);
    const asked = predictor.predict(new Float32Array(4 * 100));
    predictor.dispose();
    await expect(asked).rejects.toThrow("small: used after dispose");
    for (const end of [predictor, predictor, trainer, trainer]) end.dispose();
    const batch = { x: new Float32Array(8), y: new Int32Array(2) };
    const uses: (() => unknown)[] = [
      () => predictor.predict(new Float32Array(4)),
      () => predictor.setState(initialize(small)),
      () => trainer.fit(dataOf(8), { epochs: 9 }),
      () => trainer.fit(dataOf(8), { epochs: 9, validation: dataOf(3) }),
      () => trainer.evaluate(dataOf(4)),
      () => trainer.gradients(batch),
      () => trainer.state(),
      () => trainer.averaged(),
      () => trainer.checkpoint(),
      () => trainer.setState(initialize(small)),
    ];
    for (const use of uses)
      await expect((async () => await use())()).rejects.toThrow(/used after (dispose|free)/);
    expect(backend.memory()).toEqual(before);
    backend.dispose();
  });

  it(
    "what does not fit leaves memory as it was, whichever allocation fails",
    { timeout: 60_000 },
    async () => {
      const backend = await make();
      let left = Infinity;
      const count = () => {
        if (--left === 0) throw new RangeError("no room");
      };
      const failing: Backend = {
        ...backend,
        alloc(bytes) {
          count();
          return backend.alloc(bytes);
        },
        compile(graph) {
          count();
          return backend.compile(graph);
        },
      };
      /**
       * Tries with the first, the second, … allocation failing, until none does; gives how many
       * failed.
       */
      const failures = async (attempt: () => unknown): Promise<number> => {
        const before = backend.memory();
        for (let k = 1; ; k++) {
          left = k;
          try {
            await attempt();
            return k - 1;
          } catch (error) {
            expect(error).toEqual(new RangeError("no room"));
            expect(backend.memory()).toEqual(before);
          } finally {
            left = Infinity;
          }
        }
      };
      const before = backend.memory();
      const made: { dispose(): void }[] = [];
      expect(
        await failures(() => made.push(createPredictor(failing, small, initialize(small)))),
      ).toBe(2);
      expect(
        await failures(() =>
          made.push(
            createTrainer({
              backend: failing,
              model: small,
              optimizer: sgd({ lr: 0.1, momentum: 0.9 }),
            }),
          ),
        ),
      ).toBe(5);
      const predictor = createPredictor(failing, small, initialize(small));
      expect(await failures(() => predictor.predict(new Float32Array(8)))).toBe(3);
      const trainer = createTrainer({
        backend: failing,
        model: small,
        optimizer: sgd({ lr: 0.1 }),
        batch: 2,
      });
      expect(
        await failures(() => trainer.gradients({ x: new Float32Array(8), y: new Int32Array(2) })),
      ).toBeGreaterThan(3);
      expect(await failures(() => trainer.evaluate(dataOf(2)))).toBe(5);
      for (const each of [predictor, trainer, ...made]) each.dispose();
      expect(backend.memory()).toEqual(before);
      backend.dispose();
    },
  );
});
