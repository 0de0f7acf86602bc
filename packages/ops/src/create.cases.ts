// Constants, random numbers and one-hot rows worth testing.

import { input, spec } from "@conv/tensor";
import { opCase, traced, type OpCase } from "./cases/case.ts";
import { exact, mapped, rule, type Rules } from "./cases/rounding.ts";
import { fullOp, oneHot, random, randomOp, oneHotOp } from "./create.ts";

const seed = input(spec([2], "int32"));
const shapes = [[], [1], [7], [2, 3, 5], [0, 3], [1021]];

export const cases: readonly OpCase[] = [
  ...shapes.map((shape) =>
    opCase(shape.join("×") || "scalar", fullOp, { shape, value: -1.25 }, [], { gradient: false }),
  ),
  ...shapes.map((shape) =>
    traced(shape.join("×") || "scalar", random(seed, shape), { gradient: false }),
  ),
  ...[[], [5], [3, 4], [0], [64]].map((shape) =>
    traced(`${shape.join("×") || "scalar"} of 10`, oneHot(input(spec(shape, "int32")), 10), {
      data: "labels:10",
      gradient: false,
    }),
  ),
  traced("7 of 1", oneHot(input(spec([7], "int32")), 1), { data: "labels:1", gradient: false }),
  traced("any integer", oneHot(input(spec([9], "int32")), 3), { gradient: false }),
];

export const rules: Rules = [
  rule(fullOp, (_, __, y) => mapped(y, (v) => Math.abs(v - Math.fround(v)))),
  rule(randomOp, exact),
  rule(oneHotOp, exact),
];
