// Devices that are lost, run out of memory, have small limits or are disposed during work, and the
// memory that is held.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { add, concat, conv, map, matmul, mul, relu, sum, type Expr } from "@conv/ops";
import { spec, trace, type Buffer, type Graph } from "@conv/tensor";
import { check, draw } from "@conv/testkit";
import { asCore, softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createGpu, type GpuBackend, type GpuOptions } from "../src/index.ts";
import { refused } from "./refused.ts";

const made: GpuBackend[] = [];
afterEach(() => {
  for (const backend of made.splice(0)) backend.dispose();
  vi.restoreAllMocks();
});

/** A back end and its device. */
async function open(options: GpuOptions = {}): Promise<{ gpu: GpuBackend; device: GPUDevice }> {
  const webgpu = options.gpu ?? (await softwareGpu());
  const requested = vi.spyOn(GPUAdapter.prototype, "requestDevice");
  const gpu = await createGpu({ ...options, gpu: webgpu });
  made.push(gpu);
  return { gpu, device: await requested.mock.results[0].value };
}

const letter = (i: number) => String.fromCharCode(97 + i);
const double: Graph = trace((x) => mul(x, 2), [spec([4])]);
const holding = (gpu: GpuBackend, ...values: number[]): Buffer => {
  const buffer = gpu.alloc(4 * values.length);
  gpu.write(buffer, Float32Array.from(values));
  return buffer;
};
const numbers = async (gpu: GpuBackend, buffer: Buffer) => [
  ...new Float32Array(await gpu.read(buffer)),
];

/** Other adapters have so much memory that no test should exhaust it. */
const isSwiftShader = (gpu: GpuBackend) => /swiftshader/i.test(gpu.adapter);
const SKIPPED = "only SwiftShader has little memory";

describe("a device that is lost", () => {
  const GONE =
    "gpu: the device was lost (destroyed: device was destroyed); create the back end again";
  const lost = refused("Error", GONE, "device-lost", { reason: "destroyed: device was destroyed" });

  it("fails waiting and later calls with the reason, and another back end can be made", async () => {
    const { gpu, device } = await open();
    const program = gpu.compile(double);
    const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
    program.run([x], [y]);
    const waiting = gpu.read(y);
    device.destroy();
    await expect(waiting).rejects.toThrow(lost);
    expect(await gpu.lost).toBe(GONE);
    await expect(gpu.read(y)).rejects.toThrow(lost);
    for (const call of [
      () => gpu.alloc(4),
      () => gpu.write(x, new Float32Array(4)),
      () => gpu.compile(double),
      () => program.run([x], [y]),
    ])
      expect(call).toThrow(lost);
    program.dispose();
    gpu.free(x);
    gpu.dispose();

    const { gpu: next } = await open();
    const again = next.compile(double);
    const [a, b] = [holding(next, 1, 2, 3, 4), next.alloc(16)];
    again.run([a], [b]);
    expect(await numbers(next, b)).toEqual([2, 4, 6, 8]);
  });
  it("fails a timing", async () => {
    const { gpu, device } = await open();
    const program = gpu.compile(double);
    const timing = program.time([holding(gpu, 1, 2, 3, 4)], [gpu.alloc(16)]);
    device.destroy();
    await expect(timing).rejects.toThrow(lost);
  });
});

it("dispose ends waiting calls", async () => {
  const { gpu } = await open();
  const program = gpu.compile(double);
  const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
  program.run([x], [y]);
  const waiting = [gpu.read(y), program.time([x], [y])];
  gpu.dispose();
  for (const each of waiting)
    await expect(each).rejects.toThrow(
      expect.objectContaining({ message: "gpu: the back end is disposed", code: "disposed" }),
    );
  expect(await gpu.lost).toBe("gpu: the back end is disposed");
  expect(gpu.memory()).toEqual({ buffers: 0, bytes: 0, programs: 0, programBytes: 0 });
  await program.ready;
});

