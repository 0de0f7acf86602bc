// Which back end is taken, what is said about those that were not, and that nothing of them stays.

import { createCpu } from "@conv/kernels-cpu";
import { createHost, UnsupportedError } from "@conv/tensor";
import { afterEach, expect, test, vi } from "vitest";
import { createBest, type Candidate } from "../src/index.ts";

afterEach(() => vi.restoreAllMocks());

/** The host in the place of an imitated device, which it is: it tells when it is released. */
function imitation(): Candidate & { released: boolean } {
  const host = { ...createHost(), software: true, released: false };
  return Object.assign(host, { dispose: () => void (host.released = true) });
}
const cpu = () => createCpu({ threads: 1 });
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
    passed: [{ name: "cpu", reason: "this engine has no WebAssembly SIMD" }],
    why: "host, not cpu (this engine has no WebAssembly SIMD)",
  });
  expect(backend.name).toBe("host");
});

test("an imitated device comes last, wherever it stands", async () => {
  const first = imitation();
  const { backend, ...said } = await createBest({ gpu: () => first, cpu });
  expect(said).toEqual({
    chosen: "cpu",
    passed: [{ name: "gpu", reason: "it is imitated by the processor" }],
    why: "cpu, not gpu (it is imitated by the processor)",
  });
  expect(first.released).toBe(true);
  backend.dispose();

  withoutSimd();
  const [one, other] = [imitation(), imitation()];
  const last = await createBest({ gpu: () => one, cpu, other: () => other });
  expect(last).toMatchObject({ backend: one, chosen: "gpu" });
  expect(last.why).toBe("gpu, not cpu (this engine has no WebAssembly SIMD) nor other (it is imitated by the processor)");
  expect([one.released, other.released]).toEqual([false, true]);
});

test("where none can be had, all reasons are given", async () => {
  withoutSimd();
  const both = { cpu, threads: () => createCpu() };
  const reasons = "cpu (this engine has no WebAssembly SIMD), threads (cpu: this engine has no WebAssembly SIMD)";
  await expect(createBest(both)).rejects.toThrow(new UnsupportedError(`best: no back end can be had: ${reasons}`));
  await expect(createBest({})).rejects.toThrow(new UnsupportedError("best: no back end can be had: none is named"));
});

test("a mistake is not passed over", async () => {
  const held = imitation();
  const mistaken = createBest({ gpu: () => held, cpu: () => createCpu({ threads: 0 }), host: createHost });
  await expect(mistaken).rejects.toThrow(new RangeError("cpu: threads 0 is not a whole number ≥ 1"));
  expect(held.released).toBe(true);
});
