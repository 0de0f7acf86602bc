// Convolutions separated into cheaper ones, and between states, layers and plain data.

import { conv } from "@conv/ops";
import { evaluate, hostArray, sizeOf, spec, trace } from "@conv/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compose,
  convolutionOf,
  convolve,
  effortOf,
  layersOf,
  separate,
  svd,
} from "../src/algebra/index.ts";
import type { Convolution } from "../src/algebra/index.ts";
import { initialize, traceModel } from "../src/index.ts";
import { lenet5 } from "../src/models/index.ts";
import { draw, norm, distance, expectClose, failure } from "./algebra.ts";
import { only } from "./tiny.ts";

describe("svd", () => {
  test("is orthogonal, ordered, and gives the matrix back", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 3 }),
        (rows, columns, defect) => {
          const a = draw([rows, columns], "a").data;
          // Rows that repeat others: singular values of zero.
          for (let r = 1; r <= Math.min(defect, rows - 1); r++)
            a.copyWithin(r * columns, 0, columns);
          const { s, u, v } = svd(a, rows, columns);
          expect([s.length, u.length, v.length]).toEqual(
            Array.from({ length: 3 }, () => Math.min(rows, columns)),
          );
          expect(s).toEqual(s.toSorted((x, y) => y - x));
          const dot = (x: Float64Array, y: Float64Array) =>
            x.reduce((sum, value, i) => sum + value * y[i], 0);
          const nonzero = [...s.keys()].filter((r) => s[r] > 1e-12 * s[0]);
          for (const i of nonzero)
            for (const j of nonzero)
              for (const w of [u, v]) expect(dot(w[i], w[j])).toBeCloseTo(i === j ? 1 : 0, 12);
          for (let r = 0; r < rows; r++)
            for (let c = 0; c < columns; c++)
              expect(
                [...s].reduce((sum, value, i) => sum + value * u[i][r] * v[i][c], 0),
              ).toBeCloseTo(a[r * columns + c], 12);
        },
      ),
    );
  });

  test("keeps small values apart from large ones, and takes zeros and nothing", () => {
    const graded = svd([1e8, 0, 0, 1e-8], 2, 2);
    expect([...graded.s]).toEqual([1e8, 1e-8]);
    expect([...svd([0, 0, 0, 0], 2, 2).s]).toEqual([0, 0]);
    expect([...svd([], 0, 3).s]).toEqual([]);
    expect(failure(() => svd([1, 2, 3], 2, 2))).toBe("svd: 3 values are not a matrix of 2×2");
  });
});

