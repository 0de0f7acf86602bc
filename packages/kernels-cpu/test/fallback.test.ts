// Where memory cannot be shared the back end runs on one thread, gives the reason, and says so
// once.

import { afterEach, expect, it, vi } from "vitest";
import { createCpu } from "../src/index.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

it("says once why it runs on one thread, and works", async () => {
  vi.resetModules(); // other files of this process may have made it say so
  const [{ createCpu }, { relu }, { spec, trace }] = await Promise.all([
    import("../src/index.ts"),
    import("@conv/ops"),
    import("@conv/tensor"),
  ]);
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.stubGlobal("crossOriginIsolated", false);
  const isolated = await createCpu({ threads: 4 });
  expect(isolated.caps.threads).toBe(1);
  expect(isolated.singleThreadReason).toBe(
    "the page is not cross-origin isolated, so memory cannot be shared",
  );
  vi.unstubAllGlobals();

  // An engine that refuses shared memory.
  const { Memory } = WebAssembly;
  vi.spyOn(WebAssembly, "Memory").mockImplementation(function (
    descriptor: WebAssembly.MemoryDescriptor,
  ) {
    if (descriptor.shared) throw new RangeError("shared memory is disabled");
    return new Memory(descriptor);
  });
  const refused = await createCpu({ threads: 2 });
  expect(refused.caps.threads).toBe(1);
  expect(refused.singleThreadReason).toBe("shared memory is disabled");
  expect(warn.mock.calls).toEqual([
    [
      "@conv/kernels-cpu: running on one thread (the page is not cross-origin isolated, so memory cannot be shared)",
    ],
  ]);

  for (const cpu of [isolated, refused]) {
    const program = cpu.compile(trace((x) => relu(x), [spec([3])]));
    const [x, y] = [cpu.alloc(12), cpu.alloc(12)];
    cpu.write(x, Float32Array.of(-1, 2, 3));
    program.run([x], [y]);
    expect([...new Float32Array(await cpu.read(y))]).toEqual([0, 2, 3]);
    cpu.dispose();
  }
});

it("gives no reason where one thread was asked for", async () => {
  const warn = vi.spyOn(console, "warn");
  const cpu = await createCpu({ threads: 1 });
  expect(cpu.singleThreadReason).toBeNull();
  expect(warn).not.toHaveBeenCalled();
  cpu.dispose();
});

it("refuses a number of threads that is none", async () => {
  await expect(createCpu({ threads: 0 })).rejects.toThrow(
    expect.objectContaining({
      name: "RangeError",
      message: "cpu: threads is 0, must be a whole number ≥ 1",
    }),
  );
  await expect(createCpu({ threads: 1.5 })).rejects.toThrow(
    expect.objectContaining({
      name: "RangeError",
      message: "cpu: threads is 1.5, must be a whole number ≥ 1",
    }),
  );
});
