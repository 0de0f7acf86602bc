// Geometries nobody thought of: fast-check draws them from a fixed seed, and shrinks what fails to
// the smallest that does.

import {
  add,
  avgPool,
  avgPoolGradOp,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  map,
  matmul,
  max,
  maximum,
  maxPool,
  maxPoolGradOp,
  maxPoolIndicesOp,
  maxPoolPickOp,
  resample,
  mul,
  poolGeometry,
  scatterAdd,
  sub,
  sum,
  gather,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
  type Expr,
  type PoolGeometry,
  type Tap,
} from "@conv/ops";
import type { CaseData } from "@conv/ops/cases";
import { node, sizeOf, spec, trace, type Graph, type Op } from "@conv/tensor";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { check } from "../check.ts";
import { graphOfShapes, inputsOf, specsOf, type Device } from "./device.ts";

const SEED = 19980511;

/** Checks a graph for each of `runs` drawn things, or for the share of them that runs. */
function drawn<T>(
  device: Device,
  name: string,
  runs: number,
  things: fc.Arbitrary<T>,
  graphOf: (thing: T) => Graph,
  fills?: readonly CaseData[],
): void {
  it(name, async () => {
    const property = fc.asyncProperty(things, async (thing) => {
      const graph = graphOf(thing);
      await check(device.backend, graph, inputsOf(specsOf(graph), JSON.stringify(thing), fills));
    });
    await fc.assert(property, {
      seed: SEED,
      numRuns: Math.ceil(runs / device.every),
      includeErrorInReport: true,
    });
  });
}

/** Registers the drawn tests. */
export function drawnSuite(device: Device): void {
  describe("drawn geometries", () => {
    for (const rank of [1, 2, 3]) {
      const convs: [string, Op<ConvGeometry>, ...((g: ConvGeometry) => number[])[]][] = [
        ["conv", convOp, xShape, wShape],
        ["convGradInput", convGradInputOp, yShape, wShape],
        ["convGradWeight", convGradWeightOp, yShape, xShape],
      ];
      for (const [name, op, a, b] of convs)
        drawn(device, `${name}, rank ${rank}`, 40, convGeometries(rank), (g) =>
          graphOfShapes([a(g), b(g)], (p, q) => node(op, g, [p, q])),
        );

      const pools = poolGeometries(rank);
      const [px, py] = [
        (g: PoolGeometry) => [g.n, g.c, ...g.input],
        (g: PoolGeometry) => [g.n, g.c, ...g.output],
      ];
      const options = ({ stride, dilation, padLo, padHi }: PoolGeometry) => ({
        stride,
        dilation,
        padding: padLo.map((lo, i) => [lo, padHi[i]] as const),
      });
      for (const fill of ["normal", "ties"] as const) {
        drawn(
          device,
          `maxPool, rank ${rank}, ${fill}`,
          15,
          pools,
          (g) => graphOfShapes([px(g)], (x) => maxPool(x, g.kernel, options(g))),
          [fill],
        );
        drawn(
          device,
          `maxPoolGrad, rank ${rank}, ${fill}`,
          15,
          pools,
          (g) => graphOfShapes([px(g), py(g)], (x, dy) => node(maxPoolGradOp, g, [x, dy])),
          [fill],
        );
        drawn(
          device,
          `maxPoolIndices, rank ${rank}, ${fill}`,
          10,
          pools,
          (g) => graphOfShapes([px(g)], (x) => node(maxPoolIndicesOp, g, [x])),
          [fill],
        );
        drawn(
          device,
          `maxPoolPick, rank ${rank}, ${fill}`,
          10,
          pools,
          (g) => graphOfShapes([px(g), px(g)], (x, v) => node(maxPoolPickOp, g, [x, v])),
          [fill],
        );
      }
      for (const countIncludePad of [true, false]) {
        const how = countIncludePad ? "padding counted" : "padding left out";
        drawn(device, `avgPool, rank ${rank}, ${how}`, 15, pools, (g) =>
          graphOfShapes([px(g)], (x) => avgPool(x, g.kernel, { ...options(g), countIncludePad })),
        );
        drawn(device, `avgPoolGrad, rank ${rank}, ${how}`, 15, pools, (g) =>
          graphOfShapes([py(g)], (dy) => node(avgPoolGradOp, { ...g, countIncludePad }, [dy])),
        );
      }
    }

    for (const [name, op] of Object.entries({ add, sub, mul, maximum }))
      drawn(device, `${name}, broadcast`, 40, broadcasts(2), (shapes) =>
        graphOfShapes(shapes, (a, b) => op(a, b)),
      );
    drawn(
      device,
      "expressions of three tensors, broadcast",
      60,
      fc.tuple(broadcasts(3), expressions(4)),
      ([shapes, f]) => graphOfShapes(shapes, (...xs) => map("drawn", f, xs)),
    );

    for (const [name, op] of Object.entries({ sum, max }))
      drawn(device, `${name} over some axes`, 40, reductions(), ({ shape, axes, keep }) =>
        graphOfShapes([shape], (x) => op(x, axes, keep)),
      );

    for (const [name, tap] of Object.entries(taps))
      drawn(device, `mix, ${name}`, 40, mixtures(tap), ({ outer, size, inner, rows }) =>
        graphOfShapes([[outer, size, inner]], (x) => resample(x, rows, 1)),
      );
    for (const name of ["take", "put"] as const)
      drawn(
        device,
        name,
        40,
        fc.tuple(size(3, 3), size(9, 9), size(9, 20), size(9, 40)),
        ([b, c, length, count]) =>
          trace(
            (x, index) =>
              name === "take" ? gather(x, index) : scatterAdd(x, index, { size: [length] }),
            [spec([b, c, name === "take" ? length : count]), spec([b, count], "int32")],
          ),
        ["normal", "labels:9"],
      );

    drawn(device, "matmul", 60, products(), ({ batch, m, k, n, ...transposed }) => {
      const a = transposed.transposeA ? [k, m] : [m, k];
      const b = transposed.transposeB ? [n, k] : [k, n];
      return graphOfShapes(
        [
          [...batch, ...a],
          [...batch, ...b],
        ],
        (x, y) => matmul(x, y, transposed),
      );
    });
  });
}

