// Tensors: values in and out, lifetime by hand, by `using`, by scope and by the garbage collector;
// cached programs of single ops.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  createHost,
  dispose,
  jit,
  scope,
  spec,
  Tensor,
  tensor,
  trace,
  type Backend,
  type Value,
} from "../src/index.ts";
import { add, halves, mul, scale } from "./ops.ts";

describe("values", () => {
  test("go in and come out, rounded to the element type", async () => {
    const host = createHost();
    expect(await tensor(host, [1, 0.1, -2]).read()).toEqual(Float32Array.of(1, 0.1, -2));
    expect(await tensor(host, [1, -1], [2, 1], "int32").read()).toEqual(Int32Array.of(1, -1));
    expect(await tensor(host, Float32Array.of(7), []).read()).toEqual(Float32Array.of(7));
    expect(await tensor(host, [], [0, 3]).read()).toEqual(new Float32Array(0));
  });

  test("are copied: neither the array nor what was read is tied to the tensor", async () => {
    const data = Float32Array.of(1, 2);
    const t = tensor(createHost(), data);
    data[0] = 9;
    (await t.read())[1] = 9;
    expect(await t.read()).toEqual(Float32Array.of(1, 2));
  });

  test("can be written anew", async () => {
    const t = tensor(createHost(), [1, 2], [2], "int32");
    t.write([3, 4]);
    expect(await t.read()).toEqual(Int32Array.of(3, 4));
    expect(() => t.write([1])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "write: 1 values do not fill shape 2, which holds 2",
      }),
    );
  });

  test("must fill the shape", () => {
    const host = createHost();
    expect(() => tensor(host, [1, 2, 3], [2, 2])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "tensor: 3 values do not fill shape 2×2, which holds 4",
      }),
    );
    expect(() => tensor(host, [1], [-1])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: size -1 is not a whole number ≥ 0 (axis 0)",
      }),
    );
    expect(host.memory().buffers).toBe(0);
  });

  test("may be any list of numbers that the type can hold", async () => {
    const host = createHost();
    for (const values of [Float64Array.of(0.1, NaN), [0.1, NaN]])
      expect(await tensor(host, values).read()).toEqual(Float32Array.of(0.1, NaN));
    for (const values of [
      Uint8Array.of(0, 255),
      Int32Array.of(0, 255),
      Float64Array.of(0, 255),
      Uint32Array.of(0, 255),
    ]) {
      expect(await tensor(host, values).read()).toEqual(Float32Array.of(0, 255));
      expect(await tensor(host, values, [2], "int32").read()).toEqual(Int32Array.of(0, 255));
    }
    const ends = [-(2 ** 31), 2 ** 31 - 1, -0];
    expect(await tensor(host, ends, [3], "int32").read()).toEqual(
      Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0),
    );
    const t = tensor(host, [1, 2], [2], "int32");
    t.write(Float64Array.of(3, 4));
    expect(await t.read()).toEqual(Int32Array.of(3, 4));
  });

  test("that the type cannot hold are refused, and nothing is written", async () => {
    const host = createHost();
    const t = tensor(host, [1, 2], [2], "int32");
    for (const v of [NaN, 0.5, Infinity, 2 ** 31, -(2 ** 31) - 1]) {
      const error = expect.objectContaining({
        name: "ShapeError",
        code: "value-range",
        values: { index: 1, value: v, dtype: "int32", min: -(2 ** 31), max: 2 ** 31 - 1 },
        message: `write: value 1 is ${v}; int32 holds whole numbers from -2147483648 to 2147483647`,
      });
      for (const values of [[7, v], Float64Array.of(7, v)])
        expect(() => t.write(values)).toThrow(error);
    }
    expect(await t.read()).toEqual(Int32Array.of(1, 2));
    const values = (list: unknown, shape?: number[]) => () => tensor(host, list as number[], shape);
    expect(values([[1, 2]])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "tensor: value 0 is Array, not a number; pass nested lists flat, with their shape",
      }),
    );
    expect(values([1, undefined])).toThrow("tensor: value 1 is undefined, not a number");
    expect(values(["1"])).toThrow("tensor: value 0 is string, not a number");
    expect(values(BigInt64Array.of(1n))).toThrow("tensor: value 0 is bigint, not a number");
    expect(values(Promise.resolve([1]))).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "tensor: the values are Promise, must be a list of numbers or a typed array",
      }),
    );
    expect(values(7, [1])).toThrow("tensor: the values are number, must be");
    expect(values(undefined, [1])).toThrow("tensor: the values are undefined, must be");
    expect(values(new ArrayBuffer(4), [1])).toThrow("tensor: the values are ArrayBuffer, must be");
    expect(() => tensor(host, [1], [1], "float64" as "float32")).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message:
          "spec: there is no dtype float64; use float32, int32, uint8, int8, float16, bfloat16",
      }),
    );
    expect(() => tensor(host, [1], 1 as unknown as number[])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: the shape is number, must be a list of sizes",
      }),
    );
    expect(host.memory().buffers).toBe(1);
  });

  test("have shape and type", () => {
    const t = tensor(createHost(), [1, 2], [1, 2], "int32");
    expect([t.shape, t.dtype, t.spec]).toEqual([[1, 2], "int32", spec([1, 2], "int32")]);
  });
});

