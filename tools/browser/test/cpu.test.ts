// The CPU back end meets its contract in a browser: with threads where memory can be shared, on one
// thread elsewhere. All cases run in Node; a part of them runs here.

import { createCpu } from "@conv/kernels-cpu";
import { testBackend } from "@conv/testkit";
import { expect, inject, test } from "vitest";

testBackend("cpu", () => createCpu(), { every: 24 });
testBackend("cpu, off thread", () => createCpu({ offThread: true }), { every: 48 });
if (inject("joined"))
  testBackend("cpu, 256 bits", () => createCpu({ simd256: true }), { every: 24 });

test("pairs of vectors are joined where Chromium is told to, and the reason is told where not", async () => {
  const cpu = await createCpu({ threads: 1, simd256: true });
  const reason =
    "the engine does not join pairs of vectors (it needs --experimental-wasm-revectorize, and AVX2)";
  expect([cpu.caps.simd256, cpu.simd256Reason]).toEqual(
    inject("joined") ? [true, null] : [false, reason],
  );
  cpu.dispose();
});

test("threads run where memory can be shared, and the reason is told where not", async () => {
  const cpu = await createCpu({ threads: 2 });
  expect(cpu.caps.threads).toBe(inject("isolated") ? 2 : 1);
  expect(cpu.singleThreadReason === null).toBe(inject("isolated"));
  cpu.dispose();
});

test("a worker that has ended is noticed by the next read, and the back end can be made again", async () => {
  const { Worker: Real } = globalThis;
  const made: Worker[] = [];
  globalThis.Worker = class extends Real {
    constructor(url: string | URL) {
      super(url);
      made.push(this);
    }
  };
  try {
    for (const threads of inject("isolated") ? [1, 2] : [1])
      for (let victim = 0; victim < threads; victim++) {
        made.length = 0;
        const cpu = await createCpu({ threads, offThread: true });
        const buffer = cpu.alloc(4);
        await cpu.read(buffer);
        made[victim].terminate();
        const reads = async () => {
          for (;;) await cpu.read(buffer);
        };
        await expect(reads()).rejects.toThrow("cpu: a worker has ended; make the back end again");
        expect(() => cpu.alloc(4)).toThrow("cpu: a worker has ended; make the back end again");
        cpu.dispose();
      }
  } finally {
    globalThis.Worker = Real;
  }
});
