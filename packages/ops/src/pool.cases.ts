// Pools worth testing; each is a case of both pools, their gradients, the pick and the indices.

import { spec } from "@conv/tensor";
import { opCase, type OpCase } from "./case.ts";
import type { PerAxis } from "./geometry.ts";
import {
  avgPoolGradOp,
  avgPoolOp,
  maxPoolGradOp,
  maxPoolIndicesOp,
  maxPoolOp,
  maxPoolPickOp,
  poolGeometry,
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