/** Small in most draws; now and then longer than any vector or tile. */
const size = (small: number, large: number) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 1, max: small }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: large }) },
  );

const axis = (rank: number, kernel: fc.Arbitrary<number>, padding: number) =>
  fc.record({
    kernel,
    stride: fc.integer({ min: 1, max: 3 }),
    dilation: fc.integer({ min: 1, max: 3 }),
    padLo: fc.integer({ min: 0, max: padding }),
    padHi: fc.integer({ min: 0, max: padding }),
    extra: size([12, 7, 3][rank - 1], [40, 19, 5][rank - 1]),
  });

/**
 * General, pointwise, depthwise (with multiplier): any of them with strides, dilations and uneven
 * padding.
 */
export function convGeometries(rank: number): fc.Arbitrary<ConvGeometry> {
  const whole = (max: number) => fc.integer({ min: 1, max });
  const channels = fc.oneof(
    fc.record({ groups: whole(3), icg: whole(5), ocg: whole(6) }),
    fc.record({ groups: fc.constant(1), icg: whole(21), ocg: whole(21) }),
    fc.record({ groups: whole(11), icg: fc.constant(1), ocg: whole(2) }),
  );
  const kernel = fc.oneof(fc.constant(1), fc.constant(3), whole(rank === 3 ? 3 : 5));
  return fc
    .record({
      n: whole(2),
      channels,
      axes: fc.array(axis(rank, kernel, 3), { minLength: rank, maxLength: rank }),
    })
    .map(({ n, channels: { groups, icg, ocg }, axes }) => {
      // At least one output per axis: the input is what the kernel lacks after padding, and some
      // more.
      const input = axes.map((a) =>
        Math.max(1, (a.kernel - 1) * a.dilation + 1 - a.padLo - a.padHi + a.extra - 1),
      );
      return convGeometry(
        spec([n, groups * icg, ...input]),
        spec([groups * ocg, icg, ...axes.map((a) => a.kernel)]),
        {
          stride: axes.map((a) => a.stride),
          dilation: axes.map((a) => a.dilation),
          padding: axes.map((a) => [a.padLo, a.padHi] as const),
          groups,
        },
      );
    });
}

/**
 * Pools with strides, dilations and uneven padding; padding stays below the kernel, so that no
 * window is empty.
 */
export function poolGeometries(rank: number): fc.Arbitrary<PoolGeometry> {
  const whole = (max: number) => fc.integer({ min: 1, max });
  return fc
    .record({
      n: whole(2),
      c: whole(5),
      axes: fc.array(axis(rank, whole(4), 2), { minLength: rank, maxLength: rank }),
    })
    .map(({ n, c, axes }) => {
      // With inputs as wide as the dilation and padding below the kernel's half span, every window
      // meets the input.
      const pad = (p: number, a: { kernel: number; dilation: number }) =>
        Math.min(p, Math.floor(((a.kernel - 1) * a.dilation) / 2));
      const input = axes.map((a) => (a.kernel - 1) * a.dilation + a.extra);
      return poolGeometry(
        spec([n, c, ...input]),
        axes.map((a) => a.kernel),
        {
          stride: axes.map((a) => a.stride),
          dilation: axes.map((a) => a.dilation),
          padding: axes.map((a) => [pad(a.padLo, a), pad(a.padHi, a)] as const),
        },
      );
    });
}

