// What users touch: eager ops, jitted functions and scopes, on this back end.

import {
  add,
  broadcastTo,
  cast,
  concat,
  conv,
  div,
  equal,
  map,
  maxPool,
  mul,
  relu,
  slice,
  softmax,
  sum,
  where,
} from "@conv/ops";
import { cases } from "@conv/ops/cases";
import {
  constant,
  dtypeNames,
  hostArray,
  jit,
  node,
  scope,
  tensor,
  trace,
  UnsupportedError,
  type Backend,
  type Spec,
  type Tensor,
} from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { runOnce } from "../check.ts";
import { inputsOf, type Device } from "./device.ts";

const x = Array.from({ length: 36 }, (_, i) => ((i * 7) % 11) - 5);
const w = [1, 0, -1, 2, 0, -2, 1, 0, -1];

/** x * w over 6×6 with a 3×3 kernel, by hand. */
const want = Array.from({ length: 16 }, (_, o) =>
  w.reduce(
    (total, v, k) => total + v * x[(Math.floor(o / 4) + Math.floor(k / 3)) * 6 + (o % 4) + (k % 3)],
    0,
  ),
);

/** A short convolution may round where a sum of whole numbers does not. */
async function near(got: Tensor, expected: readonly number[]): Promise<void> {
  const values = await got.read();
  expect(values).toHaveLength(expected.length);
  expected.forEach((v, i) => expect(values[i]).toBeCloseTo(v, 3));
}

/** Registers a test on a new back end. */
type OnFresh = (name: string, fn: (backend: Backend) => Promise<void>) => void;

/** Registers the tests of tensors. */
export function tensorSuite(device: Device): void {
  describe("tensors", () => {
    const onFresh: OnFresh = (name, fn) =>
      it(name, async () => {
        const backend = await device.fresh();
        try {
          await fn(backend);
        } finally {
          backend.dispose();
        }
      });
    values(onFresh);
    functions(onFresh);
  });
}

/** Constants, element types, and ops that run at once. */
function values(onFresh: OnFresh): void {
  onFresh(
    "constants of a jitted function are uploaded once, and freed with it",
    async (backend) => {
      const kernel = constant(w, [1, 1, 3, 3]);
      const mask = constant([1, 0, 1, 0], [4], "uint8");
      const f = jit((image) => {
        const y = conv(image, kernel);
        return where(broadcastTo(mask, y.shape), y, constant([NaN], [1]));
      });
      const image = tensor(backend, x, [1, 1, 6, 6]);
      for (let turn = 0; turn < 2; turn++) {
        const values = await f(image).read();
        want.forEach((v, i) =>
          i % 2 ? expect(values[i]).toBeNaN() : expect(values[i]).toBeCloseTo(v, 3),
        );
      }
      f.dispose();
      expect(backend.memory()).toMatchObject({ programs: 0, programBytes: 0 });
    },
  );

  onFresh("every element type is written, moved and read", async (backend) => {
    for (const dtype of dtypeNames) {
      const t = tensor(backend, [1, 2, 3, 0, 1, 5, 7], [7], dtype);
      const reversed = tensor(backend, [7, 5, 1, 0, 3, 2, 1], [7], dtype);
      const moved = concat([slice(t, [4], [3]), slice(t, [0], [4])], 0);
      const expected = tensor(backend, [1, 5, 7, 1, 2, 3, 0], [7], dtype);
      expect(await moved.read()).toEqual(await expected.read());
      const same = await equal(cast(t, "float32"), cast(reversed, "float32")).read();
      expect(same).toEqual(Uint8Array.of(0, 0, 0, 1, 0, 0, 0));
    }
  });

  onFresh("ops run at once on them", async (backend) => {
    const image = tensor(backend, x, [1, 1, 6, 6]);
    const kernel = tensor(backend, w, [1, 1, 3, 3]);
    const y = conv(image, kernel);
    await near(y, want);
    await near(maxPool(relu(y), 4), [Math.max(0, ...want)]);
    await near(sum(y), [want.reduce((a, b) => a + b)]);
  });
}

/** Jitted functions and scopes. */
function functions(onFresh: OnFresh): void {
  onFresh("a jitted function is one program per shape", async (backend) => {
    const f = jit((a, b) => [add(mul(a, b), 1), softmax(mul(a, 0), -1)]);
    const programs: number[] = [];
    for (const size of [4, 8, 4]) {
      const [a, b] = [tensor(backend, x.slice(0, size)), tensor(backend, w.slice(0, 1))];
      const [y, p] = f(a, b);
      expect([...(await y.read())]).toEqual(x.slice(0, size).map((v) => v + 1));
      expect([...(await p.read())]).toEqual(Array.from({ length: size }, () => 1 / size));
      programs.push(backend.memory().programs);
    }
    expect(programs).toEqual([programs[0], programs[0] + 1, programs[0] + 1]);
  });

  onFresh(
    "functions named alike, and numbers that JSON makes one, are kept apart, at once and jitted",
    async (backend) => {
      const v = tensor(backend, [1, -3]);
      const both = jit((a) => [
        map("mine", ["mul", 2, "a"], [a]),
        map("mine", ["mul", 3, "a"], [a]),
        div(a, 0),
        div(a, -0),
      ]);
      const results = [
        map("mine", ["mul", 2, "a"], [v]),
        map("mine", ["mul", 3, "a"], [v]),
        div(v, 0),
        div(v, -0),
        ...both(v),
      ];
      const want = [
        [2, -6],
        [3, -9],
        [Infinity, -Infinity],
        [-Infinity, Infinity],
      ];
      expect(await Promise.all(results.map(async (y) => [...(await y.read())]))).toEqual([
        ...want,
        ...want,
      ]);
    },
  );

  onFresh("an op named like one of the library is not taken for it", async (backend) => {
    const known = new Map(cases.filter((c) => !("elementwise" in c.op)).map((c) => [c.op.name, c]));
    expect(known.size).toBeGreaterThan(20);
    const strange = ["elementwise", "constructor", "toString", "__proto__"].map((name) => ({
      ...cases[0],
      op: { ...cases[0].op, name },
    }));
    for (const c of [...known.values(), ...strange]) {
      const zeros = (inputs: readonly Spec[]) =>
        c.op.infer(inputs, c.params).map((s) => hostArray(s));
      const own = { ...c.op, reference: zeros, simplify: undefined };
      const graph = trace((...xs) => node(own, c.params, xs), c.inputs);
      try {
        for (const y of await runOnce(backend, graph, inputsOf(c.inputs, c.op.name)))
          expect(y.data.every((v) => v === 0)).toBe(true);
      } catch (error) {
        expect(error, c.op.name).toBeInstanceOf(UnsupportedError);
      }
    }
  });

  onFresh("a scope frees what it does not return", async (backend) => {
    const image = tensor(backend, x, [6, 6]);
    const y: Tensor = scope(() => relu(add(mul(image, 2), mul(image, -1))));
    expect(backend.memory().buffers).toBe(2);
    expect([...(await y.read())]).toEqual(x.map((v) => Math.max(0, v)));
    y.dispose();
    image.dispose();
    expect([backend.memory().buffers, backend.memory().bytes]).toEqual([0, 0]);
  });
}
