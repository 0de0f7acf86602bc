// Everything that the contract of a back end promises, on one thread; and a share of the cases
// where the same kernels run on two, or off the calling thread, or at addresses above 2 GiB.

import { testBackend } from "@conv/testkit";
import { createCpu, type CpuBackend } from "../src/index.ts";

testBackend("cpu, 1 thread", () => createCpu({ threads: 1 }));
testBackend("cpu, 2 threads", () => createCpu({ threads: 2 }), { every: 6 });
testBackend("cpu, off thread, 1 thread", () => createCpu({ threads: 1, offThread: true }), {
  every: 16,
});
testBackend("cpu, off thread, 2 threads", () => createCpu({ threads: 2, offThread: true }), {
  every: 16,
});

/**
 * Memory is filled so far that what is allocated next lies on both sides of 2 GiB: an address may
 * have its highest bit set. Untouched pages cost nothing.
 */
async function filled(): Promise<CpuBackend> {
  const cpu = await createCpu({ threads: 1 });
  cpu.alloc(2 ** 30);
  cpu.alloc(2 ** 30 - 2 ** 16);
  return cpu;
}
testBackend("cpu, addresses across 2 GiB", filled, {
  only: ["cases", "fused", "training", "edges"],
  every: 16,
});