describe("memory", () => {
  it("that a tensor lacks is reported once, with its size", async ({ skip }) => {
    const { gpu } = await open();
    skip(!isSwiftShader(gpu), SKIPPED);
    const small = holding(gpu, 1, 2, 3, 4);
    const large = gpu.alloc(gpu.caps.bufferBytes);
    gpu.write(large, new Float32Array(4));
    await expect(gpu.read(small)).rejects.toThrow(
      refused(
        "RangeError",
        "gpu: out of memory: 1073741824 bytes for a tensor; live tensors: 2 (1073741840 bytes), programs: 0 (0 bytes); free tensors with scope() or using",
        "out-of-memory",
        { bytes: 1073741824, what: "a tensor" },
      ),
    );
    gpu.free(large);
    expect(await numbers(gpu, small)).toEqual([1, 2, 3, 4]);
    await check(gpu, double, [draw(spec([4]), undefined, "after")]);
  });

  it("that a program lacks is reported with its size, and other programs run on", async ({
    skip,
  }) => {
    const { gpu } = await open();
    skip(!isSwiftShader(gpu), SKIPPED);
    const of = (size: number) =>
      gpu.compile(trace((x, y) => sum(matmul(x, y)), [spec([size, 1]), spec([1, size])]));
    const [small, large] = [of(2), of(2 ** 14)];
    const [x, y, z] = [gpu.alloc(2 ** 16), gpu.alloc(2 ** 16), gpu.alloc(4)];
    for (const buffer of [x, y]) gpu.write(buffer, Float32Array.of(3, 4));
    const lacking = async () => {
      large.run([x, y], [z]);
      await expect(gpu.read(z)).rejects.toThrow(
        /^gpu: out of memory: 1073741824 bytes for the working memory of a program; live tensors: 3 \(131076 bytes\), programs: 2 \(107374\d{4} bytes\); free tensors with scope/,
      );
    };
    await lacking();
    small.run([x, y], [z]);
    expect(await numbers(gpu, z)).toEqual([49]);
    await lacking();
    large.dispose();
    small.run([x, y], [z]);
    expect(await numbers(gpu, z)).toEqual([49]);
    small.dispose();
    expect(gpu.memory()).toEqual({ buffers: 3, bytes: 2 ** 17 + 4, programs: 0, programBytes: 0 });
  });

  it("does not grow with runs, programs and tensors", { timeout: 120_000 }, async () => {
    const { gpu } = await open();
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const graph = trace((x, y) => relu(add(matmul(x, y), x)), [spec([8, 8]), spec([8, 8])]);
    const kept = [gpu.alloc(256), gpu.alloc(256), gpu.alloc(256)];
    for (const buffer of kept) gpu.write(buffer, new Float32Array(64));
    const program = gpu.compile(graph);
    const held = gpu.memory();
    const runs = async (count: number): Promise<NodeJS.MemoryUsage> => {
      for (let i = 1; i <= count; i++) {
        program.run([kept[0], kept[1]], [kept[2]]);
        if (i % 10 === 0) {
          const [other, more] = [gpu.compile(graph), gpu.alloc(256)];
          other.run([kept[0], kept[1]], [more]);
          other.dispose();
          gpu.free(more);
        }
        if (i % 100 === 0) await gpu.read(kept[2]);
      }
      collect();
      return process.memoryUsage();
    };
    const before = await runs(1500);
    const after = await runs(4000);
    expect(gpu.memory()).toEqual(held);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(8e5); // 200 bytes a run: each thing of WebGPU's has an object there
    // the driver allocates its pools in steps of 30 MB
    expect(after.rss - before.rss).toBeLessThan(200e6);
  });
});

describe("limits of the adapter", () => {
  it("a tensor larger than the largest buffer", async () => {
    const { gpu } = await open({ gpu: validatingGpu() });
    expect(() => gpu.alloc(2 ** 28 + 4)).toThrow(
      refused(
        "RangeError",
        "gpu: 268435472 bytes for a tensor are too many: a buffer of this adapter holds 268435456",
        "buffer-too-large",
        { bytes: 268435472, what: "a tensor", most: 268435456 },
      ),
    );
    expect(gpu.memory().buffers).toBe(0);
  });

  it("an input, and an intermediate value, larger than the largest binding", async () => {
    const { gpu } = await open({ gpu: validatingGpu() });
    const most = 2 ** 25; // floats in 128 MiB
    expect(() => gpu.compile(trace((x) => relu(x), [spec([most + 1])]))).toThrow(
      refused(
        "RangeError",
        "gpu: a value of shape 33554433 takes 134217732 bytes, a kernel of this adapter can bind 134217728",
        "binding-too-large",
        { bytes: 134217732, most: 134217728 },
      ),
    );
    expect(() =>
      gpu.compile(trace((x, y) => sum(matmul(x, y)), [spec([most / 8, 1]), spec([1, 9])])),
    ).toThrow(
      refused(
        "RangeError",
        "gpu: matmul into 4194304×9 takes 150994944 bytes, a kernel of this adapter can bind 134217728",
        "binding-too-large",
        { what: "matmul into 4194304×9" },
      ),
    );
    expect(gpu.memory().programs).toBe(0);
    gpu.compile(trace((x) => relu(x), [spec([most])])).dispose();
  });

  it.each([4, 7, 40])("%i operands, on an adapter whose kernels bind 8 buffers", async (count) => {
    const { gpu } = await open({ gpu: asCore(await softwareGpu()) });
    expect([gpu.caps.storageBuffers, gpu.caps.f16, gpu.caps.subgroups]).toEqual([8, false, false]);
    const shapes = Array.from({ length: count }, () => spec([3, 5]));
    const chain = trace((...xs) => xs.reduce((y, x, i) => (i % 2 ? mul(y, x) : add(y, x))), shapes);
    const joined = trace((...xs) => concat(xs, 1), shapes);
    const inputs = shapes.map((s, i) => draw(s, undefined, `operand ${i}`));
    await check(gpu, chain, inputs);
    await check(gpu, joined, inputs);
  });

  it.each([
    [8, [6, 5]],
    [13, [3, 8]],
    [13, [7, 4, 4]],
  ])(
    "one expression of %i tensors of %j, on an adapter whose kernels bind 8 buffers",
    async (count, shape) => {
      const { gpu } = await open({ gpu: asCore(await softwareGpu()) });
      const f = Array.from({ length: count - 1 }, (_, i) => i + 1).reduce<Expr>(
        (e, i) => [i % 2 ? "sub" : "mul", e, letter(i)],
        letter(0),
      );
      // Whole, along the last axis, along the first, and one number.
      const shapes = Array.from(
        { length: count },
        (_, i) => [shape, shape.slice(-1), [shape[0], ...shape.slice(1).map(() => 1)], []][i % 4],
      );
      const graph = trace(
        (...xs) => map("expression", f, xs),
        shapes.map((s) => spec(s)),
      );
      await check(
        gpu,
        graph,
        graph.inputs.map((v, i) => draw(v.spec, undefined, `operand ${i}`)),
      );
    },
  );
});

