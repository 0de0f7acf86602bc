// The region behind a unit against the only definition there is: change one input, see whether the
// unit changes. And the effective field.

import { createCpu } from "@conv/kernels-cpu";
import { initialize, traceModel } from "@conv/layers";
import { models } from "@conv/layers/models";
import {
  add,
  avgPool,
  concat,
  conv,
  convTranspose,
  flatten,
  flip,
  full,
  matmul,
  max,
  maxPool,
  maxPoolIndices,
  maxUnpool,
  mul,
  pad,
  relu,
  reshape,
  sigmoid,
  slice,
  softmax,
  sum,
  transpose,
} from "@conv/ops";
import {
  createHost,
  evaluate,
  hostArray,
  trace,
  type Backend,
  type Graph,
  type Value,
} from "@conv/tensor";
import { failEach } from "@conv/testkit";
import { describe, expect, it } from "vitest";
import { effectiveField, effectiveFieldOf, inputRegion, receptiveFields } from "../src/index.ts";

const ones = (...shape: number[]) => full(shape, 1);

/** For every unit of the output the places of each axis of a plane that it answers to. */
function observe(graph: Graph): (readonly (readonly number[])[])[] {
  const [x] = graph.inputs;
  const size = x.shape.reduce((a, b) => a * b, 1);
  const run = (at?: number) => {
    const data = Float64Array.from(
      { length: size },
      (_, i) => 1 + ((i * 37) % 101) / 100 + (i === at ? 1000 : 0),
    );
    return evaluate(graph, [hostArray(x.spec, data)])[0].data;
  };
  const base = run();
  const [h, w] = x.shape.slice(2);
  const seen = Array.from(base, () => [new Set<number>(), new Set<number>()]);
  for (let i = 0; i < size; i++)
    run(i).forEach((v, o) => {
      if (v === base[o]) return;
      seen[o][0].add(Math.floor(i / w) % h);
      seen[o][1].add(i % w);
    });
  return seen.map((axes) => axes.map((places) => [...places].sort((a, b) => a - b)));
}

const exact: Record<string, (x: Value) => Value> = {
  "a convolution": (x) => conv(x, ones(2, 2, 3, 3), { stride: 2, padding: 1 }),
  "a dilated convolution": (x) => conv(x, ones(1, 2, 3, 2), { dilation: [3, 2], padding: 2 }),
  groups: (x) => conv(mul(x, full([1, 2, 1, 1], 1)), ones(2, 1, 3, 1), { groups: 2 }),
  "a transposed convolution": (x) =>
    convTranspose(conv(x, ones(2, 2, 3, 3), { stride: 2 }), ones(2, 1, 3, 3), {
      stride: 3,
      padding: 1,
      dilation: 2,
    }),
  branches: (x) =>
    concat(
      [
        conv(x, ones(1, 2, 1, 3), { padding: [0, 1] }),
        conv(x, ones(1, 2, 3, 1), { padding: [1, 0] }),
        slice(x, [0, 0, 0, 0], [1, 1, 9, 8]),
      ],
      1,
    ),
  "a residual": (x) =>
    add(
      slice(x, [0, 0, 2, 1], [1, 2, 7, 7]),
      avgPool(pad(x, [0, 0, 0, 1], [0, 0, 0, 0]), 3, { stride: 1, padding: 0 }),
    ),
  reshaped: (x) => reshape(transpose(conv(x, ones(2, 2, 2, 2)), [0, 2, 1, 3]), [8, 14]),
  "what is flattened and multiplied": (x) =>
    matmul(flatten(slice(x, [0, 0, 3, 0], [1, 2, 2, 8])), ones(32, 3)),
  "sums and maxima": (x) => add(sum(x, [2], true), sum(x, [3], true)),
  "a softmax": (x) => softmax(x, 3),
  "a flip": (x) => flip(conv(x, ones(1, 2, 2, 2)), [2]),
  "a gate": (x) =>
    mul(
      slice(x, [0, 0, 0, 0], [1, 2, 3, 3]),
      sigmoid(mul(full([1], 1e-4), sum(slice(x, [0, 0, 6, 5], [1, 2, 2, 3]), [1, 2, 3], true))),
    ),
};

