// The assembler: every family of instructions computes what it should, and code reads as text.

import { describe, expect, it } from "vitest";
import { hasRelaxedSimd } from "../src/compile/caps.ts";
import {
  atomics,
  f32,
  f32x4,
  f64x2,
  i32,
  i32x4,
  i64x2,
  v128,
  type Code,
  type Local,
} from "../src/wasm/asm.ts";
import { Func, Module } from "../src/wasm/module.ts";
import { OPCODES } from "../src/wasm/opcodes.ts";
import { moduleText } from "../src/wasm/text.ts";

/** Instructions that ran in these tests. */
const used = new Set<string>();

/** Runs a function over one page of memory and returns that memory. */
function run(
  build: (f: Func) => void,
  { shared = false, before }: { shared?: boolean; before?: (memory: ArrayBuffer) => void } = {},
): ArrayBuffer {
  const m = new Module();
  m.export(m.func("f", [], build));
  for (const { op } of m.funcs.flatMap((f) => f.code)) used.add(op);
  const code = m.encode({ shared, maximum: 1 });
  expect(WebAssembly.validate(code)).toBe(true);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared });
  before?.(memory.buffer);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  (exports.f as () => void)();
  return memory.buffer;
}

const integer = (code: Code): number =>
  new Int32Array(
    run((f) => f.storeI32(64, code)),
    64,
    1,
  )[0];
const float = (code: Code): number =>
  new Float32Array(
    run((f) => f.storeF32(64, code)),
    64,
    1,
  )[0];
const floats = (code: Code): number[] => [
  ...new Float32Array(
    run((f) => f.store(64, code)),
    64,
    4,
  ),
];
const integers = (code: Code): number[] => [
  ...new Int32Array(
    run((f) => f.store(64, code)),
    64,
    4,
  ),
];
/** Hides a constant from folding. */
const hidden = (v: number): Code => i32.xor(i32.xor(v, 1), 1);
const vector = (...v: number[]): Code =>
  i32x4.lanes(...new Int32Array(Float32Array.from(v).buffer));

describe("integers", () => {
  it("reach from end to end as constants", () => {
    for (const v of [
      0,
      1,
      -1,
      63,
      64,
      -64,
      -65,
      127,
      128,
      8191,
      8192,
      -8192,
      -8193,
      2 ** 31 - 1,
      -(2 ** 31),
      0x7feb352d,
    ])
      expect(integer(i32.add(v, 0)), `${v}`).toBe(v);
  });

  const a = hidden(-7);
  const b = hidden(3);
  const cases: [string, Code, number][] = [
    ["add", i32.add(a, b), -4],
    ["sub", i32.sub(a, b), -10],
    ["mul", i32.mul(a, b), -21],
    ["mul by a power of two", i32.mul(a, 8), -56],
    ["div, unsigned", i32.div(hidden(22), b), 7],
    ["rem, unsigned", i32.rem(hidden(22), b), 1],
    ["and", i32.and(a, b), 1],
    ["or", i32.or(a, b), -5],
    ["xor", i32.xor(a, b), -6],
    ["shl", i32.shl(a, b), -56],
    ["shr, unsigned", i32.shr(a, b), 0x1fffffff],
    ["eq", i32.eq(a, a), 1],
    ["ne", i32.ne(a, b), 1],
    ["lt", i32.lt(a, b), 1],
    ["lt, unsigned", i32.ltU(a, b), 0],
    ["gt", i32.gt(a, b), 0],
    ["le", i32.le(a, a), 1],
    ["eqz", i32.eqz(hidden(0)), 1],
    ["select", i32.select(hidden(1), a, b), -7],
    ["select otherwise", i32.select(hidden(0), a, b), 3],
  ];
  for (const [name, code, want] of cases) it(name, () => expect(integer(code)).toBe(want));

  it("are folded where they are constant", () => {
    expect(i32.add(2, 3)).toEqual([{ op: "i32.const", imm: [5] }]);
    expect(i32.mul(2, 3)).toEqual([{ op: "i32.const", imm: [6] }]);
    for (const same of [i32.add(b, 0), i32.add(0, b), i32.sub(b, 0), i32.mul(b, 1), i32.div(b, 1)])
      expect(same).toEqual(b);
    expect(i32.mul(b, 0)).toEqual([{ op: "i32.const", imm: [0] }]);
    expect(i32.rem(b, 1)).toEqual([{ op: "i32.const", imm: [0] }]);
  });
});

