// Functions of values made callable on tensors: when they are traced, what their caches hold, and
// what they refuse.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { createHost, jit, scope, Tensor, tensor, type Value } from "../src/index.ts";
import { add, mul, scale } from "./ops.ts";

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
    expect(() => two(x)).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "jit: the function takes 2 tensors, got 1",
      }),
    );
    expect(() => two()).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "jit: the function takes 2 tensors, got 0",
      }),
    );
    expect(() => two(x, x, x)).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "jit: the function takes 2 tensors, got 3",
      }),
    );
    expect(() => loose(x, [3])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "jit: input 1 is Array, must be a tensor; for values call the function itself",
      }),
    );
    expect(() => loose(x, undefined)).toThrow("jit: input 1 is undefined, must be a tensor");
    expect(() => jit(() => [])()).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "jit: the function takes at least 1 tensors, got 0",
      }),
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
      expect.objectContaining({
        name: "ShapeError",
        code: "result-kind",
        message: `trace: the function returned ${what}; it must return a value or a list of values, and not be async`,
      });
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
    ).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        message: "jit: inputs live on different back ends (host, host)",
      }),
    );
  });
});
