// The CPU back end meets its contract in a browser too: with threads where memory can be shared, and on one thread elsewhere.

import { createCpu } from "@conv/kernels-cpu";
import { testBackend } from "@conv/testkit";
import { expect, inject, test } from "vitest";

testBackend("cpu", () => createCpu());
if (inject("joined")) testBackend("cpu, 256 bits", () => createCpu({ simd256: true }));

test("pairs of vectors are joined where Chromium is told to, and the reason is told where not", async () => {
  const cpu = await createCpu({ threads: 1, simd256: true });
  const reason = "the engine does not join pairs of vectors (it needs --experimental-wasm-revectorize, and AVX2)";
  expect([cpu.caps.simd256, cpu.simd256Reason]).toEqual(inject("joined") ? [true, null] : [false, reason]);
  cpu.dispose();
});

test("threads run where memory can be shared, and the reason is told where not", async () => {
  const cpu = await createCpu({ threads: 2 });
  expect(cpu.caps.threads).toBe(inject("isolated") ? 2 : 1);
  expect(cpu.singleThreadReason === null).toBe(inject("isolated"));
  cpu.dispose();
});