describe("floats", () => {
  const cases: [string, Code, number][] = [
    ["const", f32.const(-0.1), Math.fround(-0.1)],
    ["add", f32.add(1.5, 2), 3.5],
    ["sub", f32.sub(1.5, 2), -0.5],
    ["mul", f32.mul(1.5, 2), 3],
    ["max", f32.max(1.5, 2), 2],
    ["lane of a vector", f32x4.lane(vector(1, 2, 3, 4), 2), 3],
  ];
  for (const [name, code, want] of cases) it(name, () => expect(float(code)).toBe(want));
  it("compare", () =>
    expect([f32.gt(2, 1), f32.ne(1, 1), f32.eq(1, 1)].map(integer)).toEqual([1, 0, 1]));
});

describe("vectors", () => {
  const a = vector(1, -2.5, NaN, 4);
  const b = vector(0.5, 3, 1, 4);
  const cases: [string, Code, number[]][] = [
    ["add", f32x4.add(a, b), [1.5, 0.5, NaN, 8]],
    ["sub", f32x4.sub(a, b), [0.5, -5.5, NaN, 0]],
    ["mul", f32x4.mul(a, b), [0.5, -7.5, NaN, 16]],
    ["div", f32x4.div(a, b), [2, Math.fround(-2.5 / 3), NaN, 1]],
    ["min", f32x4.min(a, b), [0.5, -2.5, NaN, 4]],
    ["max", f32x4.max(a, b), [1, 3, NaN, 4]],
    [
      "pmax keeps a NaN on the left only",
      f32x4.pmax(vector(NaN, 1, -0, 1), vector(1, NaN, 0, 2)),
      [NaN, 1, -0, 2],
    ],
    [
      "pmin keeps a NaN on the left only",
      f32x4.pmin(vector(NaN, 1, -0, 2), vector(1, NaN, 0, 1)),
      [NaN, 1, -0, 1],
    ],
    ["neg", f32x4.neg(a), [-1, 2.5, NaN, -4]],
    ["abs", f32x4.abs(a), [1, 2.5, NaN, 4]],
    ["sqrt", f32x4.sqrt(b), [0.5, 3, 1, 4].map((v) => Math.fround(Math.sqrt(v)))],
    ["nearest, ties to even", f32x4.nearest(vector(0.5, 1.5, -0.6, 2.4)), [0, 2, -1, 2]],
    ["floor", f32x4.floor(vector(0.5, -0.5, 2, -2.4)), [0, -1, 2, -3]],
    ["splat", f32x4.splat(7), [7, 7, 7, 7]],
    ["fromInt", f32x4.fromInt(i32x4.lanes(1, -2, 3, 2 ** 24)), [1, -2, 3, 2 ** 24]],
    ["a number in all lanes", f32x4.add(0.25, 1), [1.25, 1.25, 1.25, 1.25]],
    ["shuffle", v128.shuffle(a, b, 0, 5, 3, 4), [1, 3, 4, 0.5]],
    [
      "swizzle",
      v128.swizzle(a, i32x4.lanes(0x07060504, 0x03020100, -1, 0x0f0e0d0c)),
      [-2.5, 1, 0, 4],
    ],
    ["bitselect", v128.bitselect(a, b, i32x4.lanes(-1, 0, 0, -1)), [1, 3, 1, 4]],
  ];
  for (const [name, code, want] of cases) it(name, () => expect(floats(code)).toEqual(want));

  const p = i32x4.lanes(1, -2, 0x7fffffff, 12);
  const q = i32x4.lanes(1, 3, 2, 10);
  const bits: [string, Code, number[]][] = [
    ["gt", f32x4.gt(a, b), [-1, 0, 0, 0]],
    ["lt", f32x4.lt(a, b), [0, -1, 0, 0]],
    ["ge", f32x4.ge(a, b), [-1, 0, 0, -1]],
    ["le", f32x4.le(a, b), [0, -1, 0, -1]],
    ["eq", f32x4.eq(a, b), [0, 0, 0, -1]],
    ["ne", f32x4.ne(a, b), [-1, -1, -1, 0]],
    ["truncSat", f32x4.truncSat(vector(1.9, -1.9, NaN, 3e9)), [1, -1, 0, 2 ** 31 - 1]],
    ["i32x4 add", i32x4.add(p, q), [2, 1, -(2 ** 31) + 1, 22]],
    ["i32x4 sub", i32x4.sub(p, q), [0, -5, 0x7ffffffd, 2]],
    ["i32x4 mul", i32x4.mul(p, q), [1, -6, -2, 120]],
    ["i32x4 eq", i32x4.eq(p, q), [-1, 0, 0, 0]],
    ["i32x4 minU", i32x4.minU(p, q), [1, 3, 2, 10]],
    ["i32x4 max", i32x4.max(p, q), [1, 3, 0x7fffffff, 12]],
    ["i32x4 shl", i32x4.shl(q, 4), [16, 48, 32, 160]],
    ["i32x4 shrS", i32x4.shrS(p, 1), [0, -1, 0x3fffffff, 6]],
    ["i32x4 shrU", i32x4.shrU(p, 1), [0, 0x7fffffff, 0x3fffffff, 6]],
    ["i32x4 splat", i32x4.splat(-5), [-5, -5, -5, -5]],
    ["and", v128.and(p, q), [1, 2, 2, 8]],
    ["andnot", v128.andnot(p, q), [0, -4, 0x7ffffffd, 4]],
    ["or", v128.or(p, q), [1, -1, 0x7fffffff, 14]],
    ["xor", v128.xor(p, q), [0, -3, 0x7ffffffd, 6]],
    ["not", v128.not(q), [-2, -4, -3, -11]],
  ];
  for (const [name, code, want] of bits) it(name, () => expect(integers(code)).toEqual(want));
  it("i32x4 lane", () => expect(integer(i32x4.lane(p, 3))).toBe(12));
  it("anyTrue", () =>
    expect(
      [v128.anyTrue(i32x4.lanes(0, 0, 4, 0)), v128.anyTrue(i32x4.const(0))].map(integer),
    ).toEqual([1, 0]));
  it("relaxedMadd", () => {
    expect(hasRelaxedSimd()).toBe(true);
    expect(floats(f32x4.relaxedMadd(vector(1, 2, 3, 4), 2, 0.5))).toEqual([2.5, 4.5, 6.5, 8.5]);
  });
});

