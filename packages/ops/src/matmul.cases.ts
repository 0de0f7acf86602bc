// Matrix products worth testing: all four ways of storing, sizes with every tail, batches, and
// sizes of one and nothing.

import { spec } from "@conv/tensor";
import { opCase, type OpCase } from "./cases/case.ts";
import { multiplied } from "./cases/convolved.ts";
import { rule, type Rules } from "./cases/rounding.ts";
import { matmulOp } from "./matmul.ts";

/** [batch, m, k, n] */
const sizes: [number[], number, number, number][] = [
  [[], 1, 1, 1],
  [[], 2, 3, 5],
  [[], 7, 13, 9],
  [[], 1, 16, 10],
  [[], 16, 1, 8],
  [[], 9, 5, 1],
  [[], 12, 8, 16],
  [[], 33, 20, 17],
  [[], 2, 400, 12],
  [[], 1, 21, 99],
  [[2], 5, 9, 70],
  [[3], 4, 5, 6],
  [[2, 2], 3, 2, 5],
  [[], 0, 3, 2],
  [[], 2, 0, 3],
  [[0], 2, 3, 4],
];

export const cases: readonly OpCase[] = sizes.flatMap(([batch, m, k, n]) =>
  [false, true].flatMap((transposeA) =>
    [false, true].map((transposeB) =>
      opCase(
        `${[...batch, m].join("×")}·${k}·${n}${transposeA ? ", a transposed" : ""}${transposeB ? ", b transposed" : ""}`,
        matmulOp,
        { transposeA, transposeB },
        [
          spec([...batch, ...(transposeA ? [k, m] : [m, k])]),
          spec([...batch, ...(transposeB ? [n, k] : [k, n])]),
        ],
      ),
    ),
  ),
);

export const rules: Rules = [rule(matmulOp, multiplied)];
