// Code for pairs of vectors: the trial at the start, and what the contract promises with what
// passes it, of the cases a share. Optimized code at once: what runs a few times only would never
// be joined.

import { setFlagsFromString } from "node:v8";
import { testBackend } from "@conv/testkit";
import { expect, it } from "vitest";
import { convolution, fused, kernels } from "../src/core.ts";
import { createCpu } from "../src/index.ts";
import { simd256 } from "../src/runtime/simd256.ts";

setFlagsFromString("--no-liftoff --no-wasm-inlining");

const REASON =
  "the engine does not join pairs of vectors (it needs --experimental-wasm-revectorize, and AVX2)";

it("takes what passes the trial (on x64 V8 joins from version 13 on), and says why it does without", async () => {
  const [plain, cpu] = [
    await createCpu({ threads: 1 }),
    await createCpu({ threads: 1, simd256: true }),
  ];
  const joins = process.arch === "x64" && Number.parseInt(process.versions.v8) > 12;
  expect([cpu.caps.simd256, cpu.simd256Reason]).toEqual(joins ? [true, null] : [false, REASON]);
  // Wide tiles whose vectors are not joined are slower than narrow ones.
  expect(await simd256.trial(kernels, plain, cpu)).toBe(REASON);
  expect(await simd256.trial([fused], plain, cpu)).toBe(
    "no kernel of the list is made for 256 bits",
  );
  expect(await simd256.trial(convolution, plain, cpu)).toBe(REASON);
  expect(plain.memory()).toEqual({ buffers: 0, bytes: 0, programs: 0, programBytes: 0 });
  plain.dispose();
  cpu.dispose();
});

testBackend("cpu, 1 thread, 256 bits", () => createCpu({ threads: 1, simd256: true }), {
  every: 8,
});