describe("pairs of float64", () => {
  const doubles = (code: Code): number[] => [
    ...new Float64Array(
      run((f) => f.store(64, code)),
      64,
      2,
    ),
  ];
  const x = f64x2.promoteLow(vector(1.5, -2.5, 7, 8));
  const cases: [string, Code, number[]][] = [
    ["promoteLow", x, [1.5, -2.5]],
    ["add", f64x2.add(x, 2 ** -40), [1.5 + 2 ** -40, -2.5 + 2 ** -40]],
    ["sub", f64x2.sub(x, 1), [0.5, -3.5]],
    ["mul", f64x2.mul(x, 3), [4.5, -7.5]],
    ["div", f64x2.div(1, x), [1 / 1.5, 1 / -2.5]],
    ["pmin keeps a NaN on the left only", f64x2.pmin(f64x2.div(NaN, x), 1), [NaN, NaN]],
    ["pmin", f64x2.pmin(x, -1), [-1, -2.5]],
    ["pmax", f64x2.pmax(x, 0), [1.5, 0]],
    ["nearest, ties to even", f64x2.nearest(x), [2, -2]],
    ["bitselect by eq", f64x2.bitselect(9, x, f64x2.eq(x, 1.5)), [9, -2.5]],
    ["i64x2 add of bits", i64x2.add(x, 2 ** -1074), [1.5 + 2 ** -52, -2.5 - 2 ** -51]],
    ["i64x2 sub of bits", i64x2.sub(x, x), [0, 0]],
    [
      "i64x2 shifts",
      i64x2.add(x, i64x2.shl(i64x2.shrS(f64x2.promoteLow(vector(-0, 0.5, 0, 0)), 62), 52)),
      [1.5 / 4, -2.5],
    ],
  ];
  for (const [name, code, want] of cases) it(name, () => expect(doubles(code)).toEqual(want));
  it("demote", () => expect(floats(f64x2.demote(f64x2.add(x, 1e-20)))).toEqual([1.5, -2.5, 0, 0]));
});

