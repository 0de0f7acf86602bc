// Products that multiply in float16: chosen only where precision and adapter allow it, and within
// their stated bound.

import {
  add,
  conv,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  matmul,
  relu,
} from "@conv/ops";
import { bytesOf, createHost, node, spec, trace, type Graph, type Value } from "@conv/tensor";
import { check, draw, runOnce } from "@conv/testkit";
import { asCore, asHardware, softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend, type GpuOptions } from "../src/index.ts";
import { refused } from "./refused.ts";

const geometry = convGeometry(spec([2, 20, 9, 11]), spec([24, 10, 3, 3]), {
  padding: 1,
  stride: 2,
  groups: 2,
});
const problems: [kernel: string, shapes: number[][], fn: (...xs: Value[]) => Value][] = [
  ["igemmF16", [[2, 40, 7, 9], [24, 40, 3, 3], [24, 1, 1]], (x, w, b) => relu(add(conv(x, w, { padding: 1 }), b))],
  ["igemmF16", [[2, 24, 5, 6], [24, 10, 3, 3]], (dy, w) => node(convGradInputOp, geometry, [dy, w])[0]],
  ["gradWeightF16", [[2, 24, 5, 6], [2, 20, 9, 11]], (dy, x) => node(convGradWeightOp, geometry, [dy, x])[0]],
  ["matmulF16", [[30, 70], [70, 40]], (a, b) => matmul(a, b)],
  ["igemmMatrix", [[2, 40, 7, 9], [24, 40, 3, 3], [24, 1, 1]], (x, w, b) => relu(add(conv(x, w, { padding: 1 }), b))],
  ["igemmMatrix", [[1, 70, 8, 8], [72, 70, 1, 1]], (x, w) => conv(x, w)],
  ["igemmMatrix", [[2, 24, 5, 6], [24, 10, 3, 3]], (dy, w) => node(convGradInputOp, geometry, [dy, w])[0]],
  ["gradWeightMatrix", [[2, 24, 5, 6], [2, 20, 9, 11]], (dy, x) => node(convGradWeightOp, geometry, [dy, x])[0]],
  ["matmulMatrix", [[30, 70], [70, 40], [40], [30, 40]], (a, b, c, e) => relu(add(add(matmul(a, b), c), e))],
  ["matmulMatrix", [[3, 70, 130], [3, 90, 70]], (a, b) => matmul(a, b, { transposeA: true, transposeB: true })],
]; // prettier-ignore

// prettier-ignore
const graphOf = ([, shapes, fn]: (typeof problems)[number]): Graph => trace(fn, shapes.map((shape) => spec(shape)));

it("storage in float16 is refused on an adapter without float16", async () => {
  const made = createGpu({ gpu: asCore(validatingGpu()), storage: "float16" });
  await expect(made).rejects.toThrow(
    refused(
      "UnsupportedError",
      /^gpu: storage float16 needs the WebGPU feature shader-f16, which .+ does not have; use storage float32$/,
      "float16-missing",
    ),
  );
});

it("storage is one of two words", async () => {
  const wrong = { gpu: validatingGpu(), storage: "float64" } as unknown as GpuOptions;
  await expect(createGpu(wrong)).rejects.toThrow(
    refused("RangeError", "gpu: storage is float64, must be float32 or float16", "storage", {
      storage: "float64",
    }),
  );
});

