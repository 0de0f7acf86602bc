// Convolutions as plain data: what the algebra says of them holds for every geometry drawn.

import { conv, convGeometry, convGradInputOp, convTranspose } from "@conv/ops";
import { evaluate, hostArray, ShapeError, sizeOf, spec, trace, type HostArray } from "@conv/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compose,
  convolutionOf,
  convolve,
  convolveFull,
  effortOf,
  flip,
  layersOf,
  separate,
  svd,
  times,
  toMatrix,
  transposed,
} from "../src/algebra/index.ts";
import type { Convolution } from "../src/algebra/index.ts";
import { createRandom, initialize, traceModel } from "../src/index.ts";
import { lenet5 } from "../src/models/index.ts";
import { only } from "./tiny.ts";

const draw = (shape: readonly number[], key: string): HostArray => {
  const random = createRandom(key);
  return hostArray(
    spec(shape),
    Float64Array.from({ length: sizeOf(shape) }, () => random.normal()),
  );
};

const norm = (x: ArrayLike<number>): number => Math.hypot(...Array.from(x));
const distance = (x: HostArray, y: HostArray): number => norm(x.data.map((v, i) => v - y.data[i]));

function expectClose(got: HostArray, want: HostArray): void {
  expect(got.shape).toEqual(want.shape);
  expect(distance(got, want)).toBeLessThanOrEqual(1e-12 * (1 + norm(want.data)));
}

const failure = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    if (error instanceof ShapeError || error instanceof RangeError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

/** One axis of a convolution. */
const axis = (maxPad = 2) =>
  fc.record({
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 3 }),
    lo: fc.integer({ min: 0, max: maxPad }),
    hi: fc.integer({ min: 0, max: maxPad }),
  });

type Axis = { kernel: number; stride: number; dilation: number; lo: number; hi: number };

const convolution = (
  axes: readonly Axis[],
  oc: number,
  icg: number,
  groups: number,
  key: string,
  bias = false,
): Convolution => ({
  weight: draw([oc, icg, ...axes.map((a) => a.kernel)], `${key} weight`),
  ...(bias && { bias: draw([oc], `${key} bias`) }),
  stride: axes.map((a) => a.stride),
  padding: axes.map((a) => [a.lo, a.hi] as const),
  dilation: axes.map((a) => a.dilation),
  groups,
});

const spanOf = ({ kernel, dilation }: Axis) => (kernel - 1) * dilation + 1;

describe("toMatrix", () => {
  const geometries = fc.integer({ min: 1, max: 2 }).chain((rank) =>
    fc.record({
      axes: fc.array(axis(), { minLength: rank, maxLength: rank }),
      groups: fc.integer({ min: 1, max: 2 }),
      icg: fc.integer({ min: 1, max: 2 }),
      ocg: fc.integer({ min: 1, max: 2 }),
      more: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: rank, maxLength: rank }),
    }),
  );

  test("W·x is the convolution and Wᵀ·y its gradient to the input, which is the transposed convolution", () => {
    fc.assert(
      fc.property(geometries, ({ axes, groups, icg, ocg, more }) => {
        const c = convolution(axes, groups * ocg, icg, groups, "c");
        const input = axes.map((a, i) => Math.max(1, spanOf(a) - a.lo - a.hi) + more[i]);
        const x = draw([1, groups * icg, ...input], "x");
        const w = toMatrix(c, input);
        const y = convolve(c, x);
        expect([w.rows, w.columns]).toEqual([y.data.length, x.data.length]);
        expectClose(hostArray(y, times(w, x.data)), y);

        const dy = draw(y.shape, "dy");
        const { stride, padding, dilation } = c;
        const g = convGeometry(spec(x.shape), spec(c.weight.shape), {
          stride,
          padding,
          dilation,
          groups,
        });
        const [dx] = convGradInputOp.reference([dy, c.weight], g);
        const back = hostArray(x, times(transposed(w), dy.data));
        expectClose(back, dx);
        // What the stride leaves over at the end of the input.
        const outputPadding = axes.map((a, i) => (input[i] + a.lo + a.hi - spanOf(a)) % a.stride);
        const t = trace(
          (v, k) => convTranspose(v, k, { stride, padding, dilation, groups, outputPadding }),
          [spec(dy.shape), spec(c.weight.shape)],
        );
        expectClose(evaluate(t, [dy, c.weight])[0], dx);

        const twice = transposed(transposed(w));
        expect([twice.start, twice.column, twice.value]).toEqual([w.start, w.column, w.value]);
        for (let row = 0; row < w.rows; row++) {
          const columns = w.column.slice(w.start[row], w.start[row + 1]);
          expect(columns).toEqual(columns.toSorted());
        }
      }),
      { numRuns: 200 },
    );
  });

  test("is the matrix that one writes on paper", () => {
    const c = { weight: hostArray(spec([1, 1, 2]), Float64Array.of(3, 5)) };
    const w = toMatrix(c, [4]);
    expect([w.rows, w.columns, [...w.start], [...w.column], [...w.value]]).toEqual([
      3,
      4,
      [0, 2, 4, 6],
      [0, 1, 1, 2, 2, 3],
      [3, 5, 3, 5, 3, 5],
    ]);
    expect([...times(transposed(w), [1, 0, 2])]).toEqual([3, 5, 6, 10]);
    expect(failure(() => times(w, [1, 2, 3]))).toBe(
      "times: the matrix has 4 columns, the vector 3 numbers",
    );
    expect(failure(() => toMatrix(c, [1]))).toBe(
      "conv: kernel 2 with dilation 1 covers 2 positions, but the padded input has 1; use a smaller kernel or more padding (axis w)",
    );
  });
});

