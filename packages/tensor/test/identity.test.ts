// Two things are the same only if they are: by the objects of ops and by all that parameters hold,
// never by a name.

import { describe, expect, test } from "vitest";
import {
  apply,
  bytesOf,
  createHost,
  evaluate,
  exactly,
  hostArray,
  jit,
  keyOfOp,
  optimize,
  spec,
  tensor,
  trace,
  type Arg,
  type Op,
  type Spec,
} from "../src/index.ts";

const cost = ([x]: readonly Spec[]) => ({
  macs: 0,
  flops: 0,
  bytesRead: bytesOf(x),
  bytesWritten: bytesOf(x),
});

/** An op of one element, named `same` like all others here. */
const opOf = <P>(f: (v: number, params: P) => number, key?: (params: P) => string): Op<P> => ({
  name: "same",
  infer: ([x]) => [x],
  reference: ([x], params) => [
    hostArray(
      x,
      x.data.map((v) => f(v, params)),
    ),
  ],
  vjp: () => [null],
  cost,
  key,
});
const [twice, thrice] = [2, 3].map((by) => opOf<null>((v) => v * by));
const over = opOf<{ by: number }>((v, { by }) => v / by);
const one = <P, T extends Arg>(op: Op<P>, params: P, x: T): T => apply(op, params, [x])[0];

/** No two of these are the same. */
class Point {
  x = 1;
}
const f = () => 1;
const different: unknown[] = [
  ...[
    0,
    -0,
    NaN,
    Infinity,
    -Infinity,
    1,
    "0",
    "-0",
    "NaN",
    "Infinity",
    "",
    null,
    "null",
    undefined,
    "undefined",
    true,
    "true",
    1n,
    "1n",
    10n,
  ],
  ...[
    [],
    {},
    [[]],
    [{}],
    [0],
    [-0],
    [NaN],
    [null],
    [undefined],
    [1, 2],
    [12],
    [[1], 2],
    [1, [2]],
    "[1,2]",
    "1,2",
  ],
  ...[
    { a: 1 },
    { a: -1 },
    { b: 1 },
    { a: [1] },
    { a: undefined },
    { a: null },
    { a: NaN },
    { "a:1,b": 1 },
    { 'a":1,"b': 1 },
    { a: 1, b: 1 },
  ],
  ...[
    Float32Array.of(1, 2),
    Float64Array.of(1, 2),
    Int32Array.of(1, 2),
    { 0: 1, 1: 2 },
    Float32Array.of(0),
    Float32Array.of(-0),
  ],
  ...[
    f,
    () => 1,
    new Point(),
    new Point(),
    new Map([[1, 2]]),
    new Map(),
    new Set([1]),
    new Date(0),
    new Date(1),
    new DataView(new ArrayBuffer(4)),
  ],
  ...["\n", "\\n", '"', '\\"', "\u0000-0", "é"],
];

describe("exactly", () => {
  test("tells apart what is different, alone and inside lists and objects", () => {
    for (const wrap of [
      (v: unknown) => v,
      (v: unknown) => [v],
      (v: unknown) => ({ f: v }),
      (v: unknown) => [v, v],
    ])
      expect(new Set(different.map((v) => exactly(wrap(v)))).size).toBe(different.length);
    expect(new Set(different.flatMap((v) => [v, [v], { f: v }]).map(exactly)).size).toBe(
      new Set(different.flatMap((v) => [exactly(v), exactly([v]), exactly({ f: v })])).size,
    );
  });

  test("is the same for what is equal", () => {
    const make = () => ({
      a: [1, -0, NaN, "x", null, [true, { b: undefined }]],
      d: Float32Array.of(1, NaN, -0),
      f,
    });
    expect(exactly(make())).toBe(exactly(make()));
    expect(exactly(Object.assign(Object.create(null), { a: 1 }))).toBe(exactly({ a: 1 }));
  });

  test("sees every element of a long list", () => {
    const long = Array.from({ length: 20_000 }, (_, i) => i);
    const texts = [0, 9_999, 19_999].flatMap((at) => [
      exactly(long.with(at, -1)),
      exactly(Float64Array.from(long.with(at, -1))),
    ]);
    expect(new Set([exactly(long), exactly(Float64Array.from(long)), ...texts]).size).toBe(8);
  });

  test("of random data: equal texts, equal data", () => {
    let bits = 1;
    const draw = (n: number) => ((bits = (Math.imul(bits, 1664525) + 1013904223) >>> 0) >>> 8) % n;
    const atoms = [0, -0, 1, NaN, "", "a", "1", null, undefined, true];
    const make = (depth: number): unknown => {
      const size = draw(3);
      const kind = depth ? draw(4) : 0;
      if (kind === 1) return Array.from({ length: size }, () => make(depth - 1));
      if (kind === 2)
        return Object.fromEntries(
          Array.from({ length: size }, (_, i) => ["ab,:"[i + draw(2)], make(depth - 1)]),
        );
      return kind === 3
        ? Float32Array.from({ length: size }, () => draw(3) - 1)
        : atoms[draw(atoms.length)];
    };
    const known = new Map<string, unknown>();
    for (let i = 0; i < 20_000; i++) {
      const value = make(3);
      const text = exactly(value);
      if (known.has(text)) expect(known.get(text)).toStrictEqual(value);
      known.set(text, value);
    }
    expect(known.size).toBeGreaterThan(1000);
  });
});

