// The functions of generated code against Math.*: over the whole range of float32 and at all
// special numbers, on vectors and on single numbers. Software adapters may flush numbers below the
// smallest normal number, and lose the sign of a zero that results from that; no other deviation is
// allowed.

import { map, numbers, type Expr } from "@conv/ops";
import { spec, trace } from "@conv/tensor";
import { softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

let gpu: GpuBackend;
beforeAll(async () => void (gpu = await createGpu({ gpu: await softwareGpu() })));
afterAll(() => gpu.dispose());

const LEAST = 2 ** -126;
const zero: number = Number("0");
const special = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  3.4028234663852886e38,
  -3.4028234663852886e38,
  LEAST,
  -LEAST,
  1e-40,
  -1e-40,
];
const ends = [
  88.72,
  88.73,
  89,
  -87.33,
  -87.34,
  -103.9,
  -104,
  -1e-6,
  1e-6,
  0.3,
  -0.3,
  0.6249,
  0.6251,
  -9,
  2 ** 24,
  1e10,
  1e-10,
  1 + 2 ** -23,
  2.5,
  -1.5,
  8388607.5,
  // Near multiples of π/2, the last the nearest of all numbers.
  1.5707964,
  3.1415927,
  355,
  103993,
  1e22,
  16367173 * 2 ** 72,
];
/** Every 2¹⁹th number of each sign. */
const range = [0, 2 ** 31].flatMap((sign) =>
  Array.from(
    { length: 4080 },
    (_, i) => new Float32Array(Uint32Array.of(sign + i * 2 ** 19).buffer)[0],
  ),
);

/** Values of the expressions for these numbers, computed on the device. */
async function computed(
  fs: readonly Expr[],
  inputs: readonly (readonly number[])[],
): Promise<Float32Array[]> {
  const shape = [inputs[0].length];
  const graph = trace(
    (...xs) => fs.map((f, i) => map(`f${i}`, f, xs)),
    inputs.map(() => spec(shape)),
  );
  const program = gpu.compile(graph);
  const [from, to] = [inputs, fs].map((list) => list.map(() => gpu.alloc(4 * shape[0])));
  from.forEach((buffer, i) => gpu.write(buffer, Float32Array.from(inputs[i])));
  program.run(from, to);
  const results = await Promise.all(
    to.map(async (buffer) => new Float32Array(await gpu.read(buffer))),
  );
  for (const buffer of [...from, ...to]) gpu.free(buffer);
  program.dispose();
  return results;
}

const flushed = (v: number) => (Math.abs(v) < LEAST ? (v < 0 ? -0 : 0) : v);

/**
 * Units in the last place between the result and the right value, with the arguments flushed or
 * not; 0 where both are NaN or the same infinity.
 */
function ulps(got: number, wants: readonly number[]): number {
  return Math.min(
    ...wants.map((want) => {
      const rounded = flushed(Math.fround(want));
      if (Object.is(got, rounded) || flushed(got) === rounded) return 0;
      const off =
        Math.abs(got - want) / 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(want)))) - 23);
      return Number.isNaN(off) ? Infinity : off;
    }),
  );
}