describe("memory", () => {
  const before = (buffer: ArrayBuffer) => new Float32Array(buffer).set([0, 1, 2, 3, 4, 5, 6, 7]);
  const loads: [string, Code, number[]][] = [
    ["load", v128.load(8), [2, 3, 4, 5]],
    ["load at an offset", v128.load(4, 8), [3, 4, 5, 6]],
    ["loadSplat", v128.loadSplat(12), [3, 3, 3, 3]],
    ["loadZero32", v128.loadZero32(12), [3, 0, 0, 0]],
    ["loadLane", v128.loadLane(4, v128.load(8), 2, 24), [2, 3, 7, 5]],
  ];
  for (const [name, code, want] of loads)
    it(name, () =>
      expect([
        ...new Float32Array(
          run((f) => f.store(64, code), { before }),
          64,
          4,
        ),
      ]).toEqual(want),
    );

  it("stores vectors, lanes and scalars", () => {
    const memory = run(
      (f) => {
        f.store(64, vector(1, 2, 3, 4));
        f.storeLane(64, vector(5, 6, 7, 8), 3, 4);
        f.storeF32(64, f32.load(28), 8);
        f.storeI32(80, i32.load(64));
        f.fill(96, 0xff, 6);
      },
      { before },
    );
    expect([...new Float32Array(memory, 64, 5)]).toEqual([1, 8, 7, 4, 1]);
    expect([...new Uint8Array(memory, 94, 10)]).toEqual([0, 0, 255, 255, 255, 255, 255, 255, 0, 0]);
  });

  it("takes offsets of up to 32 bits", () => {
    const m = new Module();
    m.func("far", [], (f) => f.store(0, v128.load(0, 0xfffffff0), 2 ** 28));
    expect(WebAssembly.validate(m.encode({ shared: false, maximum: 65536 }))).toBe(true);
  });

  it("counts, waits and wakes atomically", () => {
    const memory = run(
      (f) => {
        f.emit(atomics.store(64, 5));
        f.storeI32(68, atomics.add(64, 3)); // what was there
        f.storeI32(72, atomics.load(64));
        f.emit(atomics.wait(64, 5, -1)); // it is 8: no sleep
        f.emit(atomics.notifyAll(64));
      },
      { shared: true },
    );
    expect([...new Int32Array(memory, 64, 3)]).toEqual([8, 5, 8]);
  });
});

describe("control", () => {
  /** Collects what `visit` is called with, as words from 64 on, and how many there were at 0. */
  const visits = (build: (f: Func, visit: (v: Local | number) => void) => void): number[] => {
    const words = new Int32Array(
      run((f) => {
        const count = f.local("i32", "count");
        build(f, (v) => {
          f.storeI32(i32.mul(count, 4), v, 64);
          f.bump(count, 1);
        });
        f.storeI32(0, count);
      }),
    );
    return Array.from(words.subarray(16, 16 + words[0]));
  };

  it("for, with ends known or not", () => {
    const over = (from: number | Code, to: number | Code, step: number) =>
      visits((f, visit) =>
        f.for(f.local("i32", "i"), from, to, step, () => visit(f.locals.at(-1)!)),
      );
    expect(over(2, 5, 1)).toEqual([2, 3, 4]);
    expect(over(2, 9, 3)).toEqual([2, 5, 8]);
    expect(over(2, 3, 1)).toEqual([2]);
    expect(over(3, 3, 1)).toEqual([]);
    expect(over(hidden(2), 5, 1)).toEqual([2, 3, 4]);
    expect(over(0, hidden(0), 1)).toEqual([]);
  });

  it("repeat", () => {
    const times = (n: number) => visits((f, visit) => f.repeat(n, "left", () => visit(7))).length;
    expect([0, 1, 2, 9].map(times)).toEqual([0, 1, 2, 9]);
  });

  it("if, block, loop and branches", () => {
    expect(
      visits((f, visit) => {
        f.if(
          hidden(1),
          () => visit(1),
          () => visit(2),
        );
        f.if(
          hidden(0),
          () => visit(3),
          () => visit(4),
        );
        f.if(hidden(0), () => visit(5));
        const i = f.let("i32", "i", 0);
        f.block(() =>
          f.loop(() => {
            visit(i);
            f.bump(i, 10);
            f.brIf(i32.gt(i, 20), 1);
            f.br(0);
          }),
        );
      }),
    ).toEqual([1, 4, 0, 10, 20]);
  });

  it("calls a function once built", () => {
    const m = new Module();
    let built = 0;
    const store = () =>
      m.func("store", ["at", "value"], (f) => {
        built++;
        f.storeI32(f.params[0], f.params[1]);
      });
    m.export(
      m.func("f", [], (f) => {
        f.call(store(), 64, 1);
        f.call(store(), 68, 2);
      }),
    );
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
    const module = new WebAssembly.Module(m.encode({ shared: false, maximum: 1 }));
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    (exports.f as () => void)();
    expect(built).toBe(1);
    for (const { op } of m.funcs.flatMap((f) => f.code)) used.add(op);
    expect([...new Int32Array(memory.buffer, 64, 2)]).toEqual([1, 2]);
    const names = new TextDecoder().decode(WebAssembly.Module.customSections(module, "name")[0]);
    for (const name of ["store", "f"]) expect(names).toContain(name);
  });
});

