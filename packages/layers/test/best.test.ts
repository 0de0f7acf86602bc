// Which back end is taken, what is said about those that were not, and that nothing of them stays.

import { createCpu } from "@conv/kernels-cpu";
import { createGpu, type GpuBackend } from "@conv/kernels-gpu";
import { createHost } from "@conv/tensor";
import { softwareGpu } from "@conv/testkit/webgpu";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createBest } from "../src/index.ts";
import { failure } from "./tiny.ts";

const webgpu = await softwareGpu();
/**
 * Where the tests have no driver of their own, and run on the machine's, that may be a real one.
 */
const isSoftware = await createGpu({ gpu: webgpu }).then(
  (backend) => (backend.dispose(), backend.software),
);
let made: GpuBackend[];
beforeEach(() => {
  made = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const backend of made) backend.dispose();
});

const cpu = () => createCpu({ threads: 1 });
async function gpu() {
  const backend = await createGpu({ gpu: webgpu });
  made.push(backend);
  return backend;
}
const isReleased = (backend: GpuBackend) =>
  expect(() => backend.alloc(4)).toThrow("gpu: the back end is disposed");
/** From here on the engine validates nothing, as one without SIMD does with modules that use it. */
const withoutSimd = () => void vi.spyOn(WebAssembly, "validate").mockReturnValue(false);

test("the first that can be had is taken, and nothing after it is tried", async () => {
  const { backend, ...said } = await createBest({ cpu, host: () => expect.unreachable() });
  expect(said).toEqual({ chosen: "cpu", passed: [], why: "cpu, the first choice" });
  expect(backend.name).toBe("cpu");
  backend.dispose();
});

test("one that can't be had is passed over, with the reason", async () => {
  withoutSimd();
  const { backend, ...said } = await createBest({ cpu, host: createHost });
  expect(said).toEqual({
    chosen: "host",
    passed: [
      {
        name: "cpu",
        reason: "this engine has no WebAssembly SIMD",
        error: failure("UnsupportedError", "cpu: this engine has no WebAssembly SIMD", "engine"),
      },
    ],
    why: "host, not cpu (this engine has no WebAssembly SIMD)",
  });
  expect(backend.name).toBe("host");
});

test.runIf(isSoftware)("an emulated device comes last, wherever it stands", async () => {
  const { backend, ...said } = await createBest({ gpu, cpu });
  expect(said).toEqual({
    chosen: "cpu",
    passed: [{ name: "gpu", reason: "it is emulated in software", error: null }],
    why: "cpu, not gpu (it is emulated in software)",
  });
  expect(backend.name).toBe("cpu");
  isReleased(made[0]);
  backend.dispose();

  withoutSimd();
  const last = await createBest({ gpu, cpu, other: gpu });
  expect(last).toMatchObject({ backend: made[1], chosen: "gpu" });
  expect(last.why).toBe(
    "gpu, not cpu (this engine has no WebAssembly SIMD) nor other (it is emulated in software)",
  );
  expect(last.backend.alloc(4).bytes).toBe(4);
  isReleased(made[2]);

  const mistaken = createBest({ gpu, cpu: () => createCpu({ threads: 0 }) });
  await expect(mistaken).rejects.toThrow(
    expect.objectContaining({
      name: "RangeError",
      message: "cpu: threads is 0, must be a whole number ≥ 1",
    }),
  );
  isReleased(made[3]);
});

test("where none can be had, all reasons are given", async () => {
  withoutSimd();
  const both = { cpu, threads: () => createCpu() };
  const reasons =
    "cpu (this engine has no WebAssembly SIMD), threads (cpu: this engine has no WebAssembly SIMD)";
  await expect(createBest(both)).rejects.toThrow(
    failure("UnsupportedError", `best: no back end is available: ${reasons}`, "no-back-end"),
  );
  await expect(createBest({})).rejects.toThrow(
    failure("UnsupportedError", "best: no back end is available: the list of creators is empty"),
  );
});

test("a mistake is not passed over", async () => {
  const mistaken = createBest({ cpu: () => createCpu({ threads: 0 }), host: createHost });
  await expect(mistaken).rejects.toThrow(
    expect.objectContaining({
      name: "RangeError",
      message: "cpu: threads is 0, must be a whole number ≥ 1",
    }),
  );
});
