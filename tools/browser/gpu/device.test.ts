// Failures of a device in a browser, where the GPU is in another process: the device is lost, or
// lacks memory.

import { createGpu } from "@conv/kernels-gpu";
import { mul } from "@conv/ops";
import { spec, trace } from "@conv/tensor";
import { expect, test, vi } from "vitest";
import { cdp } from "vitest/browser";

const double = trace((x) => mul(x, 2), [spec([4])]);

async function computes(): Promise<void> {
  const gpu = await createGpu();
  const [x, y] = [gpu.alloc(16), gpu.alloc(16)];
  gpu.write(x, Float32Array.of(1, 2, 3, 4));
  gpu.compile(double).run([x], [y]);
  expect([...new Float32Array(await gpu.read(y))]).toEqual([2, 4, 6, 8]);
  gpu.dispose();
}

test("a device that is lost fails what waits by name, and another can be made", async () => {
  const requested = vi.spyOn(GPUAdapter.prototype, "requestDevice");
  const gpu = await createGpu();
  const device = await requested.mock.results[0].value;
  requested.mockRestore();
  const [x, y] = [gpu.alloc(16), gpu.alloc(16)];
  gpu.compile(double).run([x], [y]);
  const waiting = gpu.read(y);
  device.destroy();
  await expect(waiting).rejects.toThrow(
    /^gpu: the device was lost \(destroyed.*\); create the back end again$/,
  );
  expect(() => gpu.alloc(4)).toThrow(await gpu.lost);
  gpu.dispose();
  await computes();
});

test("so does one whose process ends", async () => {
  const gpu = await createGpu();
  void cdp().send("Browser.crashGpuProcess");
  expect(await gpu.lost).toMatch(
    /^gpu: the device was lost \(unknown.*\); create the back end again$/,
  );
  expect(() => gpu.alloc(4)).toThrow(await gpu.lost);
  gpu.dispose();
  await computes();
});

test("disposing of a back end ends what waits", async () => {
  const gpu = await createGpu();
  const waiting = gpu.read(gpu.alloc(16));
  gpu.dispose();
  await expect(waiting).rejects.toThrow(
    expect.objectContaining({ message: "gpu: the back end is disposed", code: "disposed" }),
  );
});

test("memory that the device does not have is reported with its size, and only the tensor is lost", async ({
  skip,
}) => {
  const gpu = await createGpu();
  skip(!/swiftshader/i.test(gpu.adapter), "only SwiftShader has little memory");
  const small = gpu.alloc(16);
  gpu.write(small, Float32Array.of(1, 2, 3, 4));
  const large = gpu.alloc(gpu.caps.bufferBytes);
  gpu.write(large, new Float32Array(4));
  await expect(gpu.read(small)).rejects.toThrow(
    expect.objectContaining({
      name: "RangeError",
      message:
        "gpu: out of memory: 1073741824 bytes for a tensor; live tensors: 2 (1073741840 bytes), programs: 0 (0 bytes); free tensors with scope() or using",
    }),
  );
  gpu.free(large);
  expect([...new Float32Array(await gpu.read(small))]).toEqual([1, 2, 3, 4]);
  gpu.dispose();
});
