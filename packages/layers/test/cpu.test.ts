// The same on the fast back end: what the host computes slowly, to rounding, and the same bits
// after a resume.

import { createCpu } from "@conv/kernels-cpu";
import { createHost, type Backend } from "@conv/tensor";
import { expect, test } from "vitest";
import * as layers from "../src/index.ts";
import { adam, createTrainer, type Model } from "../src/index.ts";
import { all, stripes, tinyModel, weightsOf } from "./tiny.ts";

const trainer = (backend: Backend, rank: number) =>
  createTrainer({
    backend,
    model: tinyModel(rank, 0.2),
    optimizer: adam({ lr: 0.02 }),
    batch: 8,
    seed: 1,
  });

test.each([1, 2, 3])("training over %i axes ends where the host's does", async (rank) => {
  const [data, validation] = [stripes(20, rank), stripes(10, rank, 1)];
  const backend = await createCpu({ threads: 1 });
  const host = trainer(createHost(), rank);
  const wanted = await all(host.fit(data, { epochs: 3, validation }));
  const want = await weightsOf(host);
  {
    using fast = trainer(backend, rank);
    const reports = await all(fast.fit(data, { epochs: 3, validation }));
    reports.forEach((report, i) => {
      expect(report.loss).toBeCloseTo(wanted[i].loss, 4);
      expect(report.validation!.loss).toBeCloseTo(wanted[i].validation!.loss, 4);
    });
    const got = await weightsOf(fast);
    for (const [name, values] of Object.entries(want))
      values.forEach((v, i) => expect(got[name][i], `${name} ${i}`).toBeCloseTo(v, 3));

    using first = trainer(backend, rank);
    await all(first.fit(data, { epochs: 2, validation }));
    using second = trainer(backend, rank);
    await all(second.fit(data, { epochs: 3, validation, resume: await first.checkpoint() }));
    expect(await weightsOf(second)).toEqual(got);
  }
  expect(backend.memory()).toMatchObject({ buffers: 0, programs: 0 });
  backend.dispose();
});

test("training a net of all kinds of layers ends where the host's does", async () => {
  const { conv2d } = layers;
  const model: Model = {
    ...tinyModel(),
    layer: layers.sequential([
      layers.freeze(conv2d(8, 3, { padding: 1, bias: false })),
      layers.batchNorm2d({ activation: "hardSwish" }),
      layers.localResponseNorm(3, { alpha: 0.5 }),
      layers.residual(
        layers.sequential({
          shuffle: layers.channelShuffle(2),
          excite: layers.squeezeExcitation(2, { scaleActivation: layers.hardSigmoid() }),
          drop: layers.stochasticDepth(0.2),
        }),
      ),
      conv2d(8, 3, {
        groups: 2,
        activation: "gelu",
        weightRegularizer: layers.l1l2({ l1: 1e-3, l2: 1e-2 }),
      }),
      layers.groupNorm(4, { activation: layers.prelu({ perChannel: true }) }),
      layers.lpPool2d(3, 2, { stride: 1 }),
      layers.instanceNorm2d({
        affine: true,
        activation: "mish",
        outputRegularizer: layers.l2(1e-3),
      }),
      layers.adaptiveMaxPool2d(2),
      layers.channelDropout(0.1),
      layers.flatten(),
      layers.layerNorm(undefined, { activation: "softplus" }),
      layers.linear(2, { weightConstraint: layers.maxNorm(0.6) }),
    ]),
  };
  const data = stripes(24);
  const train = async (backend: Backend) => {
    using made = createTrainer({
      backend,
      model,
      optimizer: adam({ lr: 0.01 }),
      batch: 8,
      seed: 2,
    });
    const reports = await all(made.fit(data, { epochs: 3 }));
    return { losses: reports.map((r) => r.loss), weights: await weightsOf(made) };
  };
  const backend = await createCpu({ threads: 1 });
  const [got, want] = [await train(backend), await train(createHost())];
  got.losses.forEach((loss, i) => expect(loss).toBeCloseTo(want.losses[i], 3));
  for (const [name, values] of Object.entries(want.weights))
    values.forEach((v, i) => expect(got.weights[name][i], `${name} ${i}`).toBeCloseTo(v, 2));
  for (const row of [0, 1])
    expect(Math.hypot(...got.weights["12.weight"].slice(row * 32, row * 32 + 32))).toBeLessThan(
      0.6 + 1e-5,
    );
  backend.dispose();
});
