// What happens when numbers get out of hand: training stops, says where, and stands as it did
// before that step.

import { createCpu } from "@conv/kernels-cpu";
import { affine, log, map, sum } from "@conv/ops";
import { createHost, type Backend } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  adam,
  createTrainer,
  DivergedError,
  flatten,
  linear,
  sequential,
  sgd,
  type Dataset,
  type Layer,
  type Model,
  type TrainerOptions,
} from "../src/index.ts";
import { all, stripes, weightsOf } from "./tiny.ts";

/** log(x): not a number where x < 0, and an infinite slope at 0. */
const logarithm: Layer = { type: "log", forward: (x) => log(x) };
/** Harmless forward, with a slope that is infinite everywhere. */
const steep: Layer = {
  type: "steep",
  forward: (x) => map("steep", ["add", "a", 1], [x], [["log", ["mul", "a", 0]]]),
};
const named = (layers: Record<string, Layer>): Model => ({
  name: "net",
  input: [1, 6, 6],
  classes: 2,
  layer: sequential(layers),
});
const plain = { flat: flatten(), fc: linear(4), middle: logarithm, out: linear(2) };
const make = (backend: Backend, options: Partial<TrainerOptions> = {}) =>
  createTrainer({
    backend,
    model: named({ flat: flatten(), fc: linear(4), out: linear(2) }),
    optimizer: adam({ lr: 0.01 }),
    batch: 4,
    seed: 1,
    ...options,
  });

/** Sample 13 holds a value that spoils everything. */
const poisoned = (value: number): Dataset => {
  const data = stripes(16);
  return {
    ...data,
    batch(indices) {
      const { x, y } = data.batch(indices);
      const at = [...indices].indexOf(13);
      if (at >= 0) x[at * 36] = value;
      return { x, y };
    },
  };
};

const failure = async (run: Promise<unknown>): Promise<DivergedError> => {
  const error = await run.then(
    () => null,
    (e: unknown) => e,
  );
  if (!(error instanceof DivergedError)) throw error ?? new Error("nothing was thrown");
  return error;
};

const backends: [string, () => Promise<Backend>][] = [
  ["host", async () => createHost()],
  ["CPU", () => createCpu({ threads: 1 })],
];

describe.each(backends)("on the %s", (_, open) => {
  test("the layer that first made it is named, and the trainer is as it was before that step", async () => {
    const backend = await open();
    const t = make(backend, { model: named(plain) });
    const error = await failure(all(t.fit(stripes(16), { epochs: 3 })));
    expect(error.message).toBe(
      "train: the loss is NaN at epoch 1, step 1, first in middle (log, forward); a lower learning rate than 0.01 may help",
    );
    expect(error).toMatchObject({
      name: "DivergedError",
      epoch: 1,
      step: 1,
      loss: NaN,
      origin: { layer: "middle", op: "log", phase: "forward" },
    });
    expect(await weightsOf(t)).toEqual(await weightsOf(make(backend, { model: named(plain) })));
    expect(t.position).toEqual({ epoch: 0, step: 0 });
    t.dispose();
    backend.dispose();
  });

  test("a sample that is not finite is named as such, and the trainer goes on from the step before", async () => {
    const backend = await open();
    const t = make(backend);
    const error = await failure(all(t.fit(poisoned(NaN), { epochs: 3 })));
    expect(error.message).toMatch(
      /^train: sample 13 contains NaN in x, at epoch 1, step \d; correct or remove the sample$/,
    );
    expect(error.origin).toEqual({ layer: "x", op: "given", phase: "forward" });
    expect(t.position).toEqual({ epoch: 0, step: error.step - 1 });
    // It goes on with better data, to where it would have come with that from the beginning.
    await all(t.fit(stripes(16), { epochs: 2 }));
    const straight = make(backend);
    await all(straight.fit(stripes(16), { epochs: 2 }));
    expect(await weightsOf(t)).toEqual(await weightsOf(straight));
    backend.dispose();
  });

  test("a gradient that is not finite stops it before it does harm", async () => {
    const backend = await open();
    const t = make(backend, {
      model: named({ flat: flatten(), fc: linear(4), bad: steep, out: linear(2) }),
    });
    const before = await weightsOf(t);
    const error = await failure(all(t.fit(stripes(16), { epochs: 1 })));
    expect(error.message).toMatch(
      /^train: a gradient is not finite at epoch 1, step 1, first in bad \(steepGrad, backward\); a lower/,
    );
    expect(await weightsOf(t)).toEqual(before);
    backend.dispose();
  });

  test("a loss of one's own is named too, and so is what an update has spoilt", async () => {
    const backend = await open();
    const own = make(backend, { loss: (y) => log(affine(sum(y), 0, -1)) });
    const error = await failure(all(own.fit(stripes(16), { epochs: 1 })));
    expect(error.origin).toEqual({ layer: "loss", op: "log", phase: "forward" });
    const wild = make(backend, { optimizer: sgd({ lr: (step) => (step === 2 ? 1e39 : 0.01) }) });
    const other = await failure(all(wild.fit(stripes(16), { epochs: 1 })));
    expect(other).toMatchObject({
      epoch: 1,
      step: 3,
      origin: { layer: "hyper", op: "given", phase: "update" },
    });
    expect(other.message).toMatch(
      /the update is not finite at epoch 1, step 3, the learning rate was not finite before the step; a lower/,
    );
    backend.dispose();
  });

  test("gathered gradients stop as well", async () => {
    const backend = await open();
    const t = make(backend, { accumulate: 3, average: 0.9 });
    const error = await failure(all(t.fit(poisoned(Infinity), { epochs: 1 })));
    expect(error.origin).toEqual({ layer: "x", op: "given", phase: "forward" });
    await all(t.fit(stripes(16), { epochs: 1 }));
    const straight = make(backend, { accumulate: 3, average: 0.9 });
    await all(straight.fit(stripes(16), { epochs: 1 }));
    expect(await t.checkpoint()).toEqual(await straight.checkpoint());
    backend.dispose();
  });
});
