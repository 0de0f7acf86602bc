// Softmax along every axis, over one class and many, far from zero, and of nothing.

import { spec } from "@conv/tensor";
import { opCase, type OpCase } from "./case.ts";
import { logSoftmaxOp, softmaxOp } from "./softmax.ts";

const shapes: [number[], number][] = [
  [[10], 0],
  [[5, 1], 1],
  [[7, 10], 1],
  [[7, 10], 0],
  [[2, 3, 5], 0],
  [[2, 3, 5], 1],
  [[2, 3, 5], 2],
  [[2, 21, 3, 3], 1],
  [[3, 257], 1],
  [[64, 10], 1],
  [[0, 10], 1],
  [[3, 0], 1],
];

export const cases: readonly OpCase[] = [softmaxOp, logSoftmaxOp].flatMap((op) => [
  ...shapes.map(([shape, axis]) =>
    opCase(`${shape.join("×")} along ${axis}`, op, { axis }, [spec(shape)]),
  ),
  opCase("far out", op, { axis: 1 }, [spec([5, 9])], { data: "wide", gradient: false }),
  opCase("at ties", op, { axis: 1 }, [spec([5, 9])], { data: "ties" }),
]);
