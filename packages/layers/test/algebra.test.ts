// Convolutions as plain data: the laws of the algebra hold for every geometry that is drawn.

import { convGeometry, convGradInputOp, convTranspose } from "@conv/ops";
import { evaluate, hostArray, spec, trace, type HostArray } from "@conv/tensor";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  compose,
  convolve,
  convolveFull,
  flip,
  times,
  toMatrix,
  transposed,
} from "../src/algebra/index.ts";
import { draw, expectClose, failure, axis, convolution, spanOf } from "./algebra.ts";

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
      "times: the matrix has 4 columns, the vector has 3 values",
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
      "compose: the first convolution returns 4 channels, the second takes 3",
    );
    expect(failure(() => compose({ ...a, padding: 1 }, { ...b, padding: 1 }))).toBe(
      "compose: the second convolution pads 1 zeros before its input, where the first (span 3, padding 1) reads input and would not return zeros; give the second no padding (axis w)",
    );
    expect(failure(() => compose({ ...a, padding: [[2, 1]] }, { ...b, padding: 1 }))).toBe(
      "compose: the second convolution pads 1 zeros after its input, where the first (span 3, padding 1) reads input and would not return zeros; give the second no padding (axis w)",
    );
    expect(
      failure(() => compose({ ...a, padding: 2, bias: draw([4], "bias") }, { ...b, padding: 1 })),
    ).toBe(
      "compose: the second convolution pads 1 zeros before its input, where the first would return its bias; give the second no padding or the first no bias (axis w)",
    );
    expect(failure(() => compose({ ...a, padding: "same", stride: 2 }, b))).toBe(
      'compose: padding "same" with stride 2 depends on the size of the input; give the padding as numbers (axis w)',
    );
    expect(failure(() => compose({ weight: draw([4, 2], "a") }, b))).toBe(
      "compose: weight has 2 axes, needs (oc, ic/groups, …kernel)",
    );
    expect(failure(() => compose({ ...a, groups: 0 }, b))).toBe(
      "compose: groups 0 is not a whole number ≥ 1",
    );
    expect(failure(() => compose({ ...a, groups: 3 }, b))).toBe(
      "compose: 4 output channels do not divide into 3 groups; use groups that divide 4",
    );
    expect(failure(() => compose({ ...a, bias: draw([3], "bias") }, b))).toBe(
      "compose: bias has shape 3, weight has 4 output channels",
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
