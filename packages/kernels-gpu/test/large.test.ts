// Cases too large for the conformance suite: reductions in parts, transposes in tiles, more
// workgroups than one axis of a dispatch, long lists; and float16 between steps.

import {
  add,
  avgPool,
  logSoftmax,
  max,
  maxPool,
  mul,
  oneHot,
  pad,
  scatterAdd,
  relu,
  softmax,
  sum,
  cast,
  transpose,
} from "@conv/ops";
import {
  hostArray,
  sizeOf,
  spec,
  trace,
  UnsupportedError,
  type Graph,
  type Value,
} from "@conv/tensor";
import { check, draw, runOnce } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";
import { GROUPS_PER_AXIS } from "../src/wgsl/wgsl.ts";

const traced = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  trace(
    fn,
    shapes.map((shape) => spec(shape)),
  );
const inputsOf = (graph: Graph) =>
  graph.inputs.map((v, i) => draw(v.spec, undefined, `large ${i}`));

let backend: GpuBackend;
beforeAll(async () => {
  backend = await createGpu({ gpu: asHardware(await softwareGpu()) });
});
afterAll(() => backend.dispose());

describe("in pieces", { timeout: 60_000 }, () => {
  const graphs: [name: string, stages: number, shapes: number[][], fn: (...xs: Value[]) => Value | readonly Value[]][] = [
    ["a sum of 300,001", 2, [[300_001]], (x) => sum(x)],
    ["a maximum of 300,000", 2, [[300_000]], (x) => max(x)],
    ["sums of three channels of 8 images", 2, [[8, 3, 120, 120]], (x) => sum(x, [0, 2, 3], true)],
    ["maxima of three channels of 3 odd images", 2, [[3, 3, 81, 83]], (x) => max(x, [0, 2, 3], true)],
    ["sums of 12 columns, scaled", 2, [[20_000, 12], [1, 12]], (x, s) => mul(sum(x, 0, true), s)],
    ["sums of 5 columns", 2, [[20_001, 5]], (x) => sum(x, 0)],
    ["sums of the middle", 2, [[2, 9001, 3]], (x) => sum(x, 1)],
    ["300 sums of 1000", 1, [[300, 1000]], (x) => sum(x, 1)],
    ["softmax of long rows, and of long columns", 2, [[3, 5003]], (x) => [softmax(x, 1), logSoftmax(transpose(x), 0)]],
    ["softmax of channels", 2, [[2, 70, 9, 9]], (x) => [softmax(x, 1), logSoftmax(x, 1)]],
    ["means of planes, times y", 1, [[2, 3, 130, 128], [2, 3, 1, 1]], (x, y) => mul(avgPool(x, [130, 128]), y)],
    ["a transpose", 1, [[301, 257]], (x) => relu(transpose(x))],
    ["channels last, and first", 2, [[2, 33, 40, 41], [2, 40, 41, 33]], (x, y) => [transpose(x, [0, 2, 3, 1]), add(transpose(y, [0, 3, 1, 2]), x)]],
  ]; // prettier-ignore
  it.each(graphs)("%s", async (_, stages, shapes, fn) => {
    const graph = traced(shapes, fn);
    const program = backend.compile(graph);
    expect(program.shaders.length).toBeGreaterThanOrEqual(stages);
    program.dispose();
    await check(backend, graph, inputsOf(graph));
  });

  it("more workgroups than an axis has", async () => {
    const graph = traced([[2, 1]], (x) => pad(x, [0, 70_000], [0, GROUPS_PER_AXIS * 32]));
    const [x] = inputsOf(graph);
    const program = backend.compile(graph);
    expect(program.shaders[0].groups).toBeGreaterThan(GROUPS_PER_AXIS);
    program.dispose();
    const [y] = await runOnce(backend, graph, [x]);
    const width = y.shape[1];
    const seen: number[] = [];
    y.data.forEach((v, i) => v === 0 || seen.push(i));
    expect(seen).toEqual([0, 1].map((row) => row * width + 70_000));
    expect(seen.map((i) => y.data[i])).toEqual([...x.data]);
  });

  it("scatterAdd into few places adds in the same order every time", async () => {
    const [count, size] = [5000, 7];
    const graph = trace(
      (x, index) => scatterAdd(x, index, { size: [size] }),
      [spec([2, 3, count]), spec([2, count], "int32")],
    );
    const [x] = inputsOf(graph);
    const index = draw(spec([2, count], "int32"), `labels:${size}`, "places");
    await check(backend, graph, [x, index]);
    const [first] = await runOnce(backend, graph, [x, index]);
    const [again] = await runOnce(backend, graph, [x, index]);
    expect(again).toEqual(first);
  });

  it("int32 of values that are no integers of 32 bits", async () => {
    const graph = traced([[6]], (x) => cast(x, "int32"));
    const [y] = await runOnce(backend, graph, [
      hostArray(spec([6]), Float64Array.of(NaN, Infinity, -Infinity, 3e9, -2.9, 2147483520)),
    ]);
    expect([...y.data]).toEqual([0, 2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 1, -2, 2147483520]);
  });
});

describe("float16 between steps", { timeout: 60_000 }, () => {
  it("takes half the memory, and is right to 11 bits", async ({ skip }) => {
    const made = await createGpu({ gpu: await softwareGpu(), storage: "float16" }).catch(
      (error: unknown) => {
        if (error instanceof UnsupportedError && error.message.includes("shader-f16")) return null;
        throw error;
      },
    );
    if (!made) return skip("the adapter has no shader-f16");
    try {
      const graph = traced([[2, 8, 12, 12]], (x) => {
        const pooled = add(maxPool(relu(x), 2), avgPool(x, 2));
        const turned = transpose(pad(pooled, [0, 0, 1, 1], [0, 0, 1, 1]), [0, 2, 3, 1]);
        return [softmax(turned, -1), sum(turned, [1, 2])];
      });
      const inputs = inputsOf(graph);
      const [half, whole] = [made.compile(graph).bytes, backend.compile(graph).bytes];
      expect(half).toBe(whole / 2);
      const got = await runOnce(made, graph, inputs);
      const want = await runOnce(backend, graph, inputs);
      got.forEach((y, i) => {
        const off = Math.max(...y.data.map((v, j) => Math.abs(v - want[i].data[j])));
        const largest = Math.max(...want[i].data.map(Math.abs));
        expect(off).toBeGreaterThan(0);
        expect(off).toBeLessThan(8 * 2 ** -11 * largest);
      });
    } finally {
      made.dispose();
    }
  });

  it("keeps labels and indices exact", async ({ skip }) => {
    skip(!backend.caps.f16, "the adapter has no shader-f16");
    const made = await createGpu({ gpu: await softwareGpu(), storage: "float16" });
    try {
      const labels = spec([3], "int32");
      const graph = trace(
        (l, x) => [oneHot(transpose(l), 70_000), maxPool(x, 3, { stride: 1 })],
        [labels, spec([1, 1, 80, 80])],
      );
      const values = hostArray(labels, Float64Array.of(65_537, 69_999, 2));
      const [rows] = await runOnce(made, graph, [
        values,
        draw(spec([1, 1, 80, 80]), "distinct", "winners"),
      ]);
      expect([...rows.data.keys()].filter((i) => rows.data[i] === 1)).toEqual(
        [...values.data].map((l, i) => l + i * 70_000),
      );
      expect(sizeOf(rows.shape)).toBe(210_000);
    } finally {
      made.dispose();
    }
  });
});