describe("compose", () => {
  const pairs = fc.integer({ min: 1, max: 2 }).chain((rank) =>
    fc.record({
      first: fc.array(axis(), { minLength: rank, maxLength: rank }),
      second: fc.array(axis(0), { minLength: rank, maxLength: rank }),
      groups: fc.constantFrom([1, 1], [2, 1], [1, 2], [2, 2], [4, 2], [2, 4], [4, 4]),
      bias: fc.tuple(fc.boolean(), fc.boolean()),
      more: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: rank, maxLength: rank }),
    }),
  );

  test("two convolutions are one: strides, dilations, groups, biases, padding of the first", () => {
    fc.assert(
      fc.property(pairs, ({ first, second, groups: [ga, gb], bias, more }) => {
        const a = convolution(first, 4, 4 / ga, ga, "a", bias[0]);
        const b = convolution(second, 4, 4 / gb, gb, "b", bias[1]);
        const one = compose(a, b);
        // At least one output: the span of both, and some more.
        const input = first.map(
          (axis, i) =>
            Math.max(1, spanOf(axis) + (spanOf(second[i]) - 1) * axis.stride - axis.lo - axis.hi) +
            more[i],
        );
        const x = draw([2, 4, ...input], "x");
        expectClose(convolve(one, x), convolve(b, convolve(a, x)));
        expect(one.groups).toBe(Math.min(ga, gb));
        expect(one.bias === undefined).toBe(!bias[0] && !bias[1]);
      }),
      { numRuns: 200 },
    );
  });

  test("padding of the second is exact where the first gives zero there: 1×1 before, or full padding", () => {
    const x = draw([1, 2, 6, 5], "x");
    const b = { weight: draw([3, 4, 3, 3], "b"), bias: draw([3], "bias"), padding: 1, stride: 2 };
    for (const a of [
      { weight: draw([4, 2, 1, 1], "a") },
      { weight: draw([4, 2, 3, 2], "a"), padding: "full" as const },
      {
        weight: draw([4, 2, 3, 2], "a"),
        padding: [[1, 2] as const, [1, 1] as const],
        stride: [2, 1],
      },
    ]) {
      const one = compose(a, b);
      expectClose(convolve(one, x), convolve(b, convolve(a, x)));
    }
    expect(compose({ weight: draw([4, 2, 1, 1], "a") }, b).padding).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test("two 3×3 are a 5×5, with dilation 2 before one a 7×7", () => {
    const plain = { weight: draw([1, 1, 3, 3], "a") };
    expect(compose(plain, plain).weight.shape).toEqual([1, 1, 5, 5]);
    expect(compose({ ...plain, dilation: 2 }, plain).weight.shape).toEqual([1, 1, 7, 7]);
    expect(compose({ ...plain, dilation: 2 }, { ...plain, dilation: 4 })).toMatchObject({
      weight: { shape: [1, 1, 7, 7] },
      dilation: [2, 2],
    });
    expect(compose({ ...plain, stride: 2 }, plain)).toMatchObject({
      weight: { shape: [1, 1, 7, 7] },
      stride: [2, 2],
    });
  });

  test("names the rule that does not hold", () => {
    const a = { weight: draw([4, 2, 3], "a") };
    const b = { weight: draw([4, 4, 3], "b") };
    expect(failure(() => compose(a, { weight: draw([4, 4, 3, 3], "b") }))).toBe(
      "compose: the first convolution has 1 spatial axes, the second 2",
    );
    expect(failure(() => compose(a, { weight: draw([4, 3, 3], "b") }))).toBe(
      "compose: the first convolution gives 4 channels, the second takes 3",
    );
    expect(failure(() => compose({ ...a, padding: 1 }, { ...b, padding: 1 }))).toBe(
      "compose: padding 1 of the second convolution is zeros before the input, where the first, of span 3 with padding 1, still sees the input (axis w)",
    );
    expect(failure(() => compose({ ...a, padding: [[2, 1]] }, { ...b, padding: 1 }))).toBe(
      "compose: padding 1 of the second convolution is zeros after the input, where the first, of span 3 with padding 1, still sees the input (axis w)",
    );
    expect(
      failure(() => compose({ ...a, padding: 2, bias: draw([4], "bias") }, { ...b, padding: 1 })),
    ).toBe(
      "compose: padding 1 of the second convolution is zeros before the input, where the first has its bias (axis w)",
    );
    expect(failure(() => compose({ ...a, padding: "same", stride: 2 }, b))).toBe(
      'compose: padding "same" with stride 2 depends on the size of the input; give numbers (axis w)',
    );
    expect(failure(() => compose({ weight: draw([4, 2], "a") }, b))).toBe(
      "compose: weight has 2 axes, needs (oc, ic/groups, …kernel)",
    );
    expect(failure(() => compose({ ...a, groups: 0 }, b))).toBe(
      "compose: groups 0 is not a whole number ≥ 1",
    );
    expect(failure(() => compose({ ...a, groups: 3 }, b))).toBe(
      "compose: 4 output channels do not divide into 3 groups",
    );
    expect(failure(() => compose({ ...a, bias: draw([3], "bias") }, b))).toBe(
      "compose: bias has shape 3, weight gives 4 channels",
    );
  });
});

