// Laws that hold for every geometry, on geometries drawn at random.

import { hostArray, sizeOf, spec, type HostArray, type Op, type Spec } from "@conv/tensor";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  avgPoolGradOp,
  avgPoolOp,
  broadcastTo,
  conv,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  convTranspose,
  convTransposeGeometry,
  eachTerm,
  maxPoolGradOp,
  maxPoolOp,
  maxPoolPickOp,
  poolGeometry,
  spanOf,
  sumTo,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
} from "../src/index.ts";
import { dot, drawer, filled, valuesOf } from "./check.ts";

const small = (min: number, max: number) => fc.integer({ min, max });

/** Geometries of one to three axes; inputs too small for their kernel are grown until it fits. */
const geometries: fc.Arbitrary<ConvGeometry> = small(1, 3).chain((rank) =>
  fc
    .record({
      n: small(0, 2),
      groups: small(1, 3),
      icg: small(1, 3),
      ocg: small(1, 3),
      axes: fc.array(
        fc.record({
          size: small(1, 7 - rank),
          kernel: small(1, 4),
          stride: small(1, 3),
          dilation: small(1, 3),
          padLo: small(0, 3),
          padHi: small(0, 3),
        }),
        { minLength: rank, maxLength: rank },
      ),
    })
    .map(({ n, groups, icg, ocg, axes }) => {
      const list = <K extends keyof (typeof axes)[0]>(key: K) => axes.map((a) => a[key]);
      const spans = spanOf(list("kernel"), list("dilation"));
      const input = axes.map((a, i) => Math.max(a.size, spans[i] - a.padLo - a.padHi));
      return convGeometry(
        spec([n, icg * groups, ...input]),
        spec([ocg * groups, icg, ...list("kernel")]),
        {
          stride: list("stride"),
          dilation: list("dilation"),
          padding: axes.map((a) => [a.padLo, a.padHi] as const),
          groups,
        },
      );
    }),
);

const run = <P>(op: Op<P>, params: P, ...inputs: HostArray[]): HostArray =>
  op.reference(inputs, params)[0];
const random = (s: Spec, seed: number) => filled(s, drawer(seed));
const close = (a: number, b: number, scale: number) =>
  expect(Math.abs(a - b)).toBeLessThanOrEqual(1e-12 * (1 + scale));