describe("before pipelines are compiled", () => {
  it("runs, writes and frees keep their order", async () => {
    const { gpu } = await open();
    const [plus, times] = [gpu.compile(trace((x) => add(x, 1), [spec([4])])), gpu.compile(double)];
    const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
    plus.run([x], [y]);
    times.run([y], [y]);
    gpu.write(x, Float32Array.of(10, 20, 30, 40));
    const first = numbers(gpu, y);
    plus.run([y], [y]);
    times.run([x], [x]);
    gpu.write(y, Float32Array.of(0.5));
    const second = numbers(gpu, x);
    times.run([y], [x]);
    gpu.free(y);
    times.dispose();
    expect(await Promise.all([first, second, numbers(gpu, x)])).toEqual([
      [4, 6, 8, 10],
      [20, 40, 60, 80],
      [1, 14, 18, 22],
    ]);
  });

  it("progress is reported, and known shaders are not compiled again", async () => {
    const seen: [number, number][] = [];
    const { gpu } = await open({ onProgress: (ready, total) => seen.push([ready, total]) });
    const graph = trace(
      (x, w) => relu(matmul(sum(conv(x, w), [0, 1]), sum(x, [0, 1]))),
      [spec([1, 2, 6, 6]), spec([3, 2, 1, 1])],
    );
    const program = gpu.compile(graph);
    await program.ready;
    const total = new Set(program.shaders.map(({ code }) => code)).size;
    expect(seen).toEqual(Array.from({ length: total }, (_, i) => [i + 1, total]));
    await gpu.compile(graph).ready;
    expect(seen).toHaveLength(total);
  });
});

it("programs and back ends work side by side", async () => {
  const both = [(await open()).gpu, (await open()).gpu];
  const jobs = both.flatMap((gpu, b) =>
    Array.from({ length: 6 }, async (_, i) => {
      const program = gpu.compile(trace((x) => add(mul(x, i + 2), b), [spec([2])]));
      const x = holding(gpu, 1, 0);
      for (let round = 0; round < 3; round++) {
        program.run([x], [x]);
        if (round === i % 3) await program.ready;
      }
      const [got] = await numbers(gpu, x);
      program.dispose();
      return [got, [0, 1, 2].reduce((v) => v * (i + 2) + b, 1)];
    }),
  );
  for (const [got, want] of await Promise.all(jobs)) expect(got).toBe(want);
});

it("a shader that does not compile fails each run of its programs", async () => {
  const { gpu } = await open();
  const spy = vi
    .spyOn(GPUDevice.prototype, "createComputePipelineAsync")
    .mockRejectedValue(new Error("the driver gave up"));
  const [one, other] = [gpu.compile(double), gpu.compile(double)];
  const [x, y] = [holding(gpu, 1, 2, 3, 4), gpu.alloc(16)];
  for (const program of [one, other, one]) {
    program.run([x], [y]);
    await expect(gpu.read(y)).rejects.toThrow(
      refused(
        "Error",
        /^gpu: the device cannot compile the shader of elementwise: the driver gave up\n/,
        "shader-refused",
        { label: "elementwise", reason: "the driver gave up" },
      ),
    );
  }
  spy.mockRestore();
  expect(await numbers(gpu, x)).toEqual([1, 2, 3, 4]);
});
