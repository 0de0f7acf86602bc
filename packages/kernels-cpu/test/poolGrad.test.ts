// Gradients of pools with overlapping windows: drawn geometries, ties, numbers that are none, and
// the derivative fused behind them.

import {
  avgPoolGradOp,
  grad,
  maxPool,
  maxPoolGradOp,
  mul,
  poolGeometry,
  relu,
  sum,
  type AvgPoolGeometry,
  type PoolGeometry,
} from "@conv/ops";
import {
  evaluate,
  graphOf,
  hostArray,
  input,
  node,
  optimize,
  sizeOf,
  spec,
  trace,
  type Graph,
} from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1, prefer: ["poolGradGather"] })));
afterAll(() => cpu.dispose());

const specsOf = (g: PoolGeometry) => [spec([g.n, g.c, ...g.input]), spec([g.n, g.c, ...g.output])];
const maximum = (g: PoolGeometry) => trace((x, dy) => node(maxPoolGradOp, g, [x, dy]), specsOf(g));
const average = (g: AvgPoolGeometry) =>
  trace((dy) => node(avgPoolGradOp, g, [dy]), specsOf(g).slice(1));
const kernelsOf = (graph: Graph) => {
  const { steps, dispose } = cpu.compile(graph);
  dispose();
  return steps.map((s) => s.kernel);
};

it("drawn geometries", { timeout: 60_000 }, async () => {
  const axis = fc.record({
    size: fc.integer({ min: 1, max: 21 }),
    kernel: fc.integer({ min: 1, max: 5 }),
    stride: fc.integer({ min: 1, max: 4 }),
  });
  const drawn = fc.record({
    n: fc.integer({ min: 1, max: 2 }),
    axes: fc.array(
      fc.record({ axis, dilation: fc.constantFrom(1, 1, 2), lo: fc.nat(2), hi: fc.nat(2) }),
      { minLength: 1, maxLength: 3 },
    ),
    countIncludePad: fc.boolean(),
  });
  let taken = 0;
  const property = fc.asyncProperty(drawn, async ({ n, axes, countIncludePad }) => {
    const g = geometryOf(n, axes);
    if (!g) return;
    const [max, mean] = [maximum(g), average({ ...g, countIncludePad })];
    if (kernelsOf(max).includes("poolGradGather")) taken++;
    for (const prefer of [["poolGradGather"], ["poolGrad"]]) {
      const backend = { ...cpu, compile: (graph: Graph) => cpu.compile(graph, { prefer }) };
      await check(backend, max, drawAll(specsOf(g), "ties", "ties"));
      await check(backend, mean, drawAll(specsOf(g).slice(1), "normal", "mean"));
    }
  });
  await fc.assert(property, { seed: 19980511, numRuns: 150 });
  expect(taken).toBeGreaterThan(50);
});

/** The geometry, or null where windows do not fit or see nothing. */
function geometryOf(
  n: number,
  axes: readonly {
    axis: Record<"size" | "kernel" | "stride", number>;
    dilation: number;
    lo: number;
    hi: number;
  }[],
) {
  try {
    return poolGeometry(
      spec([n, 3, ...axes.map((a) => a.axis.size)]),
      axes.map((a) => a.axis.kernel),
      {
        stride: axes.map((a) => a.axis.stride),
        dilation: axes.map((a) => a.dilation),
        padding: axes.map((a) => [a.lo, a.hi] as const),
      },
    );
  } catch {
    return null;
  }
}

it("the last NaN wins a window, −Infinity if there is nothing else", async () => {
  const g = poolGeometry(spec([1, 1, 9, 11]), 3, { stride: 2, padding: 1 });
  const graph = maximum(g);
  expect(kernelsOf(graph)).toEqual(["poolGradGather"]);
  const odd = [NaN, -Infinity, Infinity, 0, -0, 1];
  const x = Float64Array.from({ length: 99 }, (_, i) =>
    i < 22 ? -Infinity : odd[(i * i * 7 + (i >> 3)) % 6],
  );
  const dy = Float64Array.from({ length: sizeOf(graph.inputs[1].shape) }, (_, i) => i + 1);
  const [want] = evaluate(graph, [
    hostArray(graph.inputs[0].spec, x),
    hostArray(graph.inputs[1].spec, dy),
  ]);
  const program = cpu.compile(graph);
  const [from, ct, into] = [x, dy, x].map((values) => {
    const buffer = cpu.alloc(values.length * 4);
    cpu.write(buffer, Float32Array.from(values));
    return buffer;
  });
  program.run([from, ct], [into]);
  expect([...new Float32Array(await cpu.read(into))]).toEqual([...want.data]);
  program.dispose();
  for (const buffer of [from, ct, into]) cpu.free(buffer);
});

it("the derivative of what came before is fused", async () => {
  const [x, scale] = [input(spec([2, 4, 13, 15])), input(spec([2, 4, 6, 7]))];
  const y = sum(mul(maxPool(relu(x), 3, { stride: 2 }), scale));
  const graph = optimize(graphOf([x, scale], grad(y, [x])));
  const steps = kernelsOf(graph);
  expect(steps.filter((k) => k === "poolGradGather")).toHaveLength(1);
  expect(steps.indexOf("poolGradGather")).toBe(steps.length - 1);
  await check(
    cpu,
    graph,
    drawAll(
      graph.inputs.map((v) => v.spec),
      "distinct",
      "fused",
    ),
  );
});
