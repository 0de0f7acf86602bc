// The CPU back end meets its contract in a browser too: with threads where memory can be shared, and on one thread elsewhere.

import { createCpu } from "@conv/kernels-cpu";
import { testBackend } from "@conv/testkit";
import { expect, inject, test } from "vitest";

testBackend("cpu", () => createCpu());

test("threads run where memory can be shared, and the reason is told where not", async () => {
  const cpu = await createCpu({ threads: 2 });
  expect(cpu.caps.threads).toBe(inject("isolated") ? 2 : 1);
  expect(cpu.singleThreadReason === null).toBe(inject("isolated"));
  cpu.dispose();
});
