// Where values live: pieces of concatenations in their place, slices where they lie, results in the
// memory of inputs that die. All of it must be invisible: drawn graphs of such ops, their outputs
// in buffers of their own and in those of inputs, give exactly the reference.

import {
  add,
  cast,
  concat,
  conv,
  mul,
  relu,
  reshape,
  slice,
  sub,
  tanh,
  transpose,
} from "@conv/ops";
import {
  bytesOf,
  evaluate,
  graphOf,
  hostArray,
  input,
  optimize,
  sameShape,
  spec,
  trace,
  type Buffer,
  type Graph,
  type Value,
} from "@conv/tensor";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";

let backends: CpuBackend[];
beforeAll(
  async () =>
    void (backends = [
      await createCpu({ threads: 1, precision: "exact" }),
      await createCpu({ threads: 2, precision: "exact" }),
    ]),
);
afterAll(() => backends.forEach((b) => b.dispose()));

/** Whole numbers, so that sums are exact. */
const values = (v: Value, seed: number) =>
  Float32Array.from({ length: bytesOf(v.spec) / 4 }, (_, i) => ((i * 37 + seed * 101) % 61) - 30);

/**
 * Runs the graph with each output in the buffer of the input that `into` names, or in one of its
 * own.
 */
async function outputsOf(
  cpu: CpuBackend,
  graph: Graph,
  into: readonly (number | undefined)[] = [],
): Promise<number[][]> {
  const program = cpu.compile(graph);
  const put = (v: Value, data: Float32Array): Buffer => {
    const buffer = cpu.alloc(bytesOf(v.spec));
    cpu.write(buffer, data);
    return buffer;
  };
  const from = graph.inputs.map((v, i) => put(v, values(v, i)));
  const to = graph.outputs.map((v, o) =>
    into[o] === undefined ? put(v, new Float32Array(bytesOf(v.spec) / 4).fill(NaN)) : from[into[o]],
  );
  program.run(from, to);
  const results = await Promise.all(to.map(async (b) => [...new Float32Array(await cpu.read(b))]));
  for (const buffer of new Set([...from, ...to])) cpu.free(buffer);
  program.dispose();
  return results;
}

const reference = (graph: Graph): number[][] =>
  evaluate(
    graph,
    graph.inputs.map((v, i) => hostArray(v.spec, Float64Array.from(values(v, i)))),
  ).map((y) => [...y.data]);

const graphOfShapes = (
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
): Graph =>
  optimize(
    trace(
      fn,
      shapes.map((s) => spec(s)),
    ),
  );
const kernels = (graph: Graph) => {
  const program = backends[0].compile(graph);
  const names = program.steps.map((s) => s.kernel);
  const { bytes } = program;
  program.dispose();
  return { names, bytes };
};

