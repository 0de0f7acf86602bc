// Tensors that exist: values in and out, lifetime by hand, by `using`, by scope and by the
// collector; programs and their cache.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import {
  createHost,
  dispose,
  jit,
  scope,
  ShapeError,
  spec,
  Tensor,
  tensor,
  trace,
  UnsupportedError,
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
      new ShapeError("write: 1 values do not fill shape 2, which holds 2"),
    );
  });

  test("must fill the shape", () => {
    const host = createHost();
    expect(() => tensor(host, [1, 2, 3], [2, 2])).toThrow(
      new ShapeError("tensor: 3 values do not fill shape 2×2, which holds 4"),
    );
    expect(() => tensor(host, [1], [-1])).toThrow(
      new ShapeError("spec: size -1 is not a whole number ≥ 0 (axis 0)"),
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
      const error = new ShapeError(
        `write: value 1 is ${v}; int32 holds whole numbers from -2147483648 to 2147483647`,
      );
      for (const values of [[7, v], Float64Array.of(7, v)])
        expect(() => t.write(values)).toThrow(error);
    }
    expect(await t.read()).toEqual(Int32Array.of(1, 2));
    const values = (list: unknown, shape?: number[]) => () => tensor(host, list as number[], shape);
    expect(values([[1, 2]])).toThrow(
      new ShapeError(
        "tensor: value 0 is Array, not a number; nested lists are given flat, with their shape",
      ),
    );
    expect(values([1, undefined])).toThrow("tensor: value 1 is undefined, not a number");
    expect(values(["1"])).toThrow("tensor: value 0 is string, not a number");
    expect(values(BigInt64Array.of(1n))).toThrow("tensor: value 0 is bigint, not a number");
    expect(values(Promise.resolve([1]))).toThrow(
      new ShapeError("tensor: the values are Promise, must be a list of numbers or a typed array"),
    );
    expect(values(7, [1])).toThrow("tensor: the values are number, must be");
    expect(values(undefined, [1])).toThrow("tensor: the values are undefined, must be");
    expect(values(new ArrayBuffer(4), [1])).toThrow("tensor: the values are ArrayBuffer, must be");
    expect(() => tensor(host, [1], [1], "float64" as "float32")).toThrow(
      new ShapeError("spec: there is no dtype float64, only float32 and int32"),
    );
    expect(() => tensor(host, [1], 1 as unknown as number[])).toThrow(
      new ShapeError("spec: the shape is number, must be a list of sizes"),
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
    ).toThrow(new RangeError("no"));
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
      new UnsupportedError("add: inputs live on different back ends (host, host)"),
    );
    const mixed = (v: Value) => (add<Value | Tensor>(v, a), v);
    expect(() => trace(mixed, [spec([1])])).toThrow(
      new ShapeError(
        "add: tensors and traced values are mixed; make the tensor an input of the traced function",
      ),
    );
    expect(() => add(a, undefined as unknown as Tensor)).toThrow(
      new ShapeError("add: input 1 is undefined, must be a tensor or a traced value"),
    );
    expect(() => add(7 as unknown as Tensor, a)).toThrow(
      new ShapeError("add: input 0 is number, must be a tensor or a traced value"),
    );
  });
});