describe("the region behind every unit", () => {
  it.each(Object.entries(exact))("of %s is what the unit answers to", (_, fn) => {
    const graph = trace((x) => fn(x), [{ shape: [1, 2, 9, 8], dtype: "float32" }]);
    const [y] = graph.outputs;
    observe(graph).forEach((axes, o) => {
      const index = y.shape.map(
        (size, a) => Math.floor(o / y.shape.slice(a + 1).reduce((p, q) => p * q, 1)) % size,
      );
      const want = axes[0].length
        ? axes.map((places) => ({ first: places[0], last: places.at(-1), count: places.length }))
        : null;
      expect(inputRegion(graph.inputs[0], y, index), `unit ${index}`).toEqual(want);
    });
  });

  it("of a maximum is all that may win", () => {
    const graph = trace(
      (x) => max(maxPool(relu(x), 3, { stride: 2, padding: 1 }), [3], true),
      [{ shape: [1, 1, 9, 8], dtype: "float32" }],
    );
    expect(inputRegion(graph.inputs[0], graph.outputs[0], [0, 0, 2, 0])).toEqual([
      { first: 3, last: 5, count: 3 },
      { first: 0, last: 7, count: 8 },
    ]);
  });

  it("of maxima put back lies within the windows of their pool", () => {
    const unpooled = (x: Value) => {
      const y = maxPool(x, 2);
      const windows = y.node!.op.window!(y.node!.params).map((w) => ({ ...w, transposed: true }));
      return maxUnpool(y, maxPoolIndices(x, 2), [9, 8], windows);
    };
    const graph = trace(unpooled, [{ shape: [1, 1, 9, 8], dtype: "float32" }]);
    expect(inputRegion(graph.inputs[0], graph.outputs[0], [0, 0, 5, 2])).toEqual([
      { first: 4, last: 5, count: 2 },
      { first: 2, last: 3, count: 2 },
    ]);
    const anywhere = trace(
      (x) => maxUnpool(maxPool(x, 2), maxPoolIndices(x, 2), [9, 8]),
      [{ shape: [1, 1, 9, 8], dtype: "float32" }],
    );
    expect(inputRegion(anywhere.inputs[0], anywhere.outputs[0], [0, 0, 5, 2])).toEqual([
      { first: 0, last: 7, count: 8 },
      { first: 0, last: 7, count: 8 },
    ]);
  });

  it("agrees with the receptive field within a network", () => {
    const { graph, x } = traceModel(models.resnet18());
    const map = graph.nodes.findLast((n) => n.path === "layer2.1")!.outputs[0];
    const { size, jump, start } = receptiveFields(graph, x).get(map)![0];
    const first = start + 14 * jump;
    expect(inputRegion(x, map, [0, 5, 14, 14])).toEqual(
      [first, first].map((at) => ({ first: at, last: at + size - 1, count: size })),
    );
    expect(inputRegion(x, map, [0, 5, 0, 27])).toEqual([
      { first: 0, last: start + size - 1, count: start + size },
      { first: start + 27 * jump, last: 223, count: 224 - start - 27 * jump },
    ]);
  });

  it("is that of a unit that exists", () => {
    const graph = trace(
      (x) => conv(x, ones(1, 2, 3, 3)),
      [{ shape: [1, 2, 9, 8], dtype: "float32" }],
    );
    expect(() => inputRegion(graph.inputs[0], graph.outputs[0], [0, 0, 7, 0])).toThrow(
      "inputRegion: there is no unit 0×0×7×0 in an output of shape 1×1×7×6",
    );
  });
});