describe("lifetime", () => {
  test("dispose frees, once", async () => {
    const host = createHost();
    const t = tensor(host, [1, 2, 3]);
    expect(host.memory()).toEqual({ buffers: 1, bytes: 12, programs: 0, programBytes: 0 });
    t.dispose();
    t.dispose();
    expect(host.memory()).toEqual({ buffers: 0, bytes: 0, programs: 0, programBytes: 0 });
    expect(() => t.buffer).toThrow("tensor: used after dispose (shape 3)");
    await expect(t.read()).rejects.toThrow("tensor: used after dispose (shape 3)");
    expect(() => scale(t, 2)).toThrow("tensor: used after dispose (shape 3)");
  });

  test("using frees at the end of the block", () => {
    const host = createHost();
    {
      using t = tensor(host, [1]);
      expect(t[dispose]).toBeTypeOf("function");
      expect(host.memory().buffers).toBe(1);
    }
    expect(host.memory().buffers).toBe(0);
  });

  test("scope frees what it does not return, alone, in a list or in an object", async () => {
    const host = createHost();
    const x = tensor(host, [1, 2]);
    const alone = scope(() => scale(scale(x, 2), 3));
    const list = scope(() => [scale(x, 2), scale(scale(x, 2), 2)]);
    const { y, n } = scope(() => ({ y: scale(scale(x, 3), 3), n: 7 }));
    expect(scope(() => scale(x, 9).shape.length)).toBe(1);
    expect(host.memory().buffers).toBe(1 + 1 + 2 + 1);
    expect(await Promise.all([alone, ...list, y].map((t) => t.read()))).toEqual(
      [
        [6, 12],
        [2, 4],
        [4, 8],
        [9, 18],
      ].map((v) => Float32Array.from(v)),
    );
    expect(n).toBe(7);
  });

  test("scope keeps what it returns at any depth, and calls no getter", async () => {
    const host = createHost();
    let called = false;
    const made = scope(() => {
      scale(tensor(host, [9]), 9);
      const cycle: Record<string, unknown> = {
        deep: [{ a: tensor(host, [1]) }],
        map: new Map([["b", tensor(host, [2])]]),
        set: new Set([tensor(host, [3])]),
        data: new Float32Array(4),
        get getter() {
          return (called = true);
        },
      };
      cycle.self = cycle;
      return cycle as { deep: { a: Tensor }[]; map: Map<string, Tensor>; set: Set<Tensor> };
    });
    expect(called).toBe(false);
    const kept = [made.deep[0].a, made.map.get("b")!, ...made.set];
    expect(await Promise.all(kept.map((t) => t.read()))).toEqual(
      [1, 2, 3].map((v) => Float32Array.of(v)),
    );
    expect(host.memory().buffers).toBe(3);
  });

  test("scopes nest: what the inner returns belongs to the outer", () => {
    const host = createHost();
    const x = tensor(host, [1]);
    const kept = scope(() => {
      const inner = scope(() => scale(scale(x, 2), 2));
      expect(host.memory().buffers).toBe(2);
      return scale(inner, 2);
    });
    expect(host.memory().buffers).toBe(2);
    kept.dispose();
    scope(() => scope(() => x));
    expect(host.memory().buffers).toBe(1);
    expect(x.buffer.bytes).toBe(4);
  });

  test("what is disposed inside a scope stays disposed, and a throw frees everything", () => {
    const host = createHost();
    scope(() => {
      const t = tensor(host, [1]);
      t.dispose();
      return null;
    });
    expect(() =>
      scope(() => {
        tensor(host, [1]);
        throw new RangeError("no");
      }),
    ).toThrow(expect.objectContaining({ name: "RangeError", message: "no" }));
    expect(host.memory().buffers).toBe(0);
  });

  test("an async scope is refused", () => {
    const host = createHost();
    expect(() => scope(async () => tensor(host, [1]))).toThrow(
      new TypeError("scope: the function is async; free its tensors with `using`"),
    );
    expect(host.memory().buffers).toBe(0);
  });

  test("what is forgotten is freed by the collector", { timeout: 20_000 }, async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const host = createHost();
    const kept = tensor(host, [0]);
    (() => {
      for (let i = 0; i < 100; i++) scale(kept, i);
    })();
    const deadline = Date.now() + 15_000;
    while (host.memory().buffers > 1 && Date.now() < deadline) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(host.memory().buffers).toBe(1);
    expect(kept.buffer.bytes).toBe(4);
  });
});

