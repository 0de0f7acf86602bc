// Moves worth testing: every order of axes, blocks at every edge, joins of one to three.

import { input, spec, type Value } from "@conv/tensor";
import { opCase, traced, type OpCase } from "./cases/case.ts";
import { moved, rule, type Rules } from "./cases/rounding.ts";
import {
  concat,
  pad,
  reshape,
  reshapeOp,
  slice,
  transpose,
  transposeOp,
  padOp,
  sliceOp,
  concatOp,
} from "./move.ts";
import { broadcastTo } from "./reduce.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const labels = (...shape: number[]): Value => input(spec(shape, "int32"));

/** All orders of the axes. */
const orders = (axes: readonly number[]): number[][] =>
  axes.length === 0
    ? [[]]
    : axes.flatMap((a, i) => orders(axes.toSpliced(i, 1)).map((rest) => [a, ...rest]));

const named = (shape: readonly number[]) => shape.join("×") || "scalar";

export const cases: readonly OpCase[] = [
  ...(
    [
      [
        [2, 3, 4],
        [6, 4],
      ],
      [[6], [3, 2]],
      [[1], []],
      [[], [1, 1]],
      [
        [2, 3],
        [2, 3],
      ],
      [
        [0, 3],
        [3, 0, 2],
      ],
      [
        [2, 16, 5, 5],
        [2, 400],
      ],
    ] as const
  ).map(([from, to]) =>
    opCase(`${named(from)} to ${named(to)}`, reshapeOp, { shape: to }, [spec(from)]),
  ),
  ...[
    [2, 3],
    [3, 4, 5],
    [2, 3, 1, 5],
  ].flatMap((shape) =>
    orders([...shape.keys()]).map((order) =>
      opCase(`${named(shape)} by ${order.join(",")}`, transposeOp, { order }, [spec(shape)]),
    ),
  ),
  traced("scalar", transpose(x(), [])),
  traced("vector", transpose(x(5))),
  traced("33×17", transpose(x(33, 17))),
  traced("channels last", transpose(x(2, 5, 7, 9), [0, 2, 3, 1])),
  traced("channels first", transpose(x(2, 7, 9, 5), [0, 3, 1, 2])),
  traced("empty", transpose(x(2, 0, 3))),
  traced("int32", transpose(labels(3, 5)), { gradient: false }),
  traced("1d", pad(x(5), [2], [1])),
  traced("2d", pad(x(3, 4), [0, 2], [1, 3])),
  traced("space", pad(x(2, 3, 5, 7), [0, 0, 1, 2], [0, 0, 2, 1])),
  traced("channels", pad(x(2, 3, 5, 5), [0, 1, 0, 0], [0, 2, 0, 0])),
  traced("by nothing", pad(x(3, 4), [0, 0], [0, 0])),
  traced("of nothing", pad(x(0, 3), [2, 0], [1, 0])),
  traced("scalar", pad(x(), [], [])),
  traced("int32", pad(labels(3), [1], [2]), { gradient: false }),
  traced("1d", slice(x(9), [2], [5])),
  traced("2d corner", slice(x(5, 7), [3, 4], [2, 3])),
  traced("space", slice(x(2, 3, 7, 9), [0, 0, 1, 2], [2, 3, 5, 4])),
  traced("channels", slice(x(2, 9, 3, 3), [0, 4, 0, 0], [2, 3, 3, 3])),
  traced("everything", slice(x(3, 4), [0, 0], [3, 4])),
  traced("nothing", slice(x(3, 4), [1, 4], [2, 0])),
  traced("int32", slice(labels(9), [3], [4]), { gradient: false }),
  traced("one", concat([x(3, 4)])),
  traced("two along 0", concat([x(2, 3), x(4, 3)])),
  traced("two along 1", concat([x(3, 2), x(3, 5)], 1)),
  traced("three along channels", concat([x(2, 3, 5, 5), x(2, 1, 5, 5), x(2, 4, 5, 5)], 1)),
  traced("three along the last axis", concat([x(2, 3, 1), x(2, 3, 7), x(2, 3, 2)], -1)),
  traced("with nothing", concat([x(0, 3), x(2, 3)])),
  traced("int32", concat([labels(3), labels(2)]), { gradient: false }),
  // Elements of one and two bytes, at offsets that are no multiple of four.
  ...(["uint8", "int8", "float16", "bfloat16"] as const).flatMap((dtype) => {
    const y = (...shape: number[]): Value => input(spec(shape, dtype));
    const extra = { gradient: false } as const;
    return [
      traced(`${dtype} 5×7×3`, transpose(y(5, 7, 3), [2, 0, 1]), extra),
      traced(`${dtype} 3 to 2×5×3`, broadcastTo(y(3), [2, 5, 3]), extra),
      traced(`${dtype} 1×3 of 3×5`, slice(y(3, 5), [1, 1], [1, 3]), extra),
      traced(`${dtype} 3, 1 and 2 rows of 3`, concat([y(3, 3), y(1, 3), y(2, 3)], 0), extra),
      traced(`${dtype} 2 and 3 columns`, concat([y(4, 2), y(4, 3)], 1), extra),
      traced(`${dtype} 2×3 by 1,2`, pad(y(2, 3), [1, 0], [0, 2]), extra),
      traced(`${dtype} 6 to 2×3`, reshape(y(6), [2, 3]), extra),
    ];
  }),
];

export const rules: Rules = [
  rule(reshapeOp, moved),
  rule(transposeOp, moved),
  rule(padOp, moved),
  rule(sliceOp, moved),
  rule(concatOp, moved),
];