describe("what moves nothing", () => {
  const fire = [
    [1, 3, 8, 8],
    [16, 3, 1, 1],
    [16, 3, 3, 3],
  ];
  const branches = (x: Value, a: Value, b: Value) => [
    relu(conv(x, a)),
    relu(conv(x, b, { padding: 1 })),
  ];

  it("a concatenation of two branches, as output and on the way", async () => {
    const graph = graphOfShapes(fire, (x, a, b) => concat(branches(x, a, b), 1));
    expect(kernels(graph).names).not.toContain("move");
    const further = graphOfShapes(fire, (x, a, b) => transpose(concat(branches(x, a, b), 1)));
    expect(kernels(further).names.filter((n) => n === "move")).toHaveLength(1);
    for (const cpu of backends) {
      expect(await outputsOf(cpu, graph)).toEqual(reference(graph));
      expect(await outputsOf(cpu, further)).toEqual(reference(further));
    }
  });

  it("a concatenation within another", () => {
    const dense = graphOfShapes([[16, 16]], (x) => {
      const a = transpose(x);
      const ab = concat([a, mul(transpose(a), 2)]);
      return concat([ab, relu(sub(slice(ab, [8, 0], [16, 16]), 1))]);
    });
    expect(kernels(dense).names).toEqual(["move", "elementwise", "elementwise"]);
  });

  it("a slice of neighbors that something reads", () => {
    expect(kernels(graphOfShapes([[8, 6]], (x) => relu(slice(x, [2, 0], [3, 6])))).names).toEqual([
      "elementwise",
    ]);
    expect(kernels(graphOfShapes([[8, 6]], (x) => relu(slice(x, [0, 2], [8, 3])))).names).toEqual([
      "move",
      "elementwise",
    ]);
    expect(kernels(graphOfShapes([[8, 6]], (x) => slice(x, [2, 0], [3, 6]))).names).toEqual([
      "move",
    ]);
  });

  it("a slice of elements of one byte that something reads", async () => {
    const graph = optimize(
      trace((x) => add(cast(slice(x, [2, 0], [2, 8]), "float32"), 0.5), [spec([6, 8], "uint8")]),
    );
    for (const cpu of backends) {
      const program = cpu.compile(graph);
      expect(program.steps.map((s) => s.kernel)).not.toContain("move");
      const [x, y] = [cpu.alloc(48), cpu.alloc(64)];
      cpu.write(
        x,
        Uint8Array.from({ length: 48 }, (_, i) => i),
      );
      program.run([x], [y]);
      expect([...new Float32Array(await cpu.read(y))]).toEqual(
        Array.from({ length: 16 }, (_, i) => 16.5 + i),
      );
      program.dispose();
      cpu.free(x);
      cpu.free(y);
    }
  });

  it("pieces that end within a cache line are copied", () => {
    const graph = (n: number) =>
      graphOfShapes([[n, 7]], (x) => concat([transpose(x), transpose(mul(x, 2))]));
    expect(kernels(graph(16)).names.filter((n) => n === "move")).toHaveLength(2);
    expect(kernels(graph(15)).names.filter((n) => n === "move")).toHaveLength(3);
  });

  it("elementwise work after the last use of its input takes its memory", () => {
    const bytes = (steps: number) =>
      kernels(
        graphOfShapes([[64, 64]], (x) => {
          let y = transpose(x);
          // The transpose keeps the steps apart.
          for (let i = 0; i < steps; i++) y = add(transpose(y), tanh(y));
          return transpose(y);
        }),
      ).bytes;
    expect(bytes(5)).toBeLessThan(4 * 64 * 64 * 4);
  });
});

it(
  "drawn graphs of joins, cuts and elementwise ops give exactly the reference, wherever their outputs go",
  { timeout: 60_000 },
  async () => {
    const step = fc.record({
      kind: fc.constantFrom("scale", "add", "concat", "slice", "transpose", "reshape"),
      a: fc.nat(99),
      b: fc.nat(99),
      c: fc.nat(99),
    });
    const drawn = fc.record({
      width: fc.constantFrom(16, 4, 5),
      steps: fc.array(step, { minLength: 2, maxLength: 12 }),
      outputs: fc.array(fc.nat(99), { minLength: 1, maxLength: 3 }),
      alias: fc.boolean(),
    });
    const property = fc.asyncProperty(drawn, async ({ width, steps, outputs, alias }) => {
      const inputs = [input(spec([4, width])), input(spec([width, 4]))];
      const made: Value[] = [...inputs];
      for (const { kind, a, b, c } of steps) {
        const x = made[a % made.length];
        const same = made.filter((v) => sameShape(v.shape, x.shape));
        const joins = made.filter(
          (v) => v.shape[1] === x.shape[1] && v.shape[0] + x.shape[0] < 100,
        );
        const [rows, columns] = x.shape;
        if (kind === "scale") made.push(mul(x, (c % 3) - 1.5));
        else if (kind === "add") made.push(add(x, same[b % same.length]));
        else if (kind === "concat" && joins.length)
          made.push(concat([x, joins[b % joins.length]], 0));
        else if (kind === "slice" && rows > 1)
          made.push(slice(x, [b % rows, 0], [1 + (c % (rows - (b % rows))), columns]));
        else if (kind === "transpose") made.push(transpose(x));
        else if (kind === "reshape" && rows % 2 === 0)
          made.push(reshape(x, [rows / 2, columns * 2]));
      }
      const chosen = [...new Set(outputs.map((o) => made[made.length - 1 - (o % made.length)]))];
      const graph = optimize(graphOf(inputs, chosen));
      const taken = new Set<number>();
      const into = graph.outputs.map((v) => {
        const at = alias
          ? inputs.findIndex((x, i) => sameShape(x.shape, v.shape) && !taken.has(i))
          : -1;
        return at < 0 ? undefined : (taken.add(at), at);
      });
      const want = reference(graph);
      for (const cpu of backends) expect(await outputsOf(cpu, graph, into)).toEqual(want);
    });
    await fc.assert(property, { seed: 19980511, numRuns: 300 });
  },
);