const shapes = (maxRank: number) =>
  fc.array(size(4, 17), { minLength: 0, maxLength: maxRank }).filter((s) => sizeOf(s) <= 3000);

/** Shapes that broadcast together: axes replaced by 1, leading axes dropped. */
const broadcasts = (count: number): fc.Arbitrary<number[][]> =>
  fc
    .tuple(
      shapes(5),
      fc.array(
        fc.record({
          drop: fc.nat(5),
          ones: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
          whole: fc.boolean(),
        }),
        {
          minLength: count,
          maxLength: count,
        },
      ),
    )
    .map(([shape, how]) =>
      how.map(({ drop, ones, whole }) =>
        whole ? shape : shape.map((s, i) => (ones[i] ? 1 : s)).slice(Math.min(drop, shape.length)),
      ),
    );

const reductions = () =>
  shapes(5).chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      axes: fc.subarray(shape.map((_, i) => i)),
      keep: fc.boolean(),
    }),
  );

/**
 * Sparse matrices along an axis: one element each, runs of neighbors, pairs of neighbors with
 * weights, anything.
 */
const taps: Record<string, (size: number) => fc.Arbitrary<Tap[][]>> = {
  single: (size) =>
    fc.array(
      fc.nat(size - 1).map((i): Tap[] => [[i, 1]]),
      { minLength: 1, maxLength: 40 },
    ),
  runs: (size) =>
    fc
      .array(fc.tuple(fc.nat(size - 1), fc.nat(size)), { minLength: 1, maxLength: 4 })
      .map((runs) =>
        runs.flatMap(([from, count]) =>
          Array.from({ length: Math.min(count + 1, size - from) }, (_, i): Tap[] => [
            [from + i, 1],
          ]),
        ),
      ),
  near: (size) =>
    fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([count, w]) =>
        Array.from({ length: count }, (_, j): Tap[] =>
          [Math.floor((j * size) / count), Math.floor((j * size) / count) + 1]
            .filter((i) => i < size)
            .map((i, t) => [i, t ? w : 1 - w]),
        ),
      ),
  any: (size) =>
    fc.array(
      fc.array(fc.tuple(fc.nat(size - 1), fc.constantFrom(-1.5, 0.25, 1, 3)), { maxLength: 4 }),
      { minLength: 1, maxLength: 20 },
    ),
};

const mixtures = (rows: (size: number) => fc.Arbitrary<Tap[][]>) =>
  size(9, 40).chain((length) =>
    fc.record({
      outer: size(3, 5),
      size: fc.constant(length),
      inner: size(5, 33),
      rows: rows(length),
    }),
  );

const products = () =>
  fc.record({
    batch: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
    m: size(9, 40),
    k: size(9, 70),
    n: size(9, 40),
    transposeA: fc.boolean(),
    transposeB: fc.boolean(),
  });

/**
 * Expressions over a, b, c whose functions are defined everywhere: roots and logarithms only of
 * what is positive, divisors ≥ 1/2 in size.
 */
function expressions(depth: number): fc.Arbitrary<Expr> {
  const leaf: fc.Arbitrary<Expr> = fc.oneof(
    fc.constantFrom("a", "b", "c"),
    fc.constantFrom(-1.5, 0, 0.1, 0.5, 1, 2),
  );
  if (depth === 0) return leaf;
  const e = expressions(depth - 1);
  const apart = e.map((x): Expr => ["add", 0.5, ["abs", x]]);
  const tame = e.map((x): Expr => ["max", -8, ["min", 8, x]]);
  return fc.oneof(
    leaf,
    fc.tuple(
      fc.constantFrom(
        "add" as const,
        "sub" as const,
        "mul" as const,
        "min" as const,
        "max" as const,
        "gt" as const,
      ),
      e,
      e,
    ),
    fc.tuple(fc.constant("div" as const), e, apart),
    fc.tuple(fc.constantFrom("neg" as const, "abs" as const, "tanh" as const), e),
    fc.tuple(fc.constantFrom("sqrt" as const, "log" as const), apart),
    fc.tuple(fc.constant("exp" as const), tame),
    fc.tuple(fc.constant("select" as const), e, e, e),
  );
}
