// Networks whose pools reach past the end (ceilMode), at the smallest sizes that their last maps
// allow, against the host.

import { createCpu } from "@conv/kernels-cpu";
import { createHost, sizeOf, type Backend } from "@conv/tensor";
import { expect, it } from "vitest";
import { createPredictor } from "../src/index.ts";
import { make, scramble, weightsOf } from "./published.ts";

it.each([
  ["googlenet", 28],
  ["squeezenet1_1", 24],
] as const)("%s on 3×%i", { timeout: 60_000 }, async (name, size) => {
  const model = { ...make(name), input: [3, size, size] };
  const answers = async (backend: Backend) => {
    using predictor = createPredictor(backend, model, weightsOf(model), { batch: 1 });
    return Float32Array.from(await predictor.predict(scramble("x", sizeOf(model.input), 2, -1)));
  };
  const cpu = await createCpu({ threads: 1 });
  const [got, want] = [await answers(cpu), await answers(createHost())];
  cpu.dispose();
  const largest = Math.max(...want.map(Math.abs));
  expect(largest).toBeGreaterThan(0);
  expect(Math.max(...got.map((v, i) => Math.abs(v - want[i])))).toBeLessThan(1e-4 * largest);
});