describe("apply on tensors", () => {
  /** A host that says what it compiled. */
  function spied(): Backend & { compiled: number } {
    const host = createHost();
    const compile = host.compile.bind(host);
    return Object.assign(host, {
      compiled: 0,
      compile(this: { compiled: number }, graph: Parameters<Backend["compile"]>[0]) {
        this.compiled++;
        return compile(graph);
      },
    });
  }

  test("compiles a program once for each op, parameters, shapes and types", () => {
    const host = spied();
    const [a, b] = [tensor(host, [1, 2]), tensor(host, [3, 4, 5])];
    scale(a, 2);
    scale(a, 2);
    scale(scale(a, 2), 2);
    expect(host.compiled).toBe(1);
    scale(a, 3);
    scale(b, 2);
    mul(a, a);
    add(a, a);
    expect(host.compiled).toBe(5);
    expect(host.memory().programs).toBe(5);
    // Another back end has programs of its own.
    const other = spied();
    scale(tensor(other, [1, 2]), 2);
    expect([host.compiled, other.compiled]).toEqual([5, 1]);
  });

  test("keeps the 256 programs used last", () => {
    const host = spied();
    const x = tensor(host, [1]);
    scope(() => {
      for (let i = 0; i < 256; i++) scale(x, i);
      scale(x, 0); // the oldest becomes the youngest
      scale(x, 256); // drops 1
      expect([host.compiled, host.memory().programs]).toEqual([257, 256]);
      scale(x, 0);
      expect(host.compiled).toBe(257);
      scale(x, 1);
      expect([host.compiled, host.memory().programs]).toEqual([258, 256]);
    });
  });

  test("gives all outputs of an op", async () => {
    const [a, b] = halves(tensor(createHost(), [1, 2, 3, 4]));
    expect([await a.read(), await b.read()]).toEqual([
      Float32Array.of(1, 2),
      Float32Array.of(3, 4),
    ]);
  });

  test("does not mix back ends, or tensors and values", () => {
    const [a, b] = [tensor(createHost(), [1]), tensor(createHost(), [1])];
    expect(() => add(a, b)).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        message: "add: inputs live on different back ends (host, host)",
      }),
    );
    const mixed = (v: Value) => (add<Value | Tensor>(v, a), v);
    expect(() => trace(mixed, [spec([1])])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message:
          "add: tensors and traced values are mixed; make the tensor an input of the traced function",
      }),
    );
    expect(() => add(a, undefined as unknown as Tensor)).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "add: input 1 is undefined, must be a tensor or a traced value",
      }),
    );
    expect(() => add(7 as unknown as Tensor, a)).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "add: input 0 is number, must be a tensor or a traced value",
      }),
    );
  });
});