describe("the effective field", () => {
  const stack = (depth: number) =>
    trace(
      (x) =>
        Array.from({ length: depth }).reduce(
          (v: Value) => conv(v, ones(1, 1, 3, 3), { padding: 1 }),
          x,
        ),
      [{ shape: [1, 1, 33, 33], dtype: "float32" }],
    );
  const measure = (graph: Graph, unit?: readonly number[]) => {
    const [x] = graph.inputs;
    return effectiveField(
      createHost(),
      { name: "stack", graph, x, entries: [], values: [] },
      { at: graph.outputs[0], inputs: [new Float32Array(33 * 33)], unit },
    );
  };

  it.each([1, 2, 5, 10])(
    "of %i layers of equal weights spreads as a sum of steps: variance 2/3 a layer",
    async (depth) => {
      const { center, deviation, map, shape } = await measure(stack(depth));
      expect(shape).toEqual([33, 33]);
      expect(center.every((c) => Math.abs(c - 16) < 1e-9)).toBe(true);
      for (const d of deviation) expect(d).toBeCloseTo(Math.sqrt((2 * depth) / 3), 5);
      expect(map.filter((v) => v > 0).length).toBe((2 * depth + 1) ** 2); // the field in theory
      expect(Math.max(...map)).toBe(1);
    },
  );

  it("is that of any unit", async () => {
    const { center, map } = await measure(stack(2), [20, 1]);
    expect(center[0]).toBeCloseTo(20, 9);
    expect(map.filter((v) => v > 0).length).toBe(5 * 4); // the first column of its field is padding
  });

  it("grows as the root of the depth, while the field in theory grows with the depth", async () => {
    const sides = await Promise.all(
      [4, 12].map(async (depth) => (await measure(stack(depth))).side),
    );
    expect(sides[1] / sides[0]).toBeGreaterThan(1.5);
    expect(sides[1] / sides[0]).toBeLessThan(2);
  });

  it("of a network lies within the field in theory", async () => {
    const model = { ...models.resnet8(), input: [3, 32, 32] };
    const traced = traceModel(model);
    const { graph, x, entries } = traced;
    const state = initialize(model);
    const map = graph.nodes.findLast((n) => n.path.startsWith("layer2"))!.outputs[0];
    const cpu = await createCpu({ threads: 1 });
    const field = await effectiveField(cpu, traced, {
      at: map,
      inputs: [
        Float32Array.from({ length: 3 * 32 * 32 }, (_, i) => Math.sin(i)),
        ...entries.map((e) => state.get(e.name)!.data),
      ],
    });
    cpu.dispose();
    // Kernels that transform whole tiles leave rounding errors around.
    const [rows, columns] = inputRegion(x, map, [0, 0, map.shape[2] / 2, map.shape[3] / 2])!;
    field.map.forEach((v, i) => {
      const [r, c] = [Math.floor(i / 32), i % 32];
      if (v > 1e-5)
        expect(r >= rows.first && r <= rows.last && c >= columns.first && c <= columns.last).toBe(
          true,
        );
    });
    expect(field.side).toBeLessThan(rows.count);
    expect(field.side).toBeGreaterThan(3);
  });

  it("is that of a unit and of inputs that there are", async () => {
    const graph = stack(1);
    await expect(measure(graph, [20, 33])).rejects.toThrow(
      "effectiveField: there is no unit 20×33 in maps of 33×33",
    );
    await expect(measure(graph, [20])).rejects.toThrow(
      "effectiveField: there is no unit 20 in maps of 33×33",
    );
    const of = (...inputs: Float32Array[]) =>
      effectiveField(
        createHost(),
        { name: "stack", graph, x: graph.inputs[0], entries: [], values: [] },
        { at: graph.outputs[0], inputs },
      );
    await expect(of()).rejects.toThrow("effectiveField: got 0 inputs, the graph has 1");
    await expect(of(new Float32Array(33))).rejects.toThrow(
      "effectiveField: input 0 has 33 numbers, 1×1×33×33 holds 1089",
    );
  });

  it("leaves nothing where there is no room, at whichever call", async () => {
    const graph = stack(1);
    const x = new Float32Array(33 * 33);
    const field = (backend: Backend) =>
      effectiveField(
        backend,
        { name: "stack", graph, x: graph.inputs[0], entries: [], values: [] },
        { at: graph.outputs[0], inputs: [x] },
      );
    expect(await failEach(createHost(), field)).toBe(4);
  });

  it("of nothing is nothing", () => {
    expect(effectiveFieldOf(new Float32Array(4), [1, 1, 2, 2])).toEqual({
      shape: [2, 2],
      map: [0, 0, 0, 0],
      center: [0, 0],
      deviation: [0, 0],
      share: 0,
      side: 0,
    });
  });
});