it("elements of one and two bytes, bits and conversions", () => {
  const memory = run((f) => {
    f.storeBytes(16, 0x1ff, 1);
    f.storeBytes(18, 0x1fffe, 2);
    f.storeBytes(20, -5, 4);
    f.storeI32(32, i32.load8(16));
    f.storeI32(36, i32.load8U(16));
    f.storeI32(40, i32.load16U(18));
  });
  expect([...new Uint8Array(memory, 16, 8)]).toEqual([255, 0, 254, 255, 251, 255, 255, 255]);
  expect([...new Int32Array(memory, 32, 3)]).toEqual([-1, 255, 65534]);
  const [a, b] = [f32.fromInt(hidden(-3)), f32.fromBits(hidden(0x40000000))];
  expect([float(a), float(b), integer(i32.bits(b))]).toEqual([-3, 2, 0x40000000]);
  expect([a, f32.const(3e10), f32.const(NaN)].map((v) => integer(i32.truncSat(v)))).toEqual([
    -3,
    2 ** 31 - 1,
    0,
  ]);
  expect([f32.lt, f32.le, f32.gt, f32.ge].map((op) => integer(op(a, b)))).toEqual([1, 1, 0, 0]);
  expect([i32.ge(hidden(2), 2), i32.ge(hidden(1), 2)].map(integer)).toEqual([1, 0]);
});

it("every instruction of the table has run", () => {
  expect(Object.keys(OPCODES).filter((op) => !used.has(op))).toEqual([]);
});

describe("text", () => {
  it("shows one statement a line, blocks indented, locals by name, constants of loops before", () => {
    const m = new Module();
    m.func("scale", ["x", "count"], (f) => {
      const [x, count] = f.params;
      const i = f.local("i32", "i");
      f.for(i, 0, count, 1, () => {
        f.store(x, f32x4.mul(v128.load(x), 0.5));
        f.bump(x, 16);
      });
    });
    expect(moduleText(m)).toMatchInlineSnapshot(`
      "func scale(x, count)
        const0 = 0.5
        i = 0
        if i32.lt_s(i, count)
          loop
            v128.store(x, f32x4.mul(v128.load(x), const0))
            x = i32.add(x, 16)
            i = i32.add(i, 1)
            br 0 if i32.lt_s(i, count)"
    `);
  });

  it("shows every kind of statement", () => {
    const m = new Module();
    const callee = m.func("callee", ["a"], () => {});
    m.func("all", ["p"], (f) => {
      const [p] = f.params;
      const v = f.let("v128", "v", vector(1, 2, 3, 4));
      f.if(
        i32.eqz(p),
        () => f.call(callee, i32.add(p, 1)),
        () => f.fill(p, 0, 64),
      );
      f.block(() => f.brIf(i32.select(p, 1, 2), 0));
      f.storeLane(p, v128.shuffle(v, v, 4, 0, 1, 7), 2, 16);
      f.store(p, v128.bitselect(v, f32x4.relaxedMadd(v, 0.5, -0.1), i32x4.const(-1)));
      f.storeF32(p, f32x4.lane(v128.loadLane(p, v, 1, 8), 3));
      f.emit(atomics.wait(p, 5, -1), atomics.notifyAll(p));
    });
    expect(moduleText(m)).toMatchInlineSnapshot(`
      "func callee(a)

      func all(p)
        v = [0x3f800000 0x40000000 0x40400000 0x40800000]
        if i32.eqz(p)
          callee(i32.add(p, 1))
        else
          memory.fill(p, 0, 64)
        block
          br 0 if select(1, 2, p)
        v128.store32_lane(p + 16, i8x16.shuffle(v, v, 4 0 1 7), lane 2)
        v128.store(p, v128.bitselect(v, f32x4.relaxed_madd(v, 0.5, -0.10000000149011612), [-1 -1 -1 -1]))
        f32.store(p, f32x4.extract_lane(v128.load32_lane(p + 8, v, lane 1), lane 3))
        memory.atomic.wait32(p, 5, -1)
        memory.atomic.notify(p, 2147483647)"
    `);
  });
});