describe("ops", () => {
  test("of one name are different", async () => {
    const x = tensor(createHost(), [1, 2]);
    expect(await one(twice, null, x).read()).toEqual(Float32Array.of(2, 4));
    expect(await one(thrice, null, x).read()).toEqual(Float32Array.of(3, 6));
    const [a, b] = jit((v) => [one(twice, null, v), one(thrice, null, v)])(x);
    expect([await a.read(), await b.read()]).toEqual([
      Float32Array.of(2, 4),
      Float32Array.of(3, 6),
    ]);
    const graph = optimize(
      trace((v) => [one(twice, null, v), one(thrice, null, v), one(twice, null, v)], [spec([1])]),
    );
    expect(graph.nodes.map((n) => n.op)).toEqual([twice, thrice]);
    expect(
      evaluate(graph, [hostArray(spec([1]), Float64Array.of(5))]).map((y) => y.data[0]),
    ).toEqual([10, 15, 10]);
  });

  test("with parameters 0 and −0 are different, and so are other numbers that JSON makes one", async () => {
    const x = tensor(createHost(), [1]);
    const read = async (by: number) => (await one(over, { by }, x).read())[0];
    expect([
      await read(0),
      await read(-0),
      await read(NaN),
      await read(Infinity),
      await read(-Infinity),
    ]).toEqual([Infinity, -Infinity, NaN, 0, -0]);
    const graph = optimize(
      trace((v) => [0, -0, NaN, Infinity, 0].map((by) => one(over, { by }, v)), [spec([1])]),
    );
    expect(graph.nodes.length).toBe(4);
  });

  test("with typed arrays and long lists as parameters are told apart by their contents", async () => {
    const table = opOf<{ values: ArrayLike<number> }>(
      (v, { values }) => v + values[values.length - 1],
    );
    const host = createHost();
    const x = tensor(host, [1]);
    const long = (last: number) => Array.from({ length: 5000 }, (_, i) => (i === 4999 ? last : 0));
    const read = async (values: ArrayLike<number>) => (await one(table, { values }, x).read())[0];
    expect([
      await read(long(2)),
      await read(long(3)),
      await read(Float32Array.from(long(4))),
      await read(Float32Array.from(long(5))),
    ]).toEqual([3, 4, 5, 6]);
    expect(host.memory().programs).toBe(4);
    expect(await read(Float32Array.from(long(5)))).toBe(6);
    expect(host.memory().programs).toBe(4);
  });

  test("may tell their parameters apart themselves", () => {
    const keyed = opOf<{ id: number; data: number[] }>(
      (v) => v,
      ({ id }) => `${id}`,
    );
    expect(keyOfOp(keyed, { id: 1, data: [1] })).toBe(keyOfOp(keyed, { id: 1, data: [2] }));
    expect(keyOfOp(keyed, { id: 1, data: [1] })).not.toBe(keyOfOp(keyed, { id: 2, data: [1] }));
    expect(keyOfOp(twice, null)).not.toBe(keyOfOp(thrice, null));
  });
});
