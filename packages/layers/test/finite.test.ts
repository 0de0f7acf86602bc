// Nothing that is not finite is ever kept: whatever a step would write is looked at, and after a
// rejection all is as it was.

import { createCpu } from "@conv/kernels-cpu";
import { crossEntropy, map } from "@conv/ops";
import { createHost, type Backend } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import {
  arrayDataset,
  batchNorm1d,
  createPredictor,
  createTrainer,
  decodeSafetensors,
  DivergedError,
  encodeSafetensors,
  linear,
  sequential,
} from "../src/index.ts";
import type { Layer, Model, Optimizer, TrainerOptions } from "../src/index.ts";
import { all, only, weightsOf } from "./tiny.ts";

const { adagrad, adam, adamW, lamb, lion, rmsprop, sgd } = layers;
const net = (layer: Layer): Model => ({ ...only(layer, [3]), classes: 2 });
const data = (scale: number) =>
  arrayDataset({
    x: Float32Array.from({ length: 24 }, (_, i) => (i % 3 === 2 ? 0 : Math.sin(i * i + 1))),
    y: [0, 1, 0, 1, 1, 0, 1, 0],
    sample: [3],
    scale,
  });
const plain = sequential([linear(4), linear(2)]);

const optimizers: Record<string, (lr: number | ((step: number) => number)) => Optimizer> = {
  sgd: (lr) => sgd({ lr }),
  momentum: (lr) => sgd({ lr, momentum: 0.9, nesterov: true }),
  adam: (lr) => adam({ lr }),
  adamW: (lr) => adamW({ lr }),
  rmsprop: (lr) => rmsprop({ lr, momentum: 0.5 }),
  adagrad: (lr) => adagrad({ lr }),
  lion: (lr) => lion({ lr }),
  lamb: (lr) => lamb({ lr }),
};
/** A layer with a gradient that is so many times too large. */
const steep = (slope: number): Layer => ({
  type: "steep",
  forward: (x) =>
    map("steep", ["mul", "a", 1], [x], [["mul", slope, ["select", ["gt", "a", 0], 1, 1]]]),
});

