// Training on the GPU: it ends where the host's does, to rounding, and a checkpoint goes on to the
// same bits there, and elsewhere.

import { createCpu } from "@conv/kernels-cpu";
import { createGpu } from "@conv/kernels-gpu";
import { createHost, type Backend } from "@conv/tensor";
import { softwareGpu } from "@conv/testkit/webgpu";
import { expect, test } from "vitest";
import { adam, createTrainer } from "../src/index.ts";
import { all, stripes, tinyModel, weightsOf } from "./tiny.ts";

const trainer = (backend: Backend, rank: number) =>
  createTrainer({
    backend,
    model: tinyModel(rank, 0.2),
    optimizer: adam({ lr: 0.02 }),
    batch: 8,
    seed: 1,
  });

test.each([1, 2, 3])("over %i axes", { timeout: 120_000 }, async (rank) => {
  const [data, validation] = [stripes(20, rank), stripes(10, rank, 1)];
  const host = trainer(createHost(), rank);
  const wanted = await all(host.fit(data, { epochs: 3, validation }));
  const want = await weightsOf(host);
  const isWanted = (got: typeof want) => {
    for (const [name, values] of Object.entries(want))
      values.forEach((v, i) => expect(got[name][i], `${name} ${i}`).toBeCloseTo(v, 3));
  };

  const gpu = await createGpu({ gpu: await softwareGpu() });
  const cpu = await createCpu({ threads: 1 });
  {
    using first = trainer(gpu, rank);
    const reports = await all(first.fit(data, { epochs: 2, validation }));
    const half = await first.checkpoint();
    reports.push(...(await all(first.fit(data, { epochs: 3, validation }))));
    reports.forEach((report, i) => {
      expect(report.loss).toBeCloseTo(wanted[i].loss, 4);
      expect(report.validation!.loss).toBeCloseTo(wanted[i].validation!.loss, 4);
    });
    const got = await weightsOf(first);
    isWanted(got);

    using again = trainer(gpu, rank);
    await all(again.fit(data, { epochs: 3, validation, resume: half }));
    expect(await weightsOf(again)).toEqual(got);

    using second = trainer(cpu, rank);
    await all(second.fit(data, { epochs: 3, validation, resume: half }));
    isWanted(await weightsOf(second));
  }
  expect(gpu.memory()).toMatchObject({ buffers: 0, programs: 0 });
  gpu.dispose();
  cpu.dispose();
});
