// Generated functions are shared by key: equal keys must mean equal code, and different code must
// have different keys.

import { plan, refusal } from "@conv/compiler";
import {
  add,
  avgPool,
  conv,
  convTranspose,
  div,
  matmul,
  maxPool,
  mul,
  neg,
  relu,
  sum,
} from "@conv/ops";
import { cases } from "@conv/ops/cases";
import {
  exactly,
  jit,
  node,
  optimize,
  tensor,
  trace,
  type Graph,
  spec,
  type Value,
} from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { capsOf, type Caps } from "../src/compile/caps.ts";
import { selectionOf } from "../src/compile/selection.ts";
import { createCpu, type CpuBackend } from "../src/index.ts";
import { kernels } from "../src/kernels/index.ts";
import { Func, Module } from "../src/wasm/module.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

describe("descriptions", () => {
  it("tell apart what JSON does not", () => {
    const values = [
      0,
      -0,
      NaN,
      Infinity,
      -Infinity,
      null,
      "NaN",
      "-0",
      "0",
      [],
      [0],
      [-0],
      [[0]],
      [null],
      { a: -0 },
      { a: 0 },
    ];
    expect(new Set(values.map(exactly)).size).toBe(values.length);
  });
  it("stay apart when they are joined", () => {
    expect(exactly("a") + exactly("b")).not.toBe(exactly('a"b'));
    expect(exactly("\n")).not.toBe(exactly("") + exactly(""));
  });
});

/** FNV-1a, 32 bits: a name of this length is no identity. */
function shortHash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** Pairs of numbers whose descriptions have one hash of 32 bits. */
function collisions(describe: (c: number) => unknown, count: number): [number, number][] {
  const known = new Map<number, number>();
  const pairs: [number, number][] = [];
  for (let i = 1; pairs.length < count; i++) {
    const c = i / 1000;
    const h = shortHash(JSON.stringify(describe(c)));
    const other = known.get(h);
    if (other !== undefined) pairs.push([other, c]);
    known.set(h, c);
  }
  return pairs;
}

describe("functions whose descriptions have one hash", () => {
  const zeros = () => tensor(cpu, new Float32Array(4), [2, 2]);
  it("are two epilogues of matrix products", async () => {
    const f = jit((a, b) => [add(matmul(a, b), 10.509), add(matmul(b, a), 102.42)]);
    const results = await Promise.all(f(zeros(), zeros()).map((y) => y.read()));
    expect(results.map((y) => y[0])).toEqual([10.509, 102.42].map(Math.fround));
  });
  it("are two elementwise passes", async () => {
    const axes = [{ size: 4, strides: [1, 1] }];
    for (const [c, d] of collisions((v) => [axes, [["add", "i0", v]], 1, cpu.caps.relaxed], 4)) {
      const f = jit((a, b) => [add(a, c), add(b, d)]);
      const results = await Promise.all(f(zeros(), zeros()).map((y) => y.read()));
      expect(results.map((y) => y[0])).toEqual([c, d].map(Math.fround));
    }
  });
  it("are two epilogues found by search", async () => {
    for (const [c, d] of collisions((v) => ({ f: ["add", "r", v], operands: [] }), 4)) {
      const f = jit((a, b) => [add(matmul(a, b), c), add(matmul(b, a), d)]);
      const results = await Promise.all(f(zeros(), zeros()).map((y) => y.read()));
      expect(results.map((y) => y[0])).toEqual([c, d].map(Math.fround));
    }
  });
});

it("0 and −0 stay what they are in two functions that are otherwise one, and in one function", async () => {
  const ones = () => tensor(cpu, new Float32Array(4).fill(1), [2, 2]);
  const apart = jit((a, b) => [div(a, 0), div(b, -0)]);
  const together = jit((a) => [div(a, 0), div(neg(neg(a)), -0)]);
  for (const [y, z] of [apart(ones(), ones()), together(ones())])
    expect([(await y.read())[0], (await z.read())[0]]).toEqual([Infinity, -Infinity]);
});

