// Pools worth testing; each is a case of both pools, their gradients, the pick and the indices.

import { spec, hostArray } from "@conv/tensor";
import { opCase, type OpCase } from "./cases/case.ts";
import {
  exact,
  finite,
  mapped,
  rule,
  sumError,
  summed,
  type Bounded,
  type Rule,
  type Rules,
} from "./cases/rounding.ts";
import type { PerAxis } from "./geometry.ts";
import {
  argMax,
  avgPoolGradOp,
  avgPoolOp,
  eachWindow,
  maxPoolGradOp,
  maxPoolIndicesOp,
  maxPoolOp,
  maxPoolPickOp,
  poolGeometry,
  type PoolGeometry,
  type PoolOptions,
} from "./pool.ts";

const all: [string, readonly number[], PerAxis, PoolOptions?][] = [
  ["1d", [2, 3, 8], 2],
  ["1d overlapping", [1, 2, 9], 3, { stride: 2, padding: 1 }],
  ["1d dilation 2", [1, 2, 13], 3, { stride: 1, dilation: 2, padding: 2 }],
  ["2×2", [1, 3, 4, 6], 2],
  ["2×2 @28 (S2)", [1, 2, 28, 28], 2],
  ["2×2 leaves a row and a column unread", [2, 5, 7, 9], 2],
  ["3×3 stride 2 padding 1", [2, 3, 9, 7], 3, { stride: 2, padding: 1 }],
  ["3×3 stride 1 padding 1", [1, 5, 5, 5], 3, { stride: 1, padding: 1 }],
  ["3×3 stride 2", [1, 9, 13, 13], 3, { stride: 2 }],
  [
    "3×3 uneven padding",
    [1, 3, 5, 6],
    3,
    {
      stride: 2,
      padding: [
        [0, 1],
        [1, 0],
      ],
    },
  ],
  ["2×3 dilation 2,1", [1, 2, 7, 9], [2, 3], { stride: [1, 2], dilation: [2, 1], padding: [0, 1] }],
  ["3×3 over 2×2", [1, 2, 2, 2], 3, { stride: 1, padding: 1 }],
  ["1×1", [1, 3, 3, 5], 1],
  ["1×1 stride 2", [1, 3, 3, 5], 1, { stride: 2 }],
  ["2×2 stride 3", [1, 4, 8, 8], 2, { stride: 3 }],
  ["global 7×7", [2, 13, 7, 7], 7],
  ["3d", [1, 2, 4, 4, 6], 2],
  ["3d overlapping", [2, 1, 3, 5, 5], [2, 3, 3], { stride: [1, 2, 2], padding: [1, 1, 0] }],
  ["batch 0", [0, 3, 4, 4], 2],
  ["rounded up, kernel larger than the input", [1, 2, 2, 2], 3, { stride: 2, ceilMode: true }],
  [
    "rounded up, no window begins in the padding",
    [2, 1, 5, 6],
    2,
    { stride: 2, padding: 1, ceilMode: true },
  ],
  ["1d rounded up", [1, 2, 6], 3, { stride: 2, ceilMode: true }],
  [
    "3d rounded up",
    [1, 1, 2, 4, 5],
    [3, 2, 2],
    { stride: [2, 3, 2], padding: [0, 0, 1], ceilMode: true },
  ],
];

export const cases: readonly OpCase[] = all.flatMap(([name, shape, kernel, options]) => {
  const x = spec(shape);
  const g = poolGeometry(x, kernel, options);
  const y = spec([g.n, g.c, ...g.output]);
  return [
    opCase(name, maxPoolOp, g, [x], { data: "distinct" }),
    opCase(`${name}, ties`, maxPoolOp, g, [x], { data: "ties", gradient: false }),
    opCase(name, maxPoolIndicesOp, g, [x], { data: "distinct", gradient: false }),
    opCase(`${name}, ties`, maxPoolIndicesOp, g, [x], { data: "ties", gradient: false }),
    opCase(name, maxPoolGradOp, g, [x, y], { data: "distinct" }),
    opCase(`${name}, ties`, maxPoolGradOp, g, [x, y], { data: "ties", gradient: false }),
    opCase(name, maxPoolPickOp, g, [x, x], { data: "distinct" }),
    opCase(`${name}, ties`, maxPoolPickOp, g, [x, x], { data: "ties", gradient: false }),
    ...[true, false].flatMap((countIncludePad) => [
      opCase(
        `${name}${countIncludePad ? "" : ", padding not counted"}`,
        avgPoolOp,
        { ...g, countIncludePad },
        [x],
      ),
      opCase(
        `${name}${countIncludePad ? "" : ", padding not counted"}`,
        avgPoolGradOp,
        { ...g, countIncludePad },
        [y],
      ),
    ]),
  ];
});

/**
 * Inputs of a window that may be its maximum: one, unless others are as near as the errors allow.
 * Exact ties go to the first, NaN to the last.
 */
function winners({ value, error }: Bounded, seen: readonly number[]): number[] {
  const first = argMax(value.data, seen);
  if (!error) return [first];
  const least = Math.max(...seen.map((i) => value.data[i] - error.data[i]));
  const near = seen.filter((i) => !(value.data[i] + error.data[i] < least));
  return near.every((i) => error.data[i] === 0) ? [first] : near;
}

const maxPoolError: Rule<PoolGeometry> = ({ params }, [x], y) => {
  if (!x.error) return null;
  const error = hostArray(y);
  eachWindow(params, (o, seen) => (error.data[o] = Math.max(...seen.map((i) => x.error!.data[i]))));
  return error;
};

const maxPoolGradError: Rule<PoolGeometry> = ({ params }, [x, dy], dx) => {
  const error = hostArray(dx);
  const [hits, magnitude, size] = [hostArray(dx), hostArray(dx), finite(dy.value)];
  eachWindow(params, (o, seen) => {
    const near = winners(x, seen);
    for (const i of near) {
      error.data[i] += (dy.error?.data[o] ?? 0) + (near.length > 1 ? size.data[o] : 0);
      magnitude.data[i] += size.data[o];
      hits.data[i]++;
    }
  });
  return mapped(error, (e, i) => e + (hits.data[i] > 1 ? sumError(magnitude.data[i]) : 0));
};

const apart = (a: number, b: number): number => (Object.is(a, b) || a === b ? 0 : Math.abs(a - b));

const maxPoolPickError: Rule<PoolGeometry> = ({ params }, [x, v], y) => {
  const error = hostArray(y);
  eachWindow(params, (o, seen) => {
    error.data[o] = Math.max(
      ...winners(x, seen).map((i) => apart(v.value.data[i], y.data[o]) + (v.error?.data[i] ?? 0)),
    );
  });
  return error;
};

export const rules: Rules = [
  rule(avgPoolOp, summed),
  rule(avgPoolGradOp, summed),
  rule(maxPoolOp, maxPoolError),
  rule(maxPoolGradOp, maxPoolGradError),
  rule(maxPoolPickOp, maxPoolPickError),
  rule(maxPoolIndicesOp, exact),
];
