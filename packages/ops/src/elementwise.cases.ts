// Elementwise ops worth testing: every named function, every way to broadcast, every length of a
// tail, and an expression with all functions.

import { input, spec, type Value } from "@conv/tensor";
import { traced, type CaseData, type OpCase } from "./cases/case.ts";
import * as ops from "./elementwise.ts";

const x = (...shape: number[]): Value => input(spec(shape));

const unary: [string, (x: Value) => Value, CaseData?][] = [
  ["", ops.neg],
  ["", ops.abs, "distinct"],
  ["", ops.square],
  ["", ops.sqrt, "positive"],
  ["", ops.exp],
  ["", ops.expm1],
  ["", ops.log, "positive"],
  ["", ops.log1p, "positive"],
  ["", ops.relu, "distinct"],
  ["", ops.relu6, "distinct"],
  ["", ops.leakyRelu, "distinct"],
  ["", ops.sigmoid],
  ["", ops.tanh],
  ["", ops.floor],
  ["", ops.round],
  ["", ops.sin],
  ["", ops.cos],
  ["to 3, ", (v) => ops.pow(v, 3)],
  ["to -1, ", (v) => ops.pow(v, -1), "positive"],
  ["to 7, ", (v) => ops.pow(v, 7)],
  ["to 2.5, ", (v) => ops.pow(v, 2.5), "positive"],
  ["", ops.scaledTanh],
  ["", ops.elu, "distinct"],
  ["alpha 0.5, ", (v) => ops.elu(v, 0.5), "distinct"],
  ["", ops.selu, "distinct"],
  ["", ops.silu],
  ["", ops.softplus],
  ["beta 3, ", (v) => ops.softplus(v, 3)],
  ["", ops.mish],
  ["", ops.hardSigmoid, "distinct"],
  ["", ops.hardSwish, "distinct"],
  ["", ops.erf],
  ["", (v) => ops.gelu(v)],
  ["", (v) => ops.gelu(v, "tanh")],
  ["", (v) => ops.affine(v, -1.5, 0.25)],
  ["with a number, ", (v) => ops.add(v, 2.5)],
  ["with a number, ", (v) => ops.sub(v, 2.5)],
  ["with a number, ", (v) => ops.mul(v, -2.5)],
  ["with a number, ", (v) => ops.div(v, 3)],
  ["with a number, ", (v) => ops.maximum(v, 0.5), "distinct"],
  ["with a number, ", (v) => ops.minimum(v, 0.5), "distinct"],
];

const binary: [(a: Value, b: Value) => Value, CaseData?][] = [
  [ops.add],
  [ops.sub],
  [ops.mul],
  [ops.div, "positive"],
  [ops.maximum, "distinct"],
  [ops.minimum, "distinct"],
  [ops.prelu, "distinct"],
  [ops.pow, "positive"],
];

const broadcasts: [number[], number[]][] = [
  [[], []],
  [[], [2, 3]],
  [[2, 3], []],
  [[1], [5]],
  [[5], [1]],
  [[2, 3, 4], [4]],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 3, 4],
    [2, 1, 1],
  ],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [
    [3, 1],
    [2, 1, 4],
  ],
  [
    [1, 6, 1, 1],
    [2, 6, 5, 7],
  ],
  [
    [2, 6, 5, 7],
    [1, 6, 1, 1],
  ],
  [
    [2, 6, 5, 7],
    [2, 1, 5, 7],
  ],
  [
    [2, 5, 1, 1],
    [2, 5, 3, 3],
  ],
  [
    [2, 1, 3, 1, 2],
    [4, 1, 3, 1],
  ],
  [[0, 3], [3]],
  [
    [1, 3],
    [0, 3],
  ],
];

/** Every function of the algebra once, over three inputs. */
const everything = (a: Value, b: Value, c: Value): Value =>
  ops.map(
    "everything",
    [
      "select",
      ["gt", "a", "b"],
      ["add", ["sqrt", ["abs", ["mul", "a", "c"]]], ["exp", ["neg", ["max", "a", "b"]]]],
      [
        "sub",
        ["div", ["tanh", "b"], ["add", 2, ["abs", "c"]]],
        ["log", ["add", 1, ["abs", ["min", "a", "c"]]]],
      ],
    ],
    [a, b, c],
  );

export const cases: readonly OpCase[] = [
  ...unary.flatMap(([how, f, data]) => [
    traced(`${how}3×7`, f(x(3, 7)), { data }),
    traced(`${how}4×3×33`, f(x(4, 3, 33)), { data }),
    ...(data === "distinct"
      ? [traced(`${how}at corners`, f(x(5, 9)), { data: "ties", gradient: false })]
      : []),
  ]),
  ...[
    ops.exp,
    ops.expm1,
    ops.sigmoid,
    ops.tanh,
    ops.scaledTanh,
    ops.elu,
    ops.selu,
    ops.silu,
    ops.softplus,
    ops.mish,
    ops.erf,
    ops.gelu,
    ops.sin,
    ops.cos,
    ops.round,
  ].map((f: (v: Value) => Value) =>
    traced("far out", f(x(257)), { data: "wide", gradient: false }),
  ),
  ...[0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 31, 1000].flatMap((n) => [
    traced(`tail ${n}`, ops.relu(x(n)), { data: "distinct" }),
    traced(`tail ${n}`, ops.mul(x(n), x(n))),
  ]),
  ...binary.flatMap(([f, data]) =>
    broadcasts.map(([a, b]) =>
      traced(`${a.join("×") || "scalar"} with ${b.join("×") || "scalar"}`, f(x(...a), x(...b)), {
        data,
      }),
    ),
  ),
  ...[ops.maximum, ops.minimum].map((f) =>
    traced("at ties", f(x(5, 9), x(9)), { data: "ties", gradient: false }),
  ),
  traced("2×3×5", everything(x(2, 3, 5), x(3, 1), x(5)), { data: "distinct" }),
  traced("no broadcasting", everything(x(45), x(45), x(45)), { data: "distinct" }),
];
