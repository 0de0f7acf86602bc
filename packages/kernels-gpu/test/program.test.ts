// Buffers of a program: updates in place, memory for outputs that replace inputs too early, shaders
// as text.

import { add, matmul, mul, relu } from "@conv/ops";
import { spec, trace, type Buffer } from "@conv/tensor";
import { softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

let gpu: GpuBackend;
beforeAll(async () => void (gpu = await createGpu({ gpu: await softwareGpu() })));
afterAll(() => gpu.dispose());

const holding = (...values: number[]): Buffer => {
  const buffer = gpu.alloc(4 * values.length);
  gpu.write(buffer, Float32Array.from(values));
  return buffer;
};
const numbers = async (buffer: Buffer) => [...new Float32Array(await gpu.read(buffer))];

describe("outputs in the place of inputs", () => {
  it("take no memory where the input is read element by element", async () => {
    const step = gpu.compile(
      trace(
        (w, v, g) => ((next) => [add(w, mul(next, -0.5)), next])(add(mul(v, 0.5), g)),
        [spec([4]), spec([4]), spec([4])],
      ),
    );
    const [w, v, g] = [holding(1, 2, 3, 4), holding(2, 2, 2, 2), holding(1, 0, -1, 0)];
    step.run([w, v, g], [w, v]);
    step.run([w, v, g], [w, v]);
    expect(await numbers(v)).toEqual([2, 0.5, -1, 0.5]);
    expect(await numbers(w)).toEqual([-1, 1.25, 3.5, 3.25]);
    expect(step.bytes).toBe(0);
    step.dispose();
  });

  it("take memory only where more of the input is read", async () => {
    const program = gpu.compile(trace((x) => matmul(x, x), [spec([2, 2])]));
    const [x, y] = [holding(1, 2, 3, 4), holding(0, 0, 0, 0)];
    program.run([x], [y]);
    expect([await numbers(y), program.bytes]).toEqual([[7, 10, 15, 22], 0]);
    program.run([x], [x]);
    expect([await numbers(x), program.bytes]).toEqual([[7, 10, 15, 22], 16]);
    program.dispose();
  });
});

it("gives the time of each step", async () => {
  const program = gpu.compile(trace((x) => relu(x), [spec([1000])]));
  const [x, y] = [
    holding(...Array<number>(1000).fill(-1)),
    holding(...Array<number>(1000).fill(7)),
  ];
  const seconds = await program.time([x], [y]);
  expect(seconds).toHaveLength(program.steps.length);
  for (const s of seconds) expect(s).toBeGreaterThanOrEqual(0);
  expect(new Set(await numbers(y))).toEqual(new Set([0]));
  program.dispose();
});