/** Builds a function again whenever it is asked for again, and compares. */
class Rebuilding extends Module {
  readonly #bodies = new Map<string, string>();
  shared = 0;
  override func(key: string, params: readonly string[], body: (f: Func) => void): Func {
    const known = this.#bodies.get(key);
    const number = (v: number) => (Object.is(v, -0) ? "-0" : v);
    const textOf = (f: Func) =>
      [
        f.params.length,
        ...f.locals.map((l) => l.type),
        ...f.code.map(({ op, imm }) => op + imm.map(number).join()),
      ].join(" ");
    if (known === undefined)
      return super.func(key, params, (f) => {
        body(f);
        this.#bodies.set(key, textOf(f));
      });
    const again = new Func(key, 0, params);
    body(again);
    if (textOf(again) !== known) throw new Error(`two bodies for ${key}`);
    this.shared++;
    return super.func(key, params, body);
  }
}

/** One in `n`, unless all of everything runs. */
const oneIn = <T>(n: number, list: readonly T[]): T[] =>
  list.filter((_, i) => inject("fullConformance") || i % n === 0);

describe("no two stages share a key and differ", () => {
  const of = (
    shapes: readonly (readonly number[])[],
    fn: (...xs: Value[]) => Value | readonly Value[],
  ): Graph =>
    optimize(
      trace(
        fn,
        shapes.map((s) => spec(s)),
      ),
    );
  const every = cases.map((c) => optimize(trace((...xs) => node(c.op, c.params, xs), c.inputs)));
  const withEpilogue = cases
    .filter((c) =>
      trace((...xs) => node(c.op, c.params, xs), c.inputs).outputs.every(
        (y) => y.spec.dtype === "float32",
      ),
    )
    .map((c, i) => {
      const epilogue = [
        (y: Value) => relu(y),
        (y: Value) => add(relu(y), 0.5),
        (y: Value) => add(mul(y, -0), 0.5),
      ][i % 3];
      return optimize(trace((...xs) => node(c.op, c.params, xs).map(epilogue), c.inputs));
    });
  const several: Graph[] = [];
  for (const n of [1, 2])
    for (const size of [7])
      for (const kernel of [1, 3])
        for (const stride of [1, 2])
          for (const padding of [0, 1]) {
            several.push(
              of([[n, 4, size, size]], (x) => [
                maxPool(x, kernel, { stride, padding: Math.min(padding, kernel >> 1) }),
                avgPool(x, kernel, { stride }),
              ]),
            );
            for (const [dilation, groups] of [
              [1, 1],
              [2, 1],
              [1, 2],
              [1, 4],
            ]) {
              if ((kernel - 1) * dilation + 1 > size + 2 * padding) continue;
              const weight = [8, 4 / groups, kernel, kernel];
              several.push(
                of([[n, 4, size, size], weight, [8, 1, 1]], (x, w, b) =>
                  relu(add(conv(x, w, { stride, padding, dilation, groups }), b)),
                ),
              );
              several.push(
                of([[n, 8, size, size], weight], (x, w) =>
                  convTranspose(x, w, { stride, padding, dilation, groups }),
                ),
              );
            }
          }
  for (const m of [1, 3, 8])
    for (const k of [1, 4, 9])
      for (const n of [2, 5, 16]) {
        several.push(
          of(
            [
              [m, k],
              [k, n],
            ],
            (a, b) => [matmul(a, b), sum(matmul(a, b), 0)],
          ),
        );
      }

  it.each([
    ["as the engine has it", {}, [...oneIn(2, every), ...oneIn(4, withEpilogue), ...several]],
    ["for 256-bit registers", { simd256: true }, oneIn(8, every)],
    ["without relaxed instructions", { relaxed: false }, oneIn(8, every.slice(3))],
  ] satisfies [string, Partial<Caps>, Graph[]][])(
    "%s",
    { timeout: 120_000 },
    (_, wanted, graphs) => {
      const caps: Caps = { ...capsOf({ threads: 1 }), ...wanted };
      const module = new Rebuilding();
      for (const graph of graphs)
        for (const { task, kernel: chosen } of plan(graph, selectionOf(caps, kernels)))
          for (const kernel of task.epilogue
            ? [chosen]
            : kernels.filter((k) => refusal(k, task, caps) === null))
            for (const { name, reads, writes, emit } of kernel.build(task, caps).stages)
              module.func(
                name,
                [...[...reads, ...writes].map((_p, i) => `at${i}`), "lo", "hi", "own"],
                (f) => {
                  const [lo, hi, threadScratch] = f.params.slice(-3);
                  emit(module, f, f.params.slice(0, -3), { lo, hi, threadScratch });
                },
              );
      expect(module.funcs.length).toBeGreaterThan(300);
      expect(module.shared).toBeGreaterThan(300);
    },
  );
});
