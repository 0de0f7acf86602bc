// Gather and scatterAdd: indices within range, out of range, and repeated.

import { input, spec, type Value, type HostArray } from "@conv/tensor";
import { traced, type OpCase } from "./cases/case.ts";
import {
  applied,
  finite,
  mapped,
  rule,
  sumError,
  type Rule,
  type Rules,
} from "./cases/rounding.ts";
import { scatterAdd, gather, gatherOp, scatterAddOp } from "./gather.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const index = (...shape: number[]): Value => input(spec(shape, "int32"));

export const cases: readonly OpCase[] = [
  ...[
    [1, 1, 7, 5],
    [2, 3, 9, 16],
    [3, 1, 4, 31],
    [2, 5, 1, 6],
    [1, 2, 30, 3],
    [0, 2, 3, 4],
    [2, 3, 4, 0],
  ].flatMap(([b, c, size, count]) => {
    const data = `labels:${size}` as const;
    const name = `${count} of ${b}×${c}×${size}`;
    return [
      traced(name, gather(x(b, c, size), index(b, count)), { data }),
      traced(name, scatterAdd(x(b, c, count), index(b, count), { size: [size] }), { data }),
    ];
  }),
  traced("of nothing", gather(x(2, 3, 0), index(2, 4)), { data: "labels:0" }),
  traced("into nothing", scatterAdd(x(2, 3, 4), index(2, 4), { size: [0] }), { data: "labels:0" }),
  traced("2×3 of planes", gather(x(2, 6, 3, 5), index(2, 2, 3)), { data: "labels:15" }),
  traced("2×3 into planes", scatterAdd(x(2, 6, 2, 3), index(2, 2, 3), { size: [3, 5] }), {
    data: "labels:15",
  }),
  traced("any index", gather(x(1, 2, 5), index(1, 9))),
  traced("any index", scatterAdd(x(1, 2, 9), index(1, 9), { size: [5] })),
  ...(["int32", "uint8", "int8", "float16"] as const).map((dtype) =>
    traced(`of ${dtype}`, gather(input(spec([2, 3, 9], dtype)), index(2, 7)), {
      data: "labels:9",
      gradient: false,
    }),
  ),
];

/** The error of the element that is read. */
const read: Rule = (node, [x, index]) => x.error && applied(node, [x.error, index.value]);

/** A sum where several elements go to one place, a move elsewhere. */
const added: Rule = (node, [x, index]) => {
  const by = (of: HostArray) => applied(node, [of, index.value]);
  const [count, magnitude, carried] = [
    by(mapped(x.value, () => 1)),
    by(finite(x.value)),
    x.error && by(x.error),
  ];
  return mapped(
    magnitude,
    (m, i) => (count.data[i] > 1 ? sumError(m) : 0) + (carried?.data[i] ?? 0),
  );
};

export const rules: Rules = [rule(gatherOp, read), rule(scatterAddOp, added)];