describe("separate", () => {
  const whole = {
    weight: draw([6, 4, 3, 5], "w"),
    bias: draw([6], "b"),
    stride: [2, 1],
    padding: [[1, 0] as const, [2, 1] as const],
    dilation: [1, 2],
  };
  const input = [9, 14];
  const x = draw([1, 4, ...input], "x");
  const together = (parts: readonly Convolution[]) => parts.reduce(compose);

  describe.each([
    { kind: "spatial" as const, fullRank: Math.min(4 * 3, 6 * 5) },
    { kind: "depthwise" as const, fullRank: 4 * 6 },
  ])("$kind", ({ kind, fullRank }) => {
    const results = Array.from({ length: fullRank }, (_, i) =>
      separate(whole, { kind, rank: i + 1, input }),
    );

    test("the error told is that of the weight, falls with the rank and is 0 at the full one", () => {
      const size = norm(whole.weight.data);
      results.forEach(({ parts, error, fullRank: full }, i) => {
        const { weight } = together(parts);
        expect(full).toBe(fullRank);
        expect(weight.shape).toEqual(whole.weight.shape);
        expect(distance(weight, whole.weight) / size).toBeCloseTo(error, 12);
        if (i) expect(error).toBeLessThan(results[i - 1].error);
      });
      expect(results.at(-1)!.error).toBe(0);
    });

    test("at full rank the parts, one after the other, compute what the whole does", () => {
      const y = results.at(-1)!.parts.reduce((v, part) => convolve(part, v), x);
      expectClose(y, convolve(whole, x));
    });

    test("counts what the graph of the parts counts", () => {
      const { parts, before, after } = results[1];
      const { layer } = layersOf(parts);
      const { graph, entries } = traceModel(only(layer, [4, ...input]));
      const macs = graph.nodes.map(
        (n) =>
          n.op.cost(
            n.inputs.map((v) => v.spec),
            n.params,
          ).macs,
      );
      expect(after).toEqual({
        parameters: entries.reduce((sum, e) => sum + sizeOf(e.spec.shape), 0),
        macs: macs.reduce((a, b) => a + b, 0),
      });
      // (9 + 1 − 3)/2 + 1 rows, 14 + 3 − 9 + 1 columns.
      expect(before).toEqual({ parameters: 6 * 4 * 15 + 6, macs: 6 * 4 * 15 * 4 * 9 });
    });
  });

  test("finds what is there: filters that are products, and a depthwise separable convolution", () => {
    const outer = {
      weight: compose({ weight: draw([2, 3, 3, 1], "v") }, { weight: draw([5, 2, 1, 3], "h") })
        .weight,
    };
    expect(separate(outer, { kind: "spatial", rank: 2, input: [8, 8] }).error).toBeLessThan(1e-14);
    expect(separate(outer, { kind: "spatial", rank: 1, input: [8, 8] }).error).toBeGreaterThan(
      0.01,
    );
    const single = [
      { weight: draw([1, 3, 1, 1], "p") },
      { weight: draw([1, 1, 3, 3], "d") },
      { weight: draw([5, 1, 1, 1], "q") },
    ];
    const { parts, error } = separate(together(single), {
      kind: "depthwise",
      rank: 1,
      input: [8, 8],
    });
    expect(error).toBeLessThan(1e-14);
    expect(parts.map((p) => p.weight.shape)).toEqual([
      [1, 3, 1, 1],
      [1, 1, 3, 3],
      [5, 1, 1, 1],
    ]);
  });

  test("the depthwise kind takes any number of axes; a weight of zeros has no error", () => {
    for (const axes of [1, 3]) {
      const c = { weight: draw([3, 2, ...Array.from({ length: axes }, () => 2)], "w") };
      const { parts, error } = separate(c, {
        kind: "depthwise",
        rank: 2 * Math.min(3, 2 ** axes),
        input: Array.from({ length: axes }, () => 4),
      });
      expect(error).toBe(0);
      expectClose(together(parts).weight, c.weight);
    }
    expect(
      separate(
        { weight: hostArray(spec([2, 2, 3, 3])) },
        { kind: "spatial", rank: 1, input: [4, 4] },
      ).error,
    ).toBe(0);
  });

  test("says what it does not take", () => {
    const options = { kind: "spatial" as const, rank: 1, input };
    expect(failure(() => separate({ ...whole, groups: 2 }, options))).toBe(
      "separate: the convolution has 2 groups; separate one group at a time",
    );
    expect(failure(() => separate(whole, { ...options, rank: 13 }))).toBe(
      "separate: rank 13 is not a whole number from 1 to 12",
    );
    expect(failure(() => separate({ weight: draw([2, 2, 3], "w") }, options))).toBe(
      'separate: the convolution has 1 spatial axes, kind "spatial" needs 2',
    );
  });
});

describe("between states, layers and plain data", () => {
  test("a convolution of a network, taken out and put into a layer, computes the same", () => {
    const state = initialize(lenet5(), 3);
    const c3 = convolutionOf(state, "c3");
    expect(effortOf([convolutionOf(state, "c1", { padding: 2 })], [28, 28])).toEqual({
      parameters: 156,
      macs: 117_600,
    });
    const { layer, state: own } = layersOf([c3]);
    expect([...own].map(([name, { shape }]) => [name, shape])).toEqual([
      ["0.weight", [16, 6, 5, 5]],
      ["0.bias", [16]],
    ]);
    const { graph, entries } = traceModel(only(layer, [6, 14, 14]));
    const x = draw([1, 6, 14, 14], "x");
    const given = entries.map((e) => hostArray(e.spec, Float64Array.from(own.get(e.name)!.data)));
    expectClose(evaluate(graph, [x, ...given])[0], convolve(c3, x));
  });

  test("say what is not there", () => {
    expect(failure(() => convolutionOf(new Map(), "c1"))).toBe(
      "convolutionOf: the state has no c1.weight",
    );
    expect(failure(() => layersOf([{ weight: draw([1, 1, 1, 1, 1, 1], "w") }]))).toBe(
      "layersOf: the convolution has 4 spatial axes, layers have at most 3",
    );
  });

  test("a convolution as plain data is the operation", () => {
    const c = { weight: draw([2, 3, 3], "w"), stride: 2, padding: 1 };
    const x = draw([2, 3, 7], "x");
    const graph = trace(
      (v, w) => conv(v, w, { stride: 2, padding: 1 }),
      [spec(x.shape), spec(c.weight.shape)],
    );
    expectClose(convolve(c, x), evaluate(graph, [x, c.weight])[0]);
  });
});