describe("the host", () => {
  test("says what holds memory when there is no more room", () => {
    const host = createHost();
    tensor(host, [1, 2]);
    expect(() => host.alloc(2 ** 52)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message:
          "host: no room for 4503599627370496 bytes; live tensors: 1 (8 bytes), programs: 0 (0 bytes); free tensors with scope() or using",
      }),
    );
    expect(() => createHost().alloc(2 ** 52)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: no room for 4503599627370496 bytes",
      }),
    );
  });

  test("names the buffer's size, use after free, and lack of room", async () => {
    const host = createHost();
    const buffer = host.alloc(4);
    expect(() => host.write(buffer, new Float32Array(2))).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: 8 bytes do not fit a buffer of 4",
      }),
    );
    host.free(buffer);
    await expect(host.read(buffer)).rejects.toThrow("host: buffer used after free");
    expect(() => host.write(buffer, new Float32Array(1))).toThrow("host: buffer used after free");
    expect(() => host.alloc(2 ** 53)).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: a buffer of 9007199254740992 bytes; it must be a whole number ≥ 0",
      }),
    );
  });

  test("takes a buffer, large enough, for each input and output", () => {
    const host = createHost();
    const program = host.compile(trace((a, b) => add(a, b), [spec([2]), spec([2])]));
    const [a, b, small] = [8, 8, 4].map((bytes) => host.alloc(bytes));
    expect(() => program.run([a], [b])).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: program takes 2 inputs and 1 outputs, got 1 and 1",
      }),
    );
    expect(() => program.run([a, small], [b])).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: buffer of 4 bytes for a value of 8",
      }),
    );
    expect(() => program.run([a, b], [small])).toThrow(
      expect.objectContaining({
        name: "RangeError",
        message: "host: buffer of 4 bytes for a value of 8",
      }),
    );
  });

  test("outputs may be inputs: as if all were read before any is written", async () => {
    const host = createHost();
    const program = host.compile(trace((a, b) => [add(a, b), mul(a, b)], [spec([1]), spec([1])]));
    const [a, b] = [tensor(host, [3]), tensor(host, [4])];
    program.run([a.buffer, b.buffer], [b.buffer, a.buffer]);
    expect([await a.read(), await b.read()]).toEqual([Float32Array.of(12), Float32Array.of(7)]);
  });

  test("says which node each step runs, and forgets programs that are disposed", () => {
    const host = createHost();
    const graph = trace((a) => scale(scale(a, 2), 3), [spec([1])]);
    const program = host.compile(graph);
    expect(program.steps).toEqual(
      graph.nodes.map((n) => ({ kernel: "reference", nodes: [n], estimate: 0, others: [] })),
    );
    expect(host.memory().programs).toBe(1);
    program.dispose();
    expect(host.memory().programs).toBe(0);
  });

  test("holds nothing once disposed", () => {
    const host = createHost();
    scale(tensor(host, [1]), 2);
    host.dispose();
    expect(host.memory()).toEqual({ buffers: 0, bytes: 0, programs: 0, programBytes: 0 });
  });

  test("values between nodes stay in float64", async () => {
    const tiny = jit((x) => scale(scale(x, 1e-30), 1e30));
    expect(await tiny(tensor(createHost(), [1e-20])).read()).toEqual(Float32Array.of(1e-20));
  });
});