const backends: [string, () => Promise<Backend>][] = [
  ["host", async () => createHost()],
  ["CPU", () => createCpu({ threads: 1 })],
];
describe.each(backends)("on the %s", (_, open) => {
  const spoiling: [string, Partial<TrainerOptions>, number][] = [
    ...Object.entries(optimizers).flatMap(
      ([name, make]): [string, Partial<TrainerOptions>, number][] => [
        [
          `${name}, a rate beyond float32`,
          { optimizer: make((step) => (step === 2 ? 1e39 : 0.01)) },
          1,
        ],
        [`${name}, a step of 3e38`, { optimizer: make((step) => (step === 2 ? 3e38 : 0.01)) }, 1],
        [
          `${name}, gradients whose squares overflow`,
          {
            optimizer: make(0.01),
            model: net(sequential([linear(4), steep(1e30), steep(1e12), linear(2)])),
          },
          1,
        ],
        [
          `${name}, gathered, with averages and limits`,
          {
            optimizer: make((step) => (step === 1 ? 1e39 : 0.01)),
            accumulate: 2,
            average: 0.9,
            clip: { value: 1 },
          },
          1,
        ],
      ],
    ),
    [
      "adam without epsilon, a dead input",
      { optimizer: adam({ eps: 0 }), model: net(linear(2)) },
      1,
    ],
    [
      "statistics of large inputs",
      { model: net(sequential([batchNorm1d(), linear(2)])), optimizer: sgd({ lr: 0 }) },
      1e20,
    ],
    [
      "a constraint that hides infinity",
      {
        model: net(linear(2, { weightConstraint: layers.nonNeg() })),
        optimizer: sgd({ lr: 1e39 }),
      },
      1,
    ],
  ];
  test.each(spoiling)(
    "%s: rejected or not, all is finite, and what was rejected changed nothing",
    async (_name, options, scale) => {
      const backend = await open();
      const t = createTrainer({
        backend,
        model: net(plain),
        optimizer: sgd({ lr: 0.1 }),
        batch: 2,
        seed: 1,
        ...options,
      });
      const saved: Uint8Array[] = [await t.checkpoint()];
      let error: unknown;
      try {
        await t.fit(data(scale), {
          epochs: 2,
          onStep: async () => void saved.push(await t.checkpoint()),
        });
      } catch (caught) {
        error = caught;
      }
      const after = await t.checkpoint();
      for (const { data: values } of decodeSafetensors(after).state.values())
        expect(values.every((v) => Number.isFinite(v))).toBe(true);
      if (error) {
        expect(error).toBeInstanceOf(DivergedError);
        // the end of an epoch may lie between
        expect(decodeSafetensors(after).state).toEqual(decodeSafetensors(saved.at(-1)!).state);
        const { position } = t;
        t.restore(after);
        expect(t.position).toEqual(position);
      }
      if (/beyond|dead|statistics|hides/.test(_name)) expect(error).toBeDefined();
      t.dispose();
      backend.dispose();
    },
  );

  test("layers may have the names of parts of a step", async () => {
    const backend = await open();
    for (const name of ["guard", "update", "loss", "health", "keep", "__proto__", "constructor"]) {
      const bad: Layer = {
        type: "bad",
        forward: (x) => map("bad", ["log", ["sub", "a", 1e9]], [x]),
      };
      const model = net(
        sequential([
          ["first", linear(2)],
          [name, bad],
          ["last", linear(2)],
        ]),
      );
      const t = createTrainer({ backend, model, optimizer: sgd({ lr: 0.1 }), batch: 4 });
      const error = await t.fit(data(1), { epochs: 1 }).then(
        () => null,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(DivergedError);
      expect(error).toMatchObject({ origin: { layer: name, op: "bad", phase: "forward" } });
      t.dispose();
    }
    backend.dispose();
  });

  test("a checkpoint asked for while the next step diverges is the last good one; an error of onStep then undoes that step", async () => {
    const backend = await open();
    const make = () =>
      createTrainer({
        backend,
        model: net(plain),
        optimizer: sgd({ lr: (step) => (step === 1 ? 1e39 : 0.1) }),
        batch: 2,
        seed: 1,
      });
    const t = make();
    const taken: Uint8Array[] = [];
    const run = t.fit(data(1), {
      epochs: 1,
      onStep: async () => void taken.push(await t.checkpoint()),
    });
    await expect(run).rejects.toBeInstanceOf(DivergedError);
    expect(taken).toHaveLength(1);
    expect(await t.checkpoint()).toEqual(taken[0]);

    const other = make();
    const mine = other.fit(data(1), {
      epochs: 1,
      onStep: () => {
        throw new Error("mine");
      },
    });
    await expect(mine).rejects.toThrow("mine");
    expect(other.position).toEqual({ epoch: 0, step: 1 });
    expect(await other.checkpoint()).toEqual(taken[0]);
    await expect(other.fit(data(1), { epochs: 1 })).rejects.toThrow(/epoch 1, step 2/);
    for (const each of [t, other]) each.dispose();
    backend.dispose();
  });

  test("gradients that are not finite are refused, and so is an update that would not be", async () => {
    const backend = await open();
    const t = createTrainer({
      backend,
      model: net(plain),
      optimizer: sgd({ lr: (step) => (step === 0 ? 1e38 : 0.1) }),
      batch: 8,
      seed: 1,
    });
    const before = await t.checkpoint();
    const { gradients } = await t.gradients(data(1).batch([0, 1, 2]));
    const spoilt = new Map(gradients).set("0.bias", {
      shape: [4],
      data: Float32Array.of(0, 1, NaN, 0),
    });
    expect(() => t.apply(spoilt)).toThrow(
      "train: the gradient of 0.bias contains NaN; nothing was updated",
    );
    const large = new Map(gradients).set("0.bias", {
      shape: [4],
      data: Float32Array.of(0, 1, 1e5, 0),
    });
    await expect(t.apply(large)).rejects.toThrow(
      "train: the update by these gradients is not finite; a lower learning rate than 1e+38 may help",
    );
    expect(await t.checkpoint()).toEqual(before);
    t.dispose();
    backend.dispose();
  });
});

test("weights that are not finite are refused wherever a model is loaded, and never saved", async () => {
  const model = net(plain);
  const backend = createHost();
  const spoilt = layers.initialize(model, 1);
  spoilt.get("1.weight")!.data[3] = Infinity;
  const message =
    "only: 1.weight contains Infinity at index 3; use weights of an earlier checkpoint";
  const t = createTrainer({ backend, model, optimizer: adam() });
  const before = await weightsOf(t);
  expect(() => createTrainer({ backend, model, optimizer: adam(), state: spoilt })).toThrow(
    message,
  );
  expect(() => createPredictor(backend, model, spoilt)).toThrow(message);
  expect(() => t.setState(spoilt)).toThrow(message);
  const { state, metadata } = decodeSafetensors(await t.checkpoint());
  state.get("optimizer/mean/1.bias")!.data[0] = NaN;
  expect(() => t.restore(encodeSafetensors(state, metadata))).toThrow(
    "adam: mean/1.bias contains NaN at index 0",
  );
  expect(await weightsOf(t)).toEqual(before);
  expect(() => layers.mustBeFinite("model.safetensors", spoilt)).toThrow(
    "model.safetensors: 1.weight contains Infinity at index 3",
  );
});

test("a validation loss that is not finite is told, and the training can be resumed", async () => {
  const model: Model = {
    ...only(plain, [3]),
    loss: (y, t) => crossEntropy(y, t, { weight: [1, 1] }),
  };
  // nothing counts: 0/0
  const none = arrayDataset({ x: new Float32Array(6), y: [-1, -1], sample: [3] });
  const make = () =>
    createTrainer({ backend: createHost(), model, optimizer: sgd({ lr: 0.1 }), batch: 4, seed: 1 });
  const t = make();
  const reports = await all(t.fit(data(1), { epochs: 2, validation: none }));
  expect(reports.every((r) => !Number.isFinite(r.validation!.loss) && !r.improved)).toBe(true);
  const next = make();
  await next.fit(data(1), { epochs: 3, resume: await t.checkpoint() });
  const straight = make();
  await straight.fit(data(1), { epochs: 3 });
  expect(await weightsOf(next)).toEqual(await weightsOf(straight));
});
