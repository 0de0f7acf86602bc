// The same on the fast back end: what the host computes slowly, to rounding, and the same bits after a resume.

import { createCpu } from "@conv/kernels-cpu";
import { createHost, type Backend } from "@conv/tensor";
import { expect, test } from "vitest";
import { adam, createTrainer } from "../src/index.ts";
import { all, stripes, tinyModel, weightsOf } from "./tiny.ts";

const trainer = (backend: Backend, rank: number) =>
  createTrainer({ backend, model: tinyModel(rank, 0.2), optimizer: adam({ lr: 0.02 }), batch: 8, seed: 1 });

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
    for (const [name, values] of Object.entries(want)) values.forEach((v, i) => expect(got[name][i], `${name} ${i}`).toBeCloseTo(v, 3));

    using first = trainer(backend, rank);
    await all(first.fit(data, { epochs: 2, validation }));
    using second = trainer(backend, rank);
    await all(second.fit(data, { epochs: 3, validation, resume: await first.checkpoint() }));
    expect(await weightsOf(second)).toEqual(got);
  }
  expect(backend.memory()).toMatchObject({ buffers: 0, programs: 0 });
  backend.dispose();
});
