// Receptive fields against the only definition there is: change one input, see which outputs
// change.

import {
  add,
  avgPool,
  concat,
  conv,
  convTranspose,
  flatten,
  full,
  max,
  maxPool,
  maxPoolIndices,
  maxUnpool,
  mul,
  pad,
  padWith,
  pixelShuffle,
  pixelUnshuffle,
  relu,
  reshape,
  select,
  sigmoid,
  slice,
  softmax,
  sum,
  gather,
  cast,
  transpose,
  upsample,
} from "@conv/ops";
import { evaluate, hostArray, trace, type Value } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { receptiveFields, type ReceptiveField } from "../src/index.ts";

const SIZE = 32;
const ones = (...shape: number[]) => full(shape, 1);

/** The field that is claimed, and for every output the first and last input that it answers to. */
function observe(fn: (x: Value) => Value, axis = 2) {
  const graph = trace((x) => fn(x), [{ shape: [1, 1, SIZE], dtype: "float32" }]);
  const [x] = graph.inputs;
  const [y] = graph.outputs;
  const run = (at?: number) => {
    const data = Float64Array.from({ length: SIZE }, (_, i) => 1 + i / 100 + (i === at ? 40 : 0));
    return evaluate(graph, [hostArray(x.spec, data)])[0].data;
  };
  const base = run();
  const inner = y.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const seen: { first: number; last: number }[] = [];
  for (let i = 0; i < SIZE; i++)
    run(i).forEach((v, at) => {
      if (v === base[at]) return;
      const o = axis < y.shape.length ? Math.floor(at / inner) % y.shape[axis] : 0;
      seen[o] ??= { first: i, last: i };
      seen[o].last = i;
    });
  return { field: receptiveFields(graph, x).get(y)![0], seen };
}

/**
 * Where it lies within the input, the field of an output is what was observed; where padding cuts
 * it, it holds that.
 */
function expectExact(field: ReceptiveField, seen: readonly { first: number; last: number }[]) {
  const claims = seen.map((got, o) => {
    const first = field.start + o * field.jump;
    const last = first + field.size - 1;
    const cut =
      (first < 0 && got.first >= 0 && got.last <= last) ||
      (last >= SIZE && got.first >= first && got.last < SIZE);
    return cut ? got : { first, last };
  });
  expect(claims).toEqual(seen);
}

const exact: Record<string, [(x: Value) => Value, ReceptiveField, number?]> = {
  "one convolution": [(x) => conv(x, ones(1, 1, 5)), { size: 5, jump: 1, start: 0 }],
  "stride, dilation, padding": [
    (x) => conv(x, ones(1, 1, 3), { stride: 2, dilation: 3, padding: 4 }),
    { size: 7, jump: 2, start: -4 },
  ],
  "uneven padding": [
    (x) => conv(x, ones(1, 1, 4), { padding: [[2, 1]] }),
    { size: 4, jump: 1, start: -2 },
  ],
  "convolution, pool, convolution": [
    (x) => conv(avgPool(relu(conv(x, ones(1, 1, 5), { padding: 2 })), 2), ones(1, 1, 5)),
    { size: 14, jump: 2, start: -2 },
  ],
  "a residual block": [
    (x) => add(x, conv(conv(x, ones(1, 1, 3), { padding: 1 }), ones(1, 1, 3), { padding: 1 })),
    { size: 5, jump: 1, start: -2 },
  ],
  "branches joined": [
    (x) =>
      concat(
        [conv(x, ones(1, 1, 3), { padding: 1 }), conv(x, ones(1, 1, 7), { padding: 3 }), x],
        1,
      ),
    { size: 7, jump: 1, start: -3 },
  ],
  "branches that look aside": [
    (x) => add(slice(x, [0, 0, 0], [1, 1, 20]), slice(x, [0, 0, 9], [1, 1, 20])),
    { size: 10, jump: 1, start: 0 },
  ],
  "pad and slice": [
    (x) =>
      slice(pad(conv(x, ones(1, 1, 3), { stride: 2 }), [0, 0, 3], [0, 0, 0]), [0, 0, 4], [1, 1, 8]),
    { size: 3, jump: 2, start: 2 },
  ],
  "axes moved": [
    (x) => transpose(reshape(conv(x, ones(1, 1, 3)), [1, 1, 1, 30]), [3, 0, 1, 2]),
    { size: 3, jump: 1, start: 0 },
    0,
  ],
  flattened: [
    (x) => flatten(conv(x, ones(2, 1, 3), { stride: 4 })),
    { size: 31, jump: 0, start: 0 },
    9,
  ],
  "summed over": [
    (x) => sum(slice(x, [0, 0, 3], [1, 1, 10]), [2], true),
    { size: 10, jump: 0, start: 3 },
  ],
  "softmax over space": [
    (x) => softmax(slice(x, [0, 0, 3], [1, 1, 10]), 2),
    { size: 10, jump: 0, start: 3 },
  ],
  "softmax over something else": [
    (x) => softmax(concat([x, mul(x, x)], 1), 1),
    { size: 1, jump: 1, start: 0 },
  ],
  "a gate that sees everything": [
    (x) => mul(x, sigmoid(mul(full([1], 0.01), sum(x, [2], true)))),
    { size: SIZE, jump: 0, start: 0 },
  ],
  "space in channels": [
    (x) => conv(pixelUnshuffle(x, 2), ones(1, 2, 3)),
    { size: 6, jump: 2, start: 0 },
  ],
  "chosen here and there": [(x) => select(x, [3, 20, 7], 2), { size: SIZE, jump: 0, start: 0 }],
  "channels in another order": [
    (x) => select(concat([conv(x, ones(1, 1, 3)), slice(x, [0, 0, 1], [1, 1, 30])], 1), [1, 0], 1),
    { size: 3, jump: 1, start: 0 },
  ],
  "joined along space": [
    (x) => concat([slice(x, [0, 0, 2], [1, 1, 3]), slice(x, [0, 0, 9], [1, 1, 1])], 2),
    { size: 8, jump: 0, start: 2 },
  ],
};

