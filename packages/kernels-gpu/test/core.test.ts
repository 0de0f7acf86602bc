// WebGPU accepts the code of cases of every op and of their gradients: on an adapter that offers
// only the core of WebGPU, and with float16 between steps. Dawn validates the code without a
// driver; the conformance suite tests the results. CONFORMANCE=full takes all cases.

import { add } from "@conv/ops";
import { cases } from "@conv/ops/cases";
import { bytesOf, graphOf, input, node, optimize, vjp, type Graph } from "@conv/tensor";
import { share } from "@conv/testkit";
import { asCore, validatingGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createGpu, type GpuBackend, type GpuOptions } from "../src/index.ts";

/** Graphs of a case with the gradients of all its inputs. */
const some = share(
  { name: "core", every: inject("fullConformance") ? 1 : 4 },
  cases,
  ({ op }) => op.name,
);
const graphs: (readonly [string, Graph])[] = some.map(({ name, op, params, inputs }) => {
  const xs = inputs.map((s) => input(s));
  const ys = node(op, params, xs);
  const wrt = xs.filter((x) => x.dtype === "float32");
  const differentiable = ys.every((y) => y.dtype === "float32");
  const cts = differentiable ? ys.map((y) => input(y.spec)) : [];
  const gradients = differentiable ? vjp(ys, cts, wrt, add).filter((g) => g !== null) : [];
  return [name, optimize(graphOf([...xs, ...cts], [...ys, ...gradients]))];
});

const adapters: [string, () => GpuOptions][] = [
  ["the core of WebGPU", () => ({ gpu: asCore(validatingGpu()) })],
  ["float16 between steps", () => ({ gpu: validatingGpu(), storage: "float16" })],
];

describe.each(adapters)("%s", (_, options) => {
  let gpu: GpuBackend;
  beforeAll(async () => void (gpu = await createGpu(options())));
  afterAll(() => gpu.dispose());

  it.each(graphs)("%s", async (__, graph) => {
    const program = gpu.compile(graph);
    const [from, to] = [graph.inputs, graph.outputs].map((values) =>
      values.map((v) => gpu.alloc(bytesOf(v.spec))),
    );
    program.run(from, to);
    await gpu.read(to[0]); // throws what was refused
    for (const buffer of [...from, ...to]) gpu.free(buffer);
    program.dispose();
    expect(gpu.memory().buffers).toBe(0);
  });
});
