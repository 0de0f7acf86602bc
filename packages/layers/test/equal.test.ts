// What normalizes values subtracts a mean that is rounded. Where all values are equal it must give 0 all the same.

import { createCpu } from "@conv/kernels-cpu";
import { createGpu } from "@conv/kernels-gpu";
import type { Backend } from "@conv/tensor";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";

const norms = {
  batchNorm2d: layers.batchNorm2d({ affine: false, trackRunningStats: false }),
  instanceNorm2d: layers.instanceNorm2d(),
  groupNorm: layers.groupNorm(1, { affine: false }),
  layerNorm: layers.layerNorm(undefined, { affine: false }),
};

const devices: [string, () => Backend | Promise<Backend>][] = [
  ["cpu", () => createCpu({ threads: 1 })],
  ["gpu", async () => createGpu({ gpu: await softwareGpu() })],
  ["gpu, with the kernels of hardware", async () => createGpu({ gpu: asHardware(await softwareGpu()) })],
];

describe.each(devices)("%s", (_, create) => {
  let backend: Backend;
  beforeAll(async () => void (backend = await create()));
  afterAll(() => backend.dispose());

  test.each(Object.entries(norms))("%s", { timeout: 60_000 }, async (__, layer) => {
    for (const [n, size] of [
      [1, 135],
      [2, 7],
    ]) {
      const { graph } = layers.traceModel({ name: "equal", input: [1, size, size], layer }, { batch: n });
      const program = backend.compile(graph);
      const [x, y] = [0, 0].map(() => backend.alloc(4 * n * size ** 2));
      for (const value of [123.456, 10000.1, 7e6]) {
        backend.write(x, new Float32Array(n * size ** 2).fill(value));
        program.run([x], [y]);
        expect(new Set(new Float32Array(await backend.read(y)))).toEqual(new Set([0]));
      }
      for (const buffer of [x, y]) backend.free(buffer);
      program.dispose();
    }
  });
});
