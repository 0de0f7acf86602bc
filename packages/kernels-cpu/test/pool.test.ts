// Pools exactly as the reference, bit by bit where they only choose: NaN, infinities, zeros of both
// signs and ties in every place.

import {
  avgPool,
  eachWindow,
  grad,
  maxPool,
  maxPoolGradOp,
  maxPoolOp,
  maxPoolPickOp,
  mul,
  poolGeometry,
  relu,
  sum,
  tanh,
  type PoolGeometry,
} from "@conv/ops";
import { bytesOf, evaluate, hostArray, node, spec, trace, type Op, type Value } from "@conv/tensor";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCpu, type CpuBackend } from "../src/index.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

/** A graph's first output, computed with the inputs that are given. */
async function run(
  shapes: readonly (readonly number[])[],
  fn: (...xs: Value[]) => Value | readonly Value[],
  inputs: readonly Float32Array[],
): Promise<{ got: Float32Array; want: Float64Array }> {
  const specs = shapes.map((s) => spec(s));
  const graph = trace(fn, specs);
  const [want] = evaluate(
    graph,
    inputs.map((x, i) => hostArray(specs[i], Float64Array.from(x))),
  );
  const program = cpu.compile(graph);
  const from = inputs.map((x) => {
    const buffer = cpu.alloc(x.byteLength);
    cpu.write(buffer, x);
    return buffer;
  });
  const into = graph.outputs.map((v) => cpu.alloc(bytesOf(v.spec)));
  program.run(from, into);
  const got = new Float32Array(await cpu.read(into[0]));
  for (const buffer of [...from, ...into]) cpu.free(buffer);
  program.dispose();
  return { got, want: want.data };
}

const axis = fc.record({
  input: fc.integer({ min: 1, max: 11 }),
  kernel: fc.integer({ min: 1, max: 4 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  lo: fc.nat(2),
  hi: fc.nat(2),
});
/** Geometries in which every window sees something; undefined for those that are none. */
const geometries = fc
  .array(axis, { minLength: 1, maxLength: 3 })
  .map((axes): PoolGeometry | undefined => {
    try {
      return poolGeometry(
        spec([2, 2, ...axes.map((a) => a.input)]),
        axes.map((a) => a.kernel),
        {
          stride: axes.map((a) => a.stride),
          dilation: axes.map((a) => a.dilation),
          padding: axes.map((a) => [a.lo, a.hi] as const),
        },
      );
    } catch {
      return undefined;
    }
  });
const odd = [NaN, Infinity, -Infinity, 0, -0, 1, 1, 2, -3];
const cases = fc.record({
  g: geometries.filter((g) => g !== undefined),
  picks: fc.infiniteStream(fc.nat(odd.length - 1)),
});

const fill = (shape: readonly number[], next: () => number) =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);

describe("hard numbers", () => {
  const choosing: [Op<PoolGeometry>, number][] = [
    [maxPoolOp, 1],
    [maxPoolPickOp, 2],
  ];
  it.each(choosing)("$name", async (op, inputs) => {
    const property = fc.asyncProperty(cases, async ({ g, picks }) => {
      const x = [g.n, g.c, ...g.input];
      const next = () => odd[picks.next().value];
      const { got, want } = await run(
        Array.from({ length: inputs }, () => x),
        (...xs) => node(op, g, xs),
        Array.from({ length: inputs }, () => fill(x, next)),
      );
      expect([...got]).toEqual([...want]);
    });
    await fc.assert(property, { seed: 19980511, numRuns: 100 });
  });

  it("maxPoolGrad gives dy to the same input as the reference", async () => {
    const property = fc.asyncProperty(cases, async ({ g, picks }) => {
      const [x, y] = [
        [g.n, g.c, ...g.input],
        [g.n, g.c, ...g.output],
      ];
      let i = 0;
      // Whole numbers, so that sums are exact in any order.
      const dy = fill(y, () => ++i);
      const { got, want } = await run([x, y], (...xs) => node(maxPoolGradOp, g, xs), [
        fill(x, () => odd[picks.next().value]),
        dy,
      ]);
      expect([...got]).toEqual([...want]);
    });
    await fc.assert(property, { seed: 19980511, numRuns: 100 });
  });
});

describe("large windows", () => {
  it("of more taps than are unrolled", async () => {
    const g = poolGeometry(spec([1, 2, 9, 17]), [5, 9], { stride: [1, 2], padding: [2, 4] });
    let seen = 0;
    eachWindow(g, () => seen++);
    expect(seen).toBe(2 * 9 * 9);
    const x = Float32Array.from({ length: 2 * 9 * 17 }, (_, i) => ((i * 37) % 101) - 50);
    const { got, want } = await run(
      [[1, 2, 9, 17]],
      (v) => maxPool(v, [5, 9], { stride: [1, 2], padding: [2, 4] }),
      [x],
    );
    expect([...got]).toEqual([...want]);
    const dy = Float32Array.from({ length: 2 * 9 * 9 }, (_, i) => i);
    const back = await run(
      [
        [1, 2, 9, 17],
        [1, 2, 9, 9],
      ],
      (...xs) => node(maxPoolGradOp, g, xs),
      [x, dy],
    );
    expect([...back.got]).toEqual([...back.want]);
  });

  it("over everything become a mean in two stages, as exact as a tree of sums", async () => {
    const x = new Float32Array(256 * 256).fill(1 / 3);
    const { got } = await run([[1, 1, 256, 256]], (v) => avgPool(v, 256), [x]);
    expect(Math.abs(got[0] - Math.fround(1 / 3))).toBeLessThan(1e-6);
  });
});

describe("windows that tile the input, with the derivative of what came before", () => {
  const shapes = [
    [2, 3, 4, 10],
    [1, 2, 6, 6],
    [1, 1, 2, 2],
    [2, 2, 18],
    [1, 2, 2, 4, 14],
  ];
  it.each(shapes.map((s) => [s]))("%j", async (x) => {
    const y = [x[0], x[1], ...x.slice(2).map((v) => v / 2)];
    let i = 0;
    const [values, weights] = [
      fill(x, () => ((i = (i * 37 + 11) % 101) - 50) / 16),
      fill(y, () => ((i = (i * 37 + 11) % 101) - 50) / 16),
    ];
    for (const before of [relu, tanh]) {
      for (const pool of [maxPool, avgPool]) {
        const { got, want } = await run(
          [x, y],
          (v, c) => ((p) => [...grad(sum(mul(p, c)), [v]), p])(pool(before(v), 2)),
          [values, weights],
        );
        got.forEach((v, at) => expect(Math.abs(v - want[at]), `${at}`).toBeLessThan(2e-6));
      }
    }
  });
});