describe("full convolution", () => {
  const shapes = fc.integer({ min: 1, max: 3 }).chain((rank) => {
    const shape = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: rank, maxLength: rank });
    return fc.tuple(shape, shape, shape);
  });

  test("commutes and associates", () => {
    fc.assert(
      fc.property(shapes, ([sa, sb, sc]) => {
        const [a, b, c] = [draw(sa, "a"), draw(sb, "b"), draw(sc, "c")];
        const ab = convolveFull(a, b);
        expectClose(convolveFull(b, a), ab);
        expectClose(convolveFull(a, convolveFull(b, c)), convolveFull(ab, c));
      }),
    );
  });

  test("is what a layer computes with its kernel flipped and full padding, and what composition does to kernels", () => {
    fc.assert(
      fc.property(shapes, ([sa, sb]) => {
        const [a, b] = [draw(sa, "a"), draw(sb, "b")];
        const image = (x: HostArray) => hostArray(spec([1, 1, ...x.shape]), x.data);
        const ab = image(convolveFull(a, b));
        expectClose(convolve({ weight: flip(image(b), 2), padding: "full" }, image(a)), ab);
        expectClose(compose({ weight: image(a) }, { weight: image(b) }).weight, ab);
        expectClose(flip(ab), image(convolveFull(flip(a), flip(b))));
      }),
    );
  });

  test("cross-correlation does not commute", () => {
    const [a, b] = [Float64Array.of(1, 2), Float64Array.of(3, 5)].map((data) =>
      hostArray(spec([1, 1, 2]), data),
    );
    const [ab, ba] = [
      convolve({ weight: b, padding: "full" }, a),
      convolve({ weight: a, padding: "full" }, b),
    ];
    expect([...ab.data]).toEqual([5, 13, 6]);
    expect([...ba.data]).toEqual([6, 13, 5]);
  });

  test("multiplies polynomials, and refuses what is none", () => {
    const of = (...data: number[]) => hostArray(spec([data.length]), Float64Array.from(data));
    expect([...convolveFull(of(1, 1), of(1, 2, 1)).data]).toEqual([1, 3, 3, 1]);
    expect(failure(() => convolveFull(of(1), draw([1, 1], "b")))).toBe(
      "convolveFull: a has 1 axes, b has 2",
    );
    expect(failure(() => convolveFull(of(), of(1)))).toBe(
      "convolveFull: sizes 0 and 1 must not be 0 (axis 0)",
    );
  });
});

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
    expect(failure(() => svd([1, 2, 3], 2, 2))).toBe("svd: 3 numbers are not a matrix of 2×2");
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
      "separate: rank 13 is not one of 1 … 12",
    );
    expect(failure(() => separate({ weight: draw([2, 2, 3], "w") }, options))).toBe(
      "separate: the convolution has 1 spatial axes, spatial parts need 2",
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
      "layersOf: there is no layer for 4 spatial axes",
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
