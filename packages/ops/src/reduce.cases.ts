// Reductions worth testing: sum and max over every subset of axes, and broadcasting into every
// position.

import { input, sizeOf, spec, type Value } from "@conv/tensor";
import { opCase, traced, type OpCase } from "./cases/case.ts";
import { moved, rule, summed, type Rules } from "./cases/rounding.ts";
import { maxOp } from "./max.ts";
import { broadcastTo, broadcastToOp, sumOp } from "./reduce.ts";

const x = (...shape: number[]): Value => input(spec(shape));

/** All subsets of the axes of a shape. */
const subsets = (rank: number): number[][] =>
  Array.from({ length: 2 ** rank }, (_, bits) =>
    Array.from({ length: rank }, (_, a) => a).filter((a) => bits & (1 << a)),
  );

const reduced: [number[], number[][]][] = [
  [[], subsets(0)],
  [[13], subsets(1)],
  [[5, 9], subsets(2)],
  [[3, 4, 7], subsets(3)],
  [[2, 3, 4, 5], subsets(4)],
  [[1, 5, 1], subsets(3)],
  [[257], [[0]]],
  [
    [2, 16, 14, 14],
    [
      [0, 2, 3],
      [2, 3],
    ],
  ],
  [
    [64, 10],
    [[0], [1]],
  ],
  [[0, 3], subsets(2)],
];

const broadcast: [number[], number[]][] = [
  [[], []],
  [[], [7]],
  [[], [2, 3]],
  [[1], [5]],
  [[3], [2, 3]],
  [
    [3, 1],
    [3, 5],
  ],
  [
    [1, 5],
    [3, 5],
  ],
  [
    [2, 1, 4],
    [2, 3, 4],
  ],
  [
    [1, 3, 1],
    [2, 3, 4],
  ],
  [
    [6, 1, 1],
    [2, 6, 5, 7],
  ],
  [
    [2, 1, 3, 1],
    [2, 4, 3, 5],
  ],
  [
    [1, 3],
    [0, 3],
  ],
  [
    [4, 3],
    [4, 3],
  ],
];

export const cases: readonly OpCase[] = [
  ...reduced.flatMap(([shape, lists]) =>
    lists.flatMap((axes) => {
      const name = `${shape.join("×") || "scalar"} over ${axes.join(",") || "nothing"}`;
      const made = [opCase(name, sumOp, { axes }, [spec(shape)])];
      if (sizeOf(axes.map((a) => shape[a])) > 0)
        made.push(
          opCase(name, maxOp, { axes }, [spec(shape)], { data: "distinct" }),
          opCase(`${name}, ties`, maxOp, { axes }, [spec(shape)], {
            data: "ties",
            gradient: false,
          }),
        );
      return made;
    }),
  ),
  ...broadcast.map(([from, to]) =>
    opCase(
      `${from.join("×") || "scalar"} to ${to.join("×") || "scalar"}`,
      broadcastToOp,
      { shape: to },
      [spec(from)],
    ),
  ),
  traced("int32", broadcastTo(input(spec([3, 1], "int32")), [2, 3, 5]), { gradient: false }),
  traced("long", broadcastTo(x(33, 1), [2, 33, 31])),
];

export const rules: Rules = [rule(sumOp, summed), rule(maxOp, moved), rule(broadcastToOp, moved)];
