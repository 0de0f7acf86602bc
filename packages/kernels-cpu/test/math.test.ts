// Transcendental functions of generated code against Math.*, over the whole range of float32: every
// 2¹¹th number of each sign, and all special ones.

import { numbers, type Expr } from "@conv/ops";
import { describe, expect, it } from "vitest";
import { emitExpr } from "../src/kernels/elementwise/expr.ts";
import { i32, v128, type Operand } from "../src/wasm/asm.ts";
import { Module } from "../src/wasm/module.ts";

const bits = new Uint32Array(1);
const value = new Float32Array(bits.buffer);
const fromBits = (b: number): number => {
  bits[0] = b;
  return value[0];
};

/** Every 2¹¹th float32 in the order of its bits, with neighbors of what is hard. */
const everywhere = Float32Array.from([
  ...Array.from({ length: 2 ** 21 }, (_, i) => fromBits(i * 2048 + (i % 2048))),
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  3.4028235e38,
  -3.4028235e38,
  ...[
    -1,
    0.5,
    0.625,
    Math.SQRT1_2,
    1,
    88.72283,
    88.72284,
    -87.33654,
    -103.97207,
    -103.97208,
    9.01,
  ].flatMap((v) => [-2, -1, 0, 1, 2].map((d) => nextFloat(v, d))),
]);

function nextFloat(v: number, steps: number): number {
  value[0] = v;
  bits[0] += steps;
  return value[0];
}

/** Distance between neighbors of float32 at v. */
const spacing = (v: number): number =>
  2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(v)))) - 23);

/** f of every number, or of every pair of numbers, by generated code. */
function run(f: Expr, relaxed: boolean, x: Float32Array, b = x): Float32Array {
  const m = new Module();
  m.export(
    m.func("f", ["x", "count"], (code) => {
      const [p, count] = code.params;
      const i = code.local("i32", "i");
      code.for(i, 0, count, 4, () => {
        const at = code.let("i32", "at", i32.add(p, i32.mul(i, 4)));
        const y: Operand = emitExpr(
          code,
          { relaxed, simd256: false, threads: 1, roundoff: 0, prefer: [] },
          f,
          {
            a: code.let("v128", "a", v128.load(at)),
            b: code.let("v128", "b", v128.load(at, 4 * x.length)),
          },
        );
        code.store(at, y);
      });
    }),
  );
  const pages = Math.ceil((2 * x.byteLength + 32) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  new Float32Array(memory.buffer, 16, x.length).set(x);
  new Float32Array(memory.buffer, 16 + x.byteLength, x.length).set(b);
  const { exports } = new WebAssembly.Instance(
    new WebAssembly.Module(m.encode({ shared: false, maximum: pages })),
    { env: { memory } },
  );
  (exports.f as (x: number, count: number) => void)(16, x.length);
  return new Float32Array(memory.buffer, 16, x.length);
}

/**
 * The largest error in units of the spacing of float32 at the true value; infinite and NaN where
 * they should not be, or the other way, throw.
 */
function worst(
  f: Expr,
  exact: (x: number) => number,
  relaxed: boolean,
): { ulps: number; at: number } {
  return worstOf(run(f, relaxed, everywhere), everywhere, (i) => exact(everywhere[i]));
}

function worstOf(
  y: Float32Array,
  x: Float32Array,
  exact: (i: number) => number,
): { ulps: number; at: number } {
  let [ulps, at] = [0, 0];
  x.forEach((_, i) => {
    const want = exact(i);
    const rounded = Math.fround(want);
    if (Object.is(y[i], rounded)) return;
    if (!Number.isFinite(y[i]) || (!Number.isFinite(rounded) && Math.abs(y[i]) < 3.402823e38))
      throw new Error(`f(${x[i]}) is ${y[i]} at ${i}, should be ${rounded}`);
    const off = Math.abs(y[i] - want) / spacing(want);
    if (off > ulps) [ulps, at] = [off, x[i]];
  });
  return { ulps, at };
}

describe.each([true, false])("relaxed SIMD: %s", (relaxed) => {
  it.each([
    ["exp", Math.exp, 2],
    ["expm1", Math.expm1, 2],
    ["log", Math.log, 2],
    ["log1p", Math.log1p, 3],
    ["tanh", Math.tanh, 2],
    ["sin", Math.sin, 2],
    ["cos", Math.cos, 2],
  ] as const)("%s", (name, exact, bound) => {
    const { ulps, at } = worst([name, "a"], exact, relaxed);
    expect(ulps, `at ${at}`).toBeLessThanOrEqual(bound);
  });

  it("pow", () => {
    const bases = everywhere.filter((_, i) => i % 4096 === 0 || i > 2 ** 21);
    const exponents = [
      ...[0, -0, 1, -1, 2, 3, -3, 7, 0.5, -0.5, 2.5, 1 / 3, 100, 101, 1e-3, 1e-30, 2 ** 24, 1e9],
      ...[2 ** -149, 1e30, -1e30, Infinity, -Infinity, NaN],
      ...Array.from({ length: 40 }, (_, i) => (i - 20) * 0.7301),
    ];
    const near = Array.from({ length: 4000 }, (_, i) => 1 + (i - 2000) * 1e-6);
    const all = [...bases, ...near].flatMap((a) => exponents.map((b) => [a, b] as const));
    const [a, b] = [0, 1].map((side) => Float32Array.from(all, (both) => both[side]));
    const y = run(["pow", "a", "b"], relaxed, a, b);
    const { ulps, at } = worstOf(y, a, (i) => numbers.pow(a[i], b[i], 0));
    expect(ulps, `at ${at}`).toBeLessThanOrEqual(2);
  });
});
