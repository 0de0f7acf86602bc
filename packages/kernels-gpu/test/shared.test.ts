// Memory that the programs of one back end share: transformed weights, and working buffers.

import { conv, convGeometry, convGradWeightOp, matmul, relu, sum } from "@conv/ops";
import { bytesOf, node, spec, trace, type Buffer, type Graph, type Value } from "@conv/tensor";
import { check, draw, testBackend } from "@conv/testkit";
import { softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

testBackend(
  "gpu, weights transformed",
  async () => createGpu({ gpu: await softwareGpu(), prefer: ["winograd2d4"] }),
  {
    only: ["sharing"],
    every: 8,
  },
);

const of = (shapes: readonly (readonly number[])[], fn: (...xs: Value[]) => Value): Graph =>
  trace(
    fn,
    shapes.map((s) => spec(s)),
  );
const WEIGHT = [8, 8, 3, 3];
const network = (n: number, size = 9) =>
  of([[n, 8, size, size], WEIGHT, WEIGHT], (x, v, w) =>
    conv(relu(conv(x, v, { padding: 1 })), w, { padding: 1 }),
  );
const filled = (gpu: GpuBackend, v: Value, value = NaN): Buffer => {
  const buffer = gpu.alloc(bytesOf(v.spec));
  gpu.write(buffer, new Float32Array(buffer.bytes / 4).fill(value));
  return buffer;
};

/** Bytes of all WebGPU buffers that are created from now on and not destroyed. */
function watch(): () => number {
  const live = new Map<GPUBuffer, number>();
  const create = GPUDevice.prototype.createBuffer;
  vi.spyOn(GPUDevice.prototype, "createBuffer").mockImplementation(function (
    this: GPUDevice,
    descriptor,
  ) {
    const buffer = Reflect.apply(create, this, [descriptor]);
    live.set(buffer, descriptor.size);
    return buffer;
  });
  const destroy = GPUBuffer.prototype.destroy;
  vi.spyOn(GPUBuffer.prototype, "destroy").mockImplementation(function (this: GPUBuffer) {
    live.delete(this);
    return Reflect.apply(destroy, this, []);
  });
  return () => [...live.values()].reduce((a, b) => a + b, 0);
}
afterEach(() => vi.restoreAllMocks());

it("weights are transformed once for programs of all batch sizes, and memory is reported exactly", async () => {
  const held = watch();
  const gpu = await createGpu({ gpu: validatingGpu(), prefer: ["winograd2d4"] });
  const graphs = [1, 2, 5, 3].map((n) => network(n));
  const [, ...weights] = graphs[0].inputs.map((v) => filled(gpu, v, 1));
  const inputs = graphs.map((graph) => filled(gpu, graph.inputs[0], 1));
  const outputs = graphs.map((graph) => filled(gpu, graph.outputs[0]));
  const programs = graphs.map((graph) => gpu.compile(graph));
  const told = async (): Promise<number> => {
    await gpu.read(outputs[0]); // what is freed is destroyed by now
    const { bytes, programBytes } = gpu.memory();
    expect(held()).toBe(bytes + programBytes);
    return programBytes;
  };
  const runAll = () =>
    programs.forEach((program, i) => program.run([inputs[i], ...weights], [outputs[i]]));
  const working = await told();
  runAll();
  const packed = (await told()) - working;
  expect(packed).toBe(2 * 16 * 8 * 8 * 4); // two weights of 8×8 in 16 points
  expect(programs.map((p) => p.bytes)[2]).toBe(working + packed); // that of batch 5 needs it all
  gpu.write(weights[1], new Float32Array(8));
  runAll();
  expect(await told()).toBe(working + packed);
  programs[2].dispose();
  expect(await told()).toBe(programs[3].bytes);
  for (const i of [0, 1, 3]) programs[i].run([inputs[i], ...weights], [outputs[i]]);
  expect(await told()).toBe(programs[3].bytes);
  gpu.free(weights[0]);
  expect(await told()).toBe(programs[3].bytes - packed / 2);
  for (const program of programs) program.dispose();
  expect(await told()).toBe(0);
  gpu.dispose();
  expect(held()).toBe(0);
});

describe("values of another program in shared memory have no effect", () => {
  const gradient = convGeometry(spec([2, 3, 10, 7]), spec([4, 3, 3, 3]), { padding: 1 });
  const cases: [kernel: string, graph: Graph][] = [
    // prettier-ignore
    ["winograd2d4", of([[1, 8, 9, 9], WEIGHT], (x, w) => conv(x, w, { padding: 1 }))],
    // prettier-ignore
    ["winogradGradWeight2d4", of([[2, 4, 10, 7], [2, 3, 10, 7]], (dy, x) => node(convGradWeightOp, gradient, [dy, x])[0])],
    ["matmul", of([[10, 4000], [4000, 12]], (a, b) => matmul(a, b))], // prettier-ignore
    ["reduce", of([[70_001]], (x) => sum(x))],
  ];
  let gpu: GpuBackend;
  let poison: () => void;
  beforeAll(async () => {
    gpu = await createGpu({ gpu: await softwareGpu() });
    // NaN in six buffers, each larger than any case needs.
    const graph = of([[128, 128]], (x) => {
      const ys = [x];
      for (let i = 0; i < 6; i++) ys.push(matmul(ys[i], x));
      return ys.reduce((a, b) => matmul(a, b));
    });
    const [program, x, y] = [
      gpu.compile(graph),
      filled(gpu, graph.inputs[0]),
      filled(gpu, graph.outputs[0]),
    ];
    poison = () => program.run([x], [y]);
  });
  afterAll(() => gpu.dispose());

  it.each(cases)("%s", { timeout: 60_000 }, async (kernel, graph) => {
    const compile = (g: Graph) => gpu.compile(g, { prefer: [kernel] });
    const before = gpu.memory().programBytes;
    const program = compile(graph);
    expect(program.bytes).toBeGreaterThan(0);
    // tables at most: the other buffers exist, with the values of other programs
    expect(gpu.memory().programBytes - before).toBeLessThan(1000);
    program.dispose();
    poison();
    // prettier-ignore
    await check({ ...gpu, compile }, graph, graph.inputs.map((v, i) => draw(v.spec, "normal", `${kernel} ${i}`)));
  });
});