describe("receptive field", () => {
  for (const [name, [fn, want, axis]] of Object.entries(exact))
    it(`of ${name}`, () => {
      const { field, seen } = observe(fn, axis);
      expect(field).toEqual(want);
      if (name !== "joined along space" && name !== "chosen here and there")
        expectExact(field, seen);
    });

  it("of a maximum is that of its window", () => {
    expect(observe((x) => maxPool(x, 3, { stride: 2, padding: 1 })).field).toEqual({
      size: 3,
      jump: 2,
      start: -1,
    });
    expect(observe((x) => max(x, [2], true)).field).toEqual({ size: SIZE, jump: 0, start: 0 });
  });

  it("of a transposed convolution is the largest of its outputs, moving by a fraction", () => {
    const { field, seen } = observe((x) =>
      convTranspose(conv(x, ones(1, 1, 3), { stride: 2 }), ones(1, 1, 4), {
        stride: 2,
        padding: 1,
      }),
    );
    expect(field).toEqual({ size: 5, jump: 1, start: -2 });
    expect(Math.max(...seen.map(({ first, last }) => last - first + 1))).toBe(field.size);
    const inner = seen
      .slice(4, -4)
      .map(({ first, last }, i) => [
        first >= field.start + (i + 4) * field.jump - 1,
        last <= field.start + (i + 4) * field.jump + field.size,
      ]);
    expect(inner.flat().every(Boolean)).toBe(true);
    expect(observe((x) => convTranspose(x, ones(1, 1, 2), { stride: 2 })).field).toEqual({
      size: 1,
      jump: 0.5,
      start: 0,
    });
  });

  it("of what makes maps larger moves by a fraction and holds what was observed", () => {
    const larger: [(x: Value) => Value, ReceptiveField][] = [
      [(x) => upsample(x, { scaleFactor: 3 }), { size: 1, jump: 1 / 3, start: 0 }],
      [(x) => upsample(x, { scaleFactor: 2, mode: "linear" }), { size: 2, jump: 1 / 2, start: -1 }],
      [(x) => upsample(x, { scaleFactor: 3, mode: "linear" }), { size: 2, jump: 1 / 3, start: -1 }],
      [(x) => upsample(x, { scaleFactor: 4, mode: "linear" }), { size: 2, jump: 1 / 4, start: -1 }],
      [(x) => pixelShuffle(concat([x, mul(x, x)], 1), 2), { size: 1, jump: 1 / 2, start: 0 }],
    ];
    for (const [fn, want] of larger) {
      const { field, seen } = observe(fn);
      expect(field).toEqual(want);
      // Between the outputs that lie upon an input a field may begin anywhere within a step.
      for (const [o, { first, last }] of seen.entries()) {
        expect(first).toBeGreaterThanOrEqual(Math.floor(field.start + o * field.jump));
        expect(last).toBeLessThan(field.start + o * field.jump + field.size + 1);
        expect(last - first).toBeLessThan(field.size);
      }
    }
    expect(observe((x) => upsample(x, { size: 50, mode: "linear" })).field).toEqual({
      size: SIZE,
      jump: 0,
      start: 0,
    });
  });

  it("of maxima put back is that of their windows, of other things taken by index everything", () => {
    const unpooled = (x: Value) => {
      const y = maxPool(x, 3, { stride: 2, padding: 1 });
      const windows = y.node!.op.window!(y.node!.params).map((w) => ({ ...w, transposed: true }));
      return maxUnpool(
        conv(y, ones(1, 1, 3), { padding: 1 }),
        maxPoolIndices(x, 3, { stride: 2, padding: 1 }),
        [SIZE],
        windows,
      );
    };
    const { field, seen } = observe(unpooled);
    expect(field).toEqual({ size: 9, jump: 1, start: -3 });
    for (const { first, last } of seen.filter(Boolean))
      expect(last - first).toBeLessThan(field.size);
    const { field: anywhere } = observe((x) =>
      gather(x, cast(reshape(full([1, 5], 3), [1, 5]), "int32")),
    );
    expect(anywhere).toEqual({ size: SIZE, jump: 0, start: 0 });
  });

  it("of padding that repeats the input is that of zeros", () => {
    for (const mode of ["reflect", "replicate", "circular"] as const)
      expect(observe((x) => conv(padWith(x, [3], [1], mode), ones(1, 1, 5))).field).toEqual({
        size: 5,
        jump: 1,
        start: -3,
      });
  });

  it("has one entry for each spatial axis", () => {
    const graph = trace(
      (x) => conv(x, ones(1, 1, 3, 5), { stride: [2, 1], padding: [0, 2] }),
      [{ shape: [1, 1, 9, 9], dtype: "float32" }],
    );
    expect(receptiveFields(graph, graph.inputs[0]).get(graph.outputs[0])).toEqual([
      { size: 3, jump: 2, start: 0 },
      { size: 5, jump: 1, start: -2 },
    ]);
  });
});