describe.each([
  ["vectors", 0],
  ["single numbers", 1],
])("%s", (_, more) => {
  const unary: [Expr, (x: number) => number, (x: number) => number][] = [
    [["exp", "a"], Math.exp, (x) => 4 + 2 * Math.abs(x)], // what WGSL allows, and the rounding
    [["expm1", "a"], Math.expm1, (x) => 6 + 2 * Math.max(0, x)],
    [["log", "a"], Math.log, () => 2],
    [["log1p", "a"], Math.log1p, () => 3],
    [["tanh", "a"], Math.tanh, () => 4],
    [["sin", "a"], Math.sin, () => 3],
    [["cos", "a"], Math.cos, () => 3],
    [["round", "a"], (x) => numbers.round(x, 0, 0), () => 0],
    [["sqrt", "a"], Math.sqrt, () => 2],
    [["neg", "a"], (x) => -x, () => 0],
    [["max", "a", 0], (x) => Math.max(x, 0), () => 0],
    [["min", ["max", "a", -3], 6], (x) => Math.min(Math.max(x, -3), 6), () => 0],
  ];

  it("functions of one number", async () => {
    const xs = [...special, ...ends, ...range];
    xs.length -= (xs.length % 4) - more;
    const all = await computed(
      unary.map(([f]) => f),
      [xs],
    );
    unary.forEach(([f, exact, bound], k) => {
      const wrong = xs.flatMap((v, i) => {
        const x = Math.fround(v);
        const off = ulps(all[k][i], [exact(x), exact(flushed(x))]);
        return off === 0 || off <= bound(x)
          ? []
          : [`${JSON.stringify(f)} of ${x}: ${all[k][i]} is off by ${off} units`];
      });
      expect(wrong).toEqual([]);
    });
  });

  const pow = (a: number, b: number) => numbers.pow(a, b, 0);
  const binary: [
    Expr,
    (a: number, b: number) => number,
    number | ((a: number, b: number) => number),
  ][] = [
    [["add", "a", "b"], (a, b) => a + b, 0.5],
    [["sub", "a", "b"], (a, b) => a - b, 0.5],
    [["mul", "a", "b"], (a, b) => a * b, 0.5],
    [["div", "a", "b"], (a, b) => a / b, 2.5],
    // The exponent times the logarithm of the mantissa is rounded.
    [
      ["pow", "a", "b"],
      pow,
      (a, b) => 6 + 6 * Math.abs(b) * Math.min(0.5, Math.abs(Math.log2(Math.abs(a)))),
    ],
    [["max", "a", "b"], Math.max, 0],
    [["min", "a", "b"], Math.min, 0],
    [["gt", "a", "b"], (a, b) => Number(a > b), 0],
    [["select", "a", "b", 7], (a, b) => (a === 0 ? 7 : b), 0],
    [["mul", "a", 0], (a) => a * zero, 0],
    [["div", 0, "b"], (_, b) => zero / b, 0],
    [["sub", "a", "a"], (a) => a - a, 0],
    [["div", "a", "a"], (a) => a / a, 0],
  ];

  it("functions of two numbers", async () => {
    const each = [...special, 2, 3, -3, 1e38, -1e-38, 7.5, -0.3, 100, 1.001].map(Math.fround);
    const [as, bs] = [each.flatMap((a) => each.map(() => a)), each.flatMap(() => each)];
    for (const list of [as, bs]) list.length -= (list.length % 4) - more;
    const all = await computed(
      binary.map(([f]) => f),
      [as, bs],
    );
    binary.forEach(([f, exact, bound], k) => {
      const wrong = as.flatMap((a, i) => {
        const wants = [
          exact(a, bs[i]),
          exact(flushed(a), flushed(bs[i])),
          exact(flushed(a), bs[i]),
          exact(a, flushed(bs[i])),
        ];
        const off = ulps(all[k][i], wants);
        return off === 0 || off <= (typeof bound === "number" ? bound : bound(a, bs[i]))
          ? []
          : [`${JSON.stringify(f)} of ${a} and ${bs[i]}: ${all[k][i]} is off by ${off} units`];
      });
      expect(wrong).toEqual([]);
    });
  });

  it("constants", async () => {
    const size = 4 + more;
    const x = Array<number>(size).fill(1);
    const fs: [Expr, number][] = [
      [["div", "a", 0], Infinity],
      [["div", "a", -0], -Infinity],
      [["mul", "a", ["div", 1, 0]], Infinity],
      [["mul", "a", ["log", -1]], NaN],
      [["add", "a", ["log", 0]], -Infinity],
      [["div", 1, ["mul", "a", -0]], -Infinity],
    ];
    const all = await computed(
      fs.map(([f]) => f),
      [x],
    );
    fs.forEach(([, want], k) => expect([...all[k]]).toEqual(Array<number>(size).fill(want)));
  });
});