describe("jit", () => {
  test("traces once for each list of specs, on each back end", async () => {
    let traced = 0;
    const square = jit((x) => {
      traced++;
      return mul(x, x);
    });
    const host = createHost();
    expect(await square(tensor(host, [3])).read()).toEqual(Float32Array.of(9));
    expect(await square(tensor(host, [4])).read()).toEqual(Float32Array.of(16));
    expect(traced).toBe(1);
    square(tensor(host, [1, 2]));
    square(tensor(createHost(), [1]));
    expect(traced).toBe(3);
    expect(host.memory().programs).toBe(2);
  });

  test("returns what the function returns: one, or a list", async () => {
    const host = createHost();
    const two = jit((x, y) => [add(x, y), mul(x, y)]);
    const results = two(tensor(host, [3]), tensor(host, [4]));
    expect(await Promise.all(results.map((t) => t.read()))).toEqual([
      Float32Array.of(7),
      Float32Array.of(12),
    ]);
    const x = tensor(host, [5]);
    const same = jit((v) => v)(x);
    expect(same).not.toBe(x);
    expect(await same.read()).toEqual(Float32Array.of(5));
  });

  test("runs one program in which intermediate values take no buffer", () => {
    const host = createHost();
    const x = tensor(host, [1]);
    const y = jit((v) => scale(mul(scale(v, 2), scale(v, 3)), 4))(x);
    expect(host.memory()).toMatchObject({ buffers: 2, programs: 1 });
    y.dispose();
  });

  test("keeps the 32 programs used last, on each back end", () => {
    const traced: number[] = [];
    const f = jit((x) => {
      traced.push(x.shape[0]);
      return scale(x, 2);
    });
    const [host, other] = [createHost(), createHost()];
    const call = (n: number, on = host) => scope(() => void f(tensor(on, new Float32Array(n))));
    for (let n = 1; n <= 32; n++) call(n);
    call(1); // the oldest becomes the youngest
    call(33); // drops 2
    call(7, other);
    expect([traced.length, host.memory().programs, other.memory().programs]).toEqual([34, 32, 1]);
    call(1);
    expect(traced.length).toBe(34);
    call(2);
    expect([traced.length, host.memory().programs]).toEqual([35, 32]);
  });

  test("dispose frees its programs on all back ends, once, and using does", () => {
    const [host, other] = [createHost(), createHost()];
    const f = jit((x) => scale(x, 2));
    f(tensor(host, [1]));
    f(tensor(other, [1]));
    expect([host.memory().programs, other.memory().programs]).toEqual([1, 1]);
    f.dispose();
    f.dispose();
    expect([host.memory().programs, other.memory().programs]).toEqual([0, 0]);
    expect(() => f(tensor(host, [1]))).toThrow("jit: used after dispose");
    {
      using g = jit((x) => scale(x, 2));
      g(tensor(host, [1]));
      expect(host.memory().programs).toBe(1);
    }
    expect(host.memory().programs).toBe(0);
  });

  test(
    "programs of functions that are dropped are freed by the collector, and keep no back end",
    { timeout: 20_000 },
    async () => {
      setFlagsFromString("--expose-gc");
      const collect = runInNewContext("gc") as () => void;
      const host = createHost();
      const x = tensor(host, [1]);
      const kept = jit((v) => scale(v, 0.5));
      kept(x);
      const dropped = (() => new WeakRef(createHost()))();
      (() => {
        kept(tensor(dropped.deref()!, [1]));
        for (let i = 0; i < 100; i++) jit((v) => scale(v, i))(x);
      })();
      const deadline = Date.now() + 15_000;
      while ((host.memory().programs > 1 || dropped.deref()) && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        collect();
      }
      expect([host.memory().programs, dropped.deref()]).toEqual([1, undefined]);
      kept.dispose();
      expect(host.memory().programs).toBe(0);
    },
  );

  test("takes as many tensors as the function, and nothing else", async () => {
    const x = tensor(createHost(), [3]);
    const two = jit((a, b) => add(a, b));
    const loose = two as unknown as (...xs: unknown[]) => Tensor;
    expect(() => two(x)).toThrow(new ShapeError("jit: the function takes 2 tensors, got 1"));
    expect(() => two()).toThrow(new ShapeError("jit: the function takes 2 tensors, got 0"));
    expect(() => two(x, x, x)).toThrow(new ShapeError("jit: the function takes 2 tensors, got 3"));
    expect(() => loose(x, [3])).toThrow(
      new ShapeError(
        "jit: input 1 is Array, must be a tensor; for values call the function itself",
      ),
    );
    expect(() => loose(x, undefined)).toThrow("jit: input 1 is undefined, must be a tensor");
    expect(() => jit(() => [])()).toThrow(
      new ShapeError("jit: the function takes at least 1 tensors, got 0"),
    );
    const all = jit((first, ...rest) => rest.reduce((sum, v) => add(sum, v), first));
    expect(await all(x, x, x).read()).toEqual(Float32Array.of(9));
    expect(x.backend.memory().programs).toBe(1);
  });

  test("refuses what is no value, and leaves nothing", () => {
    const host = createHost();
    const x = tensor(host, [1]);
    const wrong = (fn: (v: Value) => unknown) => () => jit(fn as (v: Value) => Value)(x);
    const returned = (what: string) =>
      new ShapeError(
        `trace: the function returned ${what}; it must return a value or a list of values, and not be async`,
      );
    expect(wrong(async (v) => v)).toThrow(returned("Promise"));
    expect(wrong(() => undefined)).toThrow(returned("undefined"));
    expect(wrong(() => x)).toThrow(returned("Tensor"));
    expect(wrong((v) => [v, x])).toThrow(returned("Tensor"));
    expect(wrong((v) => [v, undefined])).toThrow(returned("undefined"));
    expect(wrong((v) => ({ v }))).toThrow(returned("Object"));
    expect(host.memory()).toMatchObject({ buffers: 1, programs: 0 });
  });

  test("does not mix back ends", () => {
    expect(() =>
      jit((a, b) => add(a, b))(tensor(createHost(), [1]), tensor(createHost(), [1])),
    ).toThrow(new UnsupportedError("jit: inputs live on different back ends (host, host)"));
  });
});

describe("the host", () => {
  test("says what holds memory when there is no more room", () => {
    const host = createHost();
    tensor(host, [1, 2]);
    expect(() => host.alloc(2 ** 52)).toThrow(
      new RangeError(
        "host: no room for 4503599627370496 bytes; live tensors: 1 (8 bytes), programs: 0 (0 bytes); free tensors with scope() or using",
      ),
    );
    expect(() => createHost().alloc(2 ** 52)).toThrow(
      new RangeError("host: no room for 4503599627370496 bytes"),
    );
  });

  test("names the buffer's size, use after free, and lack of room", async () => {
    const host = createHost();
    const buffer = host.alloc(4);
    expect(() => host.write(buffer, new Float32Array(2))).toThrow(
      new RangeError("host: 8 bytes do not fit a buffer of 4"),
    );
    host.free(buffer);
    await expect(host.read(buffer)).rejects.toThrow("host: buffer used after free");
    expect(() => host.write(buffer, new Float32Array(1))).toThrow("host: buffer used after free");
    expect(() => host.alloc(2 ** 53)).toThrow(
      new RangeError("host: a buffer of 9007199254740992 bytes; it must be a whole number ≥ 0"),
    );
  });

  test("takes a buffer, large enough, for each input and output", () => {
    const host = createHost();
    const program = host.compile(trace((a, b) => add(a, b), [spec([2]), spec([2])]));
    const [a, b, small] = [8, 8, 4].map((bytes) => host.alloc(bytes));
    expect(() => program.run([a], [b])).toThrow(
      new RangeError("host: program takes 2 inputs and 1 outputs, got 1 and 1"),
    );
    expect(() => program.run([a, small], [b])).toThrow(
      new RangeError("host: buffer of 4 bytes for a value of 8"),
    );
    expect(() => program.run([a, b], [small])).toThrow(
      new RangeError("host: buffer of 4 bytes for a value of 8"),
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
