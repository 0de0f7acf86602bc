// Devices that the application owns, disposal at any time, and allocations that fail: no call waits
// forever, and no memory leaks.

import { add, conv, mul, relu, sum } from "@conv/ops";
import { spec, trace, type Buffer, type Graph } from "@conv/tensor";
import { softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { describe, expect, it, vi } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";
import { refused } from "./refused.ts";

const double: Graph = trace((x) => mul(x, 2), [spec([4])]);
const holding = (gpu: GpuBackend, ...values: number[]): Buffer => {
  const buffer = gpu.alloc(4 * values.length);
  gpu.write(buffer, Float32Array.from(values));
  return buffer;
};
const numbers = async (gpu: GpuBackend, buffer: Buffer) => [
  ...new Float32Array(await gpu.read(buffer)),
];
const deviceOf = async (gpu: GPU): Promise<GPUDevice> =>
  (await gpu.requestAdapter())!.requestDevice();

describe("a device of the application", () => {
  it("runs programs, and stays alive with the errors of the application", async () => {
    const device = await deviceOf(await softwareGpu());
    const heard: string[] = [];
    device.addEventListener("uncapturederror", ({ error }) => void heard.push(error.message));
    const own = device.createBuffer({ size: 16, usage: 0x0c });
    const [one, other] = [await createGpu({ device }), await createGpu({ device })];
    expect(one.adapter).toMatch(/swiftshader|adapter/i);
    const program = one.compile(double);
    const [x, y] = [holding(one, 1, 2, 3, 4), one.alloc(16)];
    program.run([x], [y]);
    expect(await numbers(one, y)).toEqual([2, 4, 6, 8]);
    device.createBuffer({ size: 4, usage: 0 }); // an error of the application's, while the back end runs
    const made = vi.spyOn(GPUBuffer.prototype, "destroy");
    one.dispose();
    expect(made.mock.contexts).toHaveLength(2);
    expect(made.mock.contexts).not.toContain(own);
    made.mockRestore();
    expect(await one.lost).toBe("gpu: the back end is disposed");
    const [a, b] = [holding(other, 5), other.alloc(4)];
    other.compile(trace((v) => add(v, 1), [spec([1])])).run([a], [b]);
    expect(await numbers(other, b)).toEqual([6]);
    other.dispose();
    device.queue.writeBuffer(own, 0, new Uint8Array(16));
    await device.queue.onSubmittedWorkDone();
    expect(await device.popErrorScope().then(String, (error: unknown) => String(error))).toMatch(
      /error scope|null/i,
    ); // none is left open
    await vi.waitFor(() => expect(heard).toHaveLength(1));
    device.destroy();
  });

  it("ends waiting reads when the back end is disposed", async () => {
    const device = await deviceOf(await softwareGpu());
    const gpu = await createGpu({ device });
    const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
    gpu.compile(double).run([x], [y]);
    const waiting = gpu.read(y);
    gpu.dispose();
    await expect(waiting).rejects.toThrow(
      expect.objectContaining({ message: "gpu: the back end is disposed", code: "disposed" }),
    );
    device.destroy();
  });

  it("fails every call with the reason once it is lost", async () => {
    const device = await deviceOf(await softwareGpu());
    const gpu = await createGpu({ device });
    const x = holding(gpu, 1);
    device.destroy();
    const gone = await gpu.lost;
    expect(gone).toMatch(/^gpu: the device was lost \(destroyed/);
    const lost = refused("Error", gone, "device-lost", {
      reason: "destroyed: device was destroyed",
    });
    expect(() => gpu.alloc(4)).toThrow(lost);
    await expect(gpu.read(x)).rejects.toThrow(lost);
    gpu.dispose();
  });
});

describe("every wait ends", () => {
  const never = () => new Promise<never>(() => {});
  it.each(["createComputePipelineAsync", "popErrorScope"] as const)(
    "a device whose %s never answers is lost",
    async (method) => {
      const gpu = await createGpu({ gpu: await softwareGpu() });
      const silent = vi.spyOn(GPUDevice.prototype, method).mockImplementation(never);
      const lose = vi.spyOn(GPUDevice.prototype, "createBuffer");
      const program = gpu.compile(double);
      const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
      program.run([x], [y]);
      const waiting = gpu.read(y);
      (lose.mock.contexts[0] as GPUDevice).destroy();
      await expect(waiting).rejects.toThrow(/^gpu: the device was lost/);
      await program.ready;
      silent.mockRestore();
      lose.mockRestore();
      gpu.dispose();
    },
  );

  it("dispose while mapAsync never answers", async () => {
    const gpu = await createGpu({ gpu: await softwareGpu() });
    const x = holding(gpu, 1);
    const silent = vi.spyOn(GPUBuffer.prototype, "mapAsync").mockImplementation(never);
    const waiting = gpu.read(x);
    await Promise.resolve();
    gpu.dispose();
    await expect(waiting).rejects.toThrow(
      expect.objectContaining({ message: "gpu: the back end is disposed", code: "disposed" }),
    );
    silent.mockRestore();
  });

  it("dispose twice, and of its programs and tensors later, does nothing", async () => {
    const gpu = await createGpu({ gpu: validatingGpu() });
    const [program, x] = [gpu.compile(double), gpu.alloc(16)];
    gpu.dispose();
    gpu.dispose();
    program.dispose();
    gpu.free(x);
    const gone = expect.objectContaining({
      message: "gpu: the back end is disposed",
      code: "disposed",
    });
    for (const call of [
      () => gpu.alloc(4),
      () => gpu.write(x, new Float32Array(1)),
      () => gpu.compile(double),
      () => program.run([x], [x]),
    ])
      expect(call).toThrow(gone);
    await expect(gpu.read(x)).rejects.toThrow(gone);
    await expect(program.time([x], [x])).rejects.toThrow(gone);
  });
});

it("buffers of another GPU back end are refused", async () => {
  const [one, other] = [
    await createGpu({ gpu: validatingGpu() }),
    await createGpu({ gpu: validatingGpu() }),
  ];
  const [mine, theirs, program] = [one.alloc(16), other.alloc(16), one.compile(double)];
  const refusal = expect.objectContaining({
    message: "gpu: the buffer belongs to another back end",
    code: "foreign-buffer",
  });
  expect(() => program.run([theirs], [mine])).toThrow(refusal);
  expect(() => program.run([mine], [theirs])).toThrow(refusal);
  expect(() => one.write(theirs, new Float32Array(1))).toThrow(refusal);
  await expect(one.read(theirs)).rejects.toThrow(refusal);
  await expect(program.time([theirs], [mine])).rejects.toThrow(refusal);
  for (const gpu of [one, other]) gpu.dispose();
});

describe("a failed allocation leaves memory as it was", () => {
  // Steps with memory between them, tables, and an output that replaces an input too early.
  const graph = trace(
    (x, w) => [relu(add(conv(x, w, { padding: 1 }), sum(x))), sum(x, [0, 1])],
    [spec([1, 2, 6, 6]), spec([2, 2, 3, 3])],
  );
  const act = async (gpu: GpuBackend): Promise<void> => {
    const made: { free(): void }[] = [];
    const held = (buffer: Buffer) => (made.push({ free: () => gpu.free(buffer) }), buffer);
    try {
      const program = gpu.compile(graph, { prefer: ["winograd2d6"] });
      made.push({ free: () => program.dispose() });
      const [x, w, s] = [288, 144, 144].map((bytes) => held(gpu.alloc(bytes)));
      program.run([x, w], [x, s]);
      await gpu.read(x);
    } finally {
      for (const { free } of made) free();
    }
  };

  it.each(["createBuffer", "createShaderModule", "createBindGroup"] as const)(
    "%s",
    async (method) => {
      const gpu = await createGpu({ gpu: validatingGpu() });
      const before = gpu.memory();
      const counting = vi.spyOn(GPUDevice.prototype, method);
      await act(gpu);
      const count = counting.mock.calls.length;
      const [made, freed] = [
        vi.spyOn(GPUDevice.prototype, "createBuffer"),
        vi.spyOn(GPUBuffer.prototype, "destroy"),
      ];
      expect(count).toBeGreaterThan(method === "createShaderModule" ? 3 : 4);
      for (let k = 0; k < count; k++) {
        for (const spy of [counting, made, freed]) spy.mockClear();
        const fresh =
          method === "createShaderModule" ? await createGpu({ gpu: validatingGpu() }) : gpu;
        const real = GPUDevice.prototype[method];
        let calls = 0;
        const failing = vi
          .spyOn(GPUDevice.prototype, method as "createBuffer")
          .mockImplementation(function (this: GPUDevice, ...args) {
            if (calls++ === k) throw new RangeError("no room");
            return Reflect.apply(real, this, args);
          });
        await expect(act(fresh)).rejects.toThrow("no room");
        failing.mockRestore();
        expect(fresh.memory()).toEqual(before);
        if (fresh !== gpu) fresh.dispose();
        await act(gpu); // and it goes on working
      }
      counting.mockRestore();
      gpu.dispose();
    },
  );
});
