// A layer's precision decides which kernels may compute it and its gradients, whatever the back
// end's own is.

import { createCpu } from "@conv/kernels-cpu";
import { add } from "@conv/ops";
import { graphOf, input, optimize, vjp } from "@conv/tensor";
import { expect, it } from "vitest";
import { conv2d, convTranspose2d, traceModel, type Layer } from "../src/index.ts";

async function roundoffs(layer: Layer, precision: "exact" | "balanced"): Promise<number[]> {
  const { graph } = traceModel({ name: "one layer", input: [32, 28, 28], layer });
  const [y] = graph.outputs;
  const ct = input(y.spec);
  const gradients = vjp([y], [ct], graph.inputs, add).filter((g) => g !== null);
  const cpu = await createCpu({ threads: 1, precision });
  const steps = cpu.compile(optimize(graphOf([...graph.inputs, ct], [y, ...gradients]))).steps;
  cpu.dispose();
  return steps.map((s) => s.roundoff ?? 0);
}

it.each([
  ["conv2d", conv2d],
  ["convTranspose2d", convTranspose2d],
] as const)("%s", async (_, layer) => {
  const at = (precision?: "exact" | "balanced") =>
    layer(32, 3, { padding: 1, ...(precision && { precision }) });
  expect(Math.max(...(await roundoffs(at(), "balanced")))).toBeGreaterThan(0);
  expect(Math.max(...(await roundoffs(at("exact"), "balanced")))).toBe(0);
  expect(Math.max(...(await roundoffs(at("balanced"), "exact")))).toBeGreaterThan(0);
  expect(Math.max(...(await roundoffs(at(), "exact")))).toBe(0);
});

it("a wrong word is refused by name", () => {
  expect(() =>
    traceModel({
      name: "one layer",
      input: [4, 9, 9],
      layer: conv2d(4, 3, { precision: JSON.parse('"exactly"') }),
    }),
  ).toThrow(/precision exactly is none of exact, balanced, fast/);
});
