// What normalizes values subtracts a mean that is rounded. Where all values are equal it must give
// 0 all the same.

import { createCpu } from "@conv/kernels-cpu";
import { createGpu } from "@conv/kernels-gpu";
import { mean, square, sub } from "@conv/ops";
import { bytesOf, evaluate, hostArray, spec, trace, type Backend } from "@conv/tensor";
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
  [
    "gpu, with the kernels of hardware",
    async () => createGpu({ gpu: asHardware(await softwareGpu()) }),
  ],
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
      const { graph } = layers.traceModel(
        { name: "equal", input: [1, size, size], layer },
        { batch: n },
      );
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

  test("nearly equal values far from 0 keep their differences", { timeout: 60_000 }, async () => {
    const data = Float64Array.from({ length: 135 ** 2 }, (_, i) => 10_000 + ((i * 7919) % 8) / 8);
    const { graph } = layers.traceModel({
      name: "near",
      input: [1, 135, 135],
      layer: layers.instanceNorm2d(),
    });
    const [want] = evaluate(graph, [hostArray(graph.inputs[0].spec, data)]);
    const program = backend.compile(graph);
    const [x, y] = [0, 0].map(() => backend.alloc(4 * data.length));
    backend.write(x, new Float32Array(data));
    program.run([x], [y]);
    new Float32Array(await backend.read(y)).forEach((v, i) =>
      expect(v).toBeCloseTo(want.data[i], 4),
    );
  });

  test(
    "the variance that a user writes is within the bound of its mean",
    { timeout: 60_000 },
    async () => {
      const graph = trace(
        (v) => mean(square(sub(v, mean(v, [2, 3], true))), [2, 3]),
        [spec([1, 2, 135, 135])],
      );
      const program = backend.compile(graph);
      const [x, y] = [graph.inputs[0], graph.outputs[0]].map((v) => backend.alloc(bytesOf(v.spec)));
      for (const value of [123.456, 10000.1]) {
        backend.write(x, new Float32Array(2 * 135 ** 2).fill(value));
        program.run([x], [y]);
        for (const v of new Float32Array(await backend.read(y)))
          expect(v).toBeLessThanOrEqual((16 * 2 ** -23 * value) ** 2);
      }
    },
  );
});