describe("convolution", () => {
  test("⟨conv(x, w), y⟩ = ⟨x, convGradInput(y, w)⟩ = ⟨w, convGradWeight(y, x)⟩", () => {
    fc.assert(
      fc.property(geometries, small(1, 1e9), (g, seed) => {
        const [x, w, y] = [xShape(g), wShape(g), yShape(g)].map((s, i) =>
          random(spec(s), seed + i),
        );
        const form = dot(run(convOp, g, x, w), y);
        const terms = sizeOf(yShape(g)) * g.ic * sizeOf(g.kernel);
        close(dot(x, run(convGradInputOp, g, y, w)), form, terms);
        close(dot(w, run(convGradWeightOp, g, y, x)), form, terms);
      }),
      { numRuns: 150 },
    );
  });

  test("the output size is how often the window fits", () => {
    fc.assert(
      fc.property(geometries, (g) => {
        g.input.forEach((size, a) => {
          const padded = size + g.padLo[a] + g.padHi[a];
          let fits = 0;
          for (
            let start = 0;
            start + (g.kernel[a] - 1) * g.dilation[a] < padded;
            start += g.stride[a]
          )
            fits++;
          expect(g.output[a]).toBe(fits);
        });
      }),
    );
  });

  test("terms are visited once, in range, and are all where the formula says", () => {
    fc.assert(
      fc.property(geometries, (g) => {
        const seen = new Set<string>();
        const [xs, ws, ys] = [xShape(g), wShape(g), yShape(g)].map(sizeOf);
        eachTerm(g, (x, w, y) => {
          expect(x >= 0 && x < xs && w >= 0 && w < ws && y >= 0 && y < ys).toBe(true);
          seen.add(`${x} ${w} ${y}`);
        });
        const perAxis = g.input.map((size, a) => {
          let pairs = 0;
          for (let o = 0; o < g.output[a]; o++)
            for (let k = 0; k < g.kernel[a]; k++) {
              const i = o * g.stride[a] - g.padLo[a] + k * g.dilation[a];
              if (i >= 0 && i < size) pairs++;
            }
          return pairs;
        });
        expect(seen.size).toBe(((g.n * g.oc * g.ic) / g.groups) * sizeOf(perAxis));
      }),
      { numRuns: 30 },
    );
  });

  test("groups are convolutions side by side", () => {
    fc.assert(
      fc.property(
        geometries.filter((g) => g.groups > 1 && g.n > 0),
        small(1, 1e9),
        (g, seed) => {
          const x = random(spec([1, g.ic, ...g.input]), seed);
          const w = random(spec(wShape(g)), seed + 1);
          const options = {
            stride: g.stride,
            dilation: g.dilation,
            padding: g.padLo.map((lo, a) => [lo, g.padHi[a]] as const),
          };
          const whole = valuesOf(
            (...v) => conv(v[0], v[1], { ...options, groups: g.groups }),
            [x, w],
          )[0].data;
          const part = (a: HostArray, axis: 0 | 1, i: number) =>
            hostArray(
              spec(a.shape.with(axis, a.shape[axis] / g.groups)),
              a.data.slice((i * a.data.length) / g.groups, ((i + 1) * a.data.length) / g.groups),
            );
          const parts = Array.from({ length: g.groups }, (_, i) => [
            ...valuesOf((...v) => conv(v[0], v[1], options), [part(x, 1, i), part(w, 0, i)])[0]
              .data,
          ]);
          expect([...whole]).toEqual(parts.flat());
        },
      ),
      { numRuns: 50 },
    );
  });

  test("transposed convolution has the size of PyTorch's formula and is the adjoint of its geometry", () => {
    const axis = fc.record({
      size: small(1, 4),
      kernel: small(1, 4),
      stride: small(1, 3),
      dilation: small(1, 3),
      extra: small(0, 2),
      padding: small(0, 1),
    });
    fc.assert(
      fc.property(
        fc.array(axis, { minLength: 1, maxLength: 2 }),
        small(1, 2),
        small(1, 1e9),
        (axes, groups, seed) => {
          const options = {
            stride: axes.map((a) => a.stride),
            dilation: axes.map((a) => a.dilation),
            outputPadding: axes.map((a) => Math.min(a.extra, Math.max(a.stride, a.dilation) - 1)),
            padding: axes.map((a) => ((a.kernel - 1) * a.dilation >= 2 ? a.padding : 0)),
            groups,
          };
          const x = random(spec([1, 2 * groups, ...axes.map((a) => a.size)]), seed);
          const w = random(spec([2 * groups, 3, ...axes.map((a) => a.kernel)]), seed + 1);
          const y = valuesOf((...v) => convTranspose(v[0], v[1], options), [x, w])[0];
          expect(y.shape).toEqual([
            1,
            3 * groups,
            ...axes.map(
              (a, i) =>
                (a.size - 1) * a.stride -
                2 * options.padding[i] +
                a.dilation * (a.kernel - 1) +
                options.outputPadding[i] +
                1,
            ),
          ]);
          const u = random(spec(y.shape), seed + 2);
          const g = convTransposeGeometry(x, w, options);
          close(dot(y, u), dot(x, run(convOp, g, u, w)), sizeOf(y.shape) * sizeOf(w.shape));
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** The maximum of each window, spelt out for one plane after the other. */
function maxOf(g: ReturnType<typeof poolGeometry>, x: HostArray): HostArray {
  const y = hostArray(spec([g.n, g.c, ...g.output]));
  y.data.fill(-Infinity);
  // A convolution's terms of one channel with itself name the windows.
  eachTerm(
    { ...g, n: g.n * g.c, ic: 1, oc: 1, groups: 1 },
    (from, _, to) => (y.data[to] = Math.max(y.data[to], x.data[from])),
  );
  return y;
}

describe("pools", () => {
  const pools = geometries
    .filter(
      (g) =>
        g.groups === 1 &&
        g.input.every(
          (_, a) =>
            g.padLo[a] < g.kernel[a] &&
            g.padHi[a] < g.kernel[a] &&
            (g.dilation[a] === 1 || g.padLo[a] + g.padHi[a] === 0),
        ),
    )
    .map((g) =>
      poolGeometry(spec(xShape(g)), g.kernel, {
        stride: g.stride,
        dilation: g.dilation,
        padding: g.padLo.map((lo, a) => [lo, g.padHi[a]] as const),
      }),
    );

  test("average pooling and its gradient are adjoint; a pool of ones without counted padding is ones", () => {
    fc.assert(
      fc.property(pools, fc.boolean(), small(1, 1e9), (g, countIncludePad, seed) => {
        const params = { ...g, countIncludePad };
        const x = random(spec([g.n, g.c, ...g.input]), seed);
        const y = random(spec([g.n, g.c, ...g.output]), seed + 1);
        close(
          dot(run(avgPoolOp, params, x), y),
          dot(x, run(avgPoolGradOp, params, y)),
          y.data.length,
        );
        if (!countIncludePad)
          for (const v of run(
            avgPoolOp,
            params,
            filled(x, () => 1),
          ).data)
            close(v, 1, 0);
      }),
    );
  });

  test("pick and gradient of the maximum are adjoint; picking x is the pool", () => {
    fc.assert(
      fc.property(pools, small(1, 1e9), (g, seed) => {
        const x = random(spec([g.n, g.c, ...g.input]), seed);
        const v = random(x, seed + 1);
        const dy = random(spec([g.n, g.c, ...g.output]), seed + 2);
        close(
          dot(run(maxPoolPickOp, g, x, v), dy),
          dot(v, run(maxPoolGradOp, g, x, dy)),
          dy.data.length,
        );
        expect(run(maxPoolPickOp, g, x, x).data).toEqual(maxOf(g, x).data);
        expect(run(maxPoolOp, g, x).data).toEqual(maxOf(g, x).data);
      }),
    );
  });
});

test("broadcastTo and sumTo are adjoint", () => {
  const axis = fc.record({ size: small(0, 3), one: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(axis, { maxLength: 4 }),
      small(0, 4),
      small(1, 1e9),
      (axes, drop, seed) => {
        const large = axes.map((a) => a.size);
        const from = axes.slice(Math.min(drop, axes.length)).map((a) => (a.one ? 1 : a.size));
        const x = random(spec(from), seed);
        const y = random(spec(large), seed + 1);
        const wide = valuesOf((v) => broadcastTo(v, large), [x])[0];
        const narrow = valuesOf((v) => sumTo(v, from), [y])[0];
        close(dot(wide, y), dot(x, narrow), y.data.length);
      },
    ),
  );
});