describe("precision", () => {
  const graph = trace(
    (x, w) => conv(x, w, { padding: 1 }),
    [spec([1, 64, 56, 56]), spec([64, 64, 3, 3])],
  );
  const chosen = async (options: GpuOptions): Promise<string[]> => {
    using gpu = await createGpu(options);
    return gpu.compile(graph).steps.map((s) => s.kernel);
  };
  it("exact takes plain sums only, balanced short convolutions, fast float16 on adapters that have it", async () => {
    const gpu = asHardware(validatingGpu());
    expect(await chosen({ gpu, precision: "exact" })).toEqual(["igemm"]);
    expect(await chosen({ gpu, precision: "balanced" })).toEqual(["winograd2d6"]);
    expect(await chosen({ gpu })).toEqual(await chosen({ gpu, precision: "balanced" }));
    expect(await chosen({ gpu, precision: "fast", prefer: ["igemmF16"] })).toEqual(["igemmF16"]);
    expect(await chosen({ gpu, precision: "balanced", prefer: ["igemmF16"] })).not.toEqual([
      "igemmF16",
    ]);
    expect(
      await chosen({ gpu: asCore(validatingGpu()), precision: "fast", prefer: ["igemmF16"] }),
    ).not.toEqual(["igemmF16"]);
  });
  it("is one of three words", async () => {
    const wrong = { gpu: validatingGpu(), precision: "high" } as unknown as GpuOptions;
    await expect(createGpu(wrong)).rejects.toThrow(
      refused("RangeError", "gpu: precision high is none of exact, balanced, fast", "precision", {
        precision: "high",
      }),
    );
  });
});

it.each(problems)("%s is not chosen at the default precision", async (kernel, ...rest) => {
  const gpu = await createGpu({ gpu: validatingGpu(), prefer: [kernel] });
  const program = gpu.compile(graphOf([kernel, ...rest]));
  expect(program.steps.map((s) => s.kernel)).not.toContain(kernel);
  gpu.dispose();
});

it("subgroup matrices are not chosen on an adapter without them", async () => {
  const gpu = await createGpu({ gpu: validatingGpu(), precision: "fast", prefer: ["igemmMatrix"] });
  expect(gpu.caps.matrices).toBeNull();
  expect(gpu.compile(graphOf(problems[0])).steps.map((s) => s.kernel)).not.toContain("igemmMatrix");
  gpu.dispose();
});

// The null back end of Dawn has float16, but no subgroup matrices.
it.each(problems.filter(([kernel]) => !kernel.endsWith("Matrix")))(
  "%s is code that WebGPU accepts",
  async (...problem) => {
    const [kernel] = problem;
    const gpu = await createGpu({
      gpu: validatingGpu(),
      precision: "fast",
      storage: "float16",
      prefer: [kernel],
    });
    const graph = graphOf(problem);
    const program = gpu.compile(graph);
    expect(program.steps.map((s) => s.kernel)).toEqual([kernel]);
    const [from, to] = [graph.inputs, graph.outputs].map((values) =>
      values.map((v) => gpu.alloc(bytesOf(v.spec))),
    );
    program.run(from, to);
    await gpu.read(to[0]); // throws what was refused
    gpu.dispose();
  },
);

describe("within the stated bound", { timeout: 120_000 }, () => {
  let gpu: GpuBackend;
  beforeAll(
    async () => void (gpu = await createGpu({ gpu: await softwareGpu(), precision: "fast" })),
  );
  afterAll(() => gpu.dispose());

  it.for(problems)("%s of %j", async (problem, { skip }) => {
    if (!gpu.caps.f16) return skip("the adapter has no shader-f16");
    const [kernel] = problem;
    if (kernel.endsWith("Matrix") && !gpu.caps.matrices)
      return skip("the adapter has no chromium-experimental-subgroup-matrix");
    const graph = graphOf(problem);
    const made = gpu;
    const preferring = { ...made, compile: (g: Graph) => made.compile(g, { prefer: [kernel] }) };
    const program = preferring.compile(graph);
    expect(program.steps.map((s) => s.kernel)).toEqual([kernel]);
    program.dispose();
    const inputs = graph.inputs.map((v, i) => draw(v.spec, undefined, `half ${i}`));
    await check(preferring, graph, inputs);
    // The error shows that float16 was used: that of float32 is a thousand times smaller.
    const [got] = await runOnce(preferring, graph, inputs);
    const [want] = await runOnce(createHost(), graph, inputs);
    const off = Math.hypot(...got.data.map((v, i) => v - want.data[i])) / Math.hypot(...want.data);
    expect(off).toBeGreaterThan(2 ** -15);
    expect(off).toBeLessThan(2 ** -9);
  });
});
