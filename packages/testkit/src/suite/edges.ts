// The edges: graphs that do nothing, tensors of nothing, and numbers that are none or too large.

import {
  add,
  conv,
  convGeometry,
  convGradWeightOp,
  div,
  exp,
  full,
  log,
  logSoftmax,
  matmul,
  maximum,
  maxPool,
  mul,
  neg,
  random,
  relu,
  reshape,
  sigmoid,
  softmax,
  sqrt,
  sub,
  sum,
  tanh,
} from "@conv/ops";
import {
  graphOf,
  hostArray,
  input,
  node,
  spec,
  trace,
  UnsupportedError,
  type Op,
  type Value,
} from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { check, runOnce } from "../check.ts";
import { graphOfShapes, inputsOf, share, specsOf, type Device } from "./device.ts";

type Edge = [name: string, shapes: number[][], fn: (...xs: Value[]) => Value | readonly Value[]];

const shapesOfNothing: readonly Edge[] = [
  ["relu of nothing", [[0]], (x) => relu(x)],
  [
    "a sum of nothing and one",
    [
      [0, 3],
      [1, 3],
    ],
    (a, b) => add(a, b),
  ],
  ["sum over an empty axis", [[3, 0, 2]], (x) => [sum(x, 1), sum(x)]],
  [
    "conv of an empty batch",
    [
      [0, 3, 5, 5],
      [4, 3, 3, 3],
    ],
    (x, w) => relu(conv(x, w, { padding: 1 })),
  ],
  [
    "gradient to the weight from an empty batch",
    [
      [0, 3, 5, 5],
      [0, 4, 3, 3],
    ],
    (x, dy) => node(convGradWeightOp, convGeometry(x.spec, spec([4, 3, 3, 3])), [dy, x]),
  ],
  [
    "matrix product over no k",
    [
      [3, 0],
      [0, 4],
    ],
    (a, b) => matmul(a, b),
  ],
  [
    "matrix product of no rows",
    [
      [0, 5],
      [5, 4],
    ],
    (a, b) => matmul(a, b),
  ],
  ["pool of an empty batch", [[0, 2, 4, 4]], (x) => maxPool(x, 2)],
  ["softmax of no rows", [[0, 10]], (x) => softmax(x, 1)],
  [
    "nothing beside something",
    [
      [0, 4],
      [2, 4],
    ],
    (a, b) => [mul(a, 2), mul(b, 2)],
  ],
];

const oddGraphs: readonly Edge[] = [
  ["no node at all", [[3, 4]], (x) => x],
  ["an input as output, among others", [[5], [5]], (a, b) => [a, add(a, b), b]],
  ["an input twice as output", [[7]], (x) => [x, x]],
  ["one value twice as output", [[3, 5]], (x) => ((y) => [y, y])(tanh(x))],
  [
    "one value twice as output, with a step after",
    [[3, 5]],
    (x) => ((y) => [y, relu(y), y])(neg(x)),
  ],
  ["an unused input", [[4], [1000], [4]], (a, _, c) => sub(a, c)],
  ["nothing but unused inputs", [[4]], () => full([2, 3], 0.1)],
  ["no input", [], () => [full([], 3), full([7], -0.25)]],
  ["no output", [[3]], () => []],
  // prettier-ignore
  ["strides beyond the input", [[1, 1, 3, 3], [1, 1, 2, 2]], (x, w) => [2 ** 20, 2 ** 31, Number.MAX_SAFE_INTEGER].map((stride) => conv(x, w, { stride }))],
  // prettier-ignore
  ["strides beyond the input, channel by channel", [[2, 4, 3, 3], [4, 1, 2, 2]], (x, w) => conv(x, w, { stride: 2 ** 40, groups: 4 })],
  [
    "pools with strides beyond the input",
    [[1, 2, 3, 3]],
    (x) => [maxPool(x, 2, { stride: 2 ** 40 }), maxPool(x, 2, { stride: 2 ** 24 })],
  ],
  // prettier-ignore
  ["few outputs of a long row", [[1, 2, 1, 30_000], [3, 2, 1, 3]], (x, w) => conv(x, w, { stride: [1, 9000] })],
  // prettier-ignore
  ["few outputs of a long row, channel by channel", [[1, 2, 1, 30_000], [2, 1, 1, 3]], (x, w) => conv(x, w, { stride: [1, 9000], groups: 2 })],
  ["scalars", [[], []], (a, b) => [add(a, b), mul(a, b)]],
  [
    "a very long chain",
    [[5]],
    (x) =>
      Array.from({ length: 300 }).reduce<Value>(
        (y, _, i) => (i % 3 ? mul(y, 0.99) : sub(y, 0.01)),
        x,
      ),
  ],
  ["a wide graph", [[5]], (x) => Array.from({ length: 40 }, (_, i) => mul(x, i))],
];

const A = [-Infinity, -1e30, -200, -1, -0, 0, 1e-30, 1, 200, 1e30, Infinity, NaN];

/**
 * Functions of one element at numbers that are hard; left out (null) is what devices are free in.
 */
const hard: readonly [string, (x: Value) => Value, (number | null)[]][] = [
  ["exp", exp, [0, 0, 0, Math.exp(-1), 1, 1, 1, Math.E, Infinity, Infinity, Infinity, NaN]],
  [
    "log",
    log,
    [
      NaN,
      NaN,
      NaN,
      NaN,
      -Infinity,
      -Infinity,
      Math.log(1e-30),
      0,
      Math.log(200),
      Math.log(1e30),
      Infinity,
      NaN,
    ],
  ],
  ["sqrt", sqrt, [NaN, NaN, NaN, NaN, 0, 0, 1e-15, 1, Math.sqrt(200), 1e15, Infinity, NaN]],
  ["tanh", tanh, [-1, -1, -1, Math.tanh(-1), 0, 0, null, Math.tanh(1), 1, 1, 1, NaN]],
  [
    "sigmoid",
    sigmoid,
    [0, 0, 0, 1 / (1 + Math.E), 0.5, 0.5, 0.5, 1 / (1 + 1 / Math.E), 1, 1, 1, NaN],
  ],
  ["relu", relu, [0, 0, 0, 0, 0, 0, 1e-30, 1, 200, 1e30, Infinity, null]],
  [
    "maximum with 0.5",
    (x) => maximum(x, 0.5),
    [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 200, 1e30, Infinity, null],
  ],
  ["neg", neg, [Infinity, 1e30, 200, 1, 0, 0, -1e-30, -1, -200, -1e30, -Infinity, NaN]],
  [
    "a product beyond the largest number",
    (x) => mul(x, 1e30),
    [-Infinity, -Infinity, -2e32, -1e30, 0, 0, 1, 1e30, 2e32, Infinity, Infinity, NaN],
  ],
  ["a difference of equals", (x) => sub(x, x), [NaN, 0, 0, 0, 0, 0, 0, 0, 0, 0, NaN, NaN]],
  [
    "a quotient",
    (x) => div(full([A.length], 1), x),
    [0, -1e-30, -1 / 200, -1, null, Infinity, 1e30, 1, 1 / 200, 1e-30, 0, NaN],
  ],
];

/** Registers the edge tests. */
export function edgeSuite(device: Device): void {
  describe("edges", () => {
    for (const [name, shapes, fn] of share(
      device,
      [...shapesOfNothing, ...oddGraphs],
      () => "edges",
    )) {
      const graph = graphOfShapes(shapes, fn);
      it(name, () => check(device.backend, graph, inputsOf(specsOf(graph), name)));
    }

    for (const [name, f, want] of share(device, hard, () => "hard numbers"))
      it(`${name} of hard numbers`, async () => {
        const graph = graphOfShapes([[A.length]], (x) => f(x));
        const [got] = await runOnce(device.backend, graph, [
          hostArray(spec([A.length]), Float64Array.from(A)),
        ]);
        const wrong = want.flatMap((w, i) => {
          const g = got.data[i];
          const near =
            w === null || Object.is(g, w) || Math.abs(g - w) <= 1e-6 * Math.max(Math.abs(w), 1e-36);
          return near ? [] : [`${name} of ${A[i]}: got ${g}, want ${w}`];
        });
        expect(wrong).toEqual([]);
      });

    it("softmax of large and of equal logits is finite", async () => {
      const rows = [
        [1000, 999, -1000],
        [-1e30, 0, 1e30],
        [-5000, -5000, -5000],
      ];
      const graph = graphOfShapes([[3, 3]], (x) => [softmax(x), logSoftmax(x)]);
      await check(device.backend, graph, [
        hostArray(spec([3, 3]), Float64Array.from(rows.flat(), Math.fround)),
      ]);
    });

    it("NaN spreads as far as the sums that it is in, and no further", async () => {
      const graph = graphOfShapes([[5, 9], [9]], (x, b) => [add(x, b), sum(x, 1), sum(x, 0)]);
      const [x, b] = inputsOf(specsOf(graph), "NaN");
      x.data[2 * 9 + 4] = NaN;
      const [y, rows, columns] = await runOnce(device.backend, graph, [x, b]);
      const nan = (data: Float64Array) => [...data.keys()].filter((i) => Number.isNaN(data[i]));
      expect([nan(y.data), nan(rows.data), nan(columns.data)]).toEqual([[22], [2], [4]]);
    });

    it("a value listed as input is taken as given, whatever made it", async () => {
      const x = input(spec([2, 6]));
      const reshaped = reshape(x, [3, 4]);
      const graph = graphOf([x, reshaped], [add(relu(reshaped), 1), sum(x, 1)]);
      await check(device.backend, graph, inputsOf(specsOf(graph), "given"));
    });

    it("labels and seeds are int32 to the last bit", async () => {
      const s = spec([4], "int32");
      const x = input(s);
      const values = hostArray(s, Float64Array.of(-(2 ** 31), 2 ** 31 - 1, -1, 16777217));
      const [same] = await runOnce(device.backend, graphOf([x], [x]), [values]);
      expect([...same.data]).toEqual([...values.data]);
      const seed = spec([2], "int32");
      for (const at of [
        [0, 0],
        [-1, 1],
        [2 ** 31 - 1, -(2 ** 31)],
      ])
        await check(
          device.backend,
          trace((v) => random(v, [3, 37]), [seed]),
          [hostArray(seed, Float64Array.from(at))],
        );
    });

    it("an op that nobody knows is carried out by its reference or refused by its name", async () => {
      const graph = graphOfShapes([[3]], (x) => add(node(riddleOp, {}, [x])[0], x));
      const [x] = inputsOf(specsOf(graph), "riddle");
      const run = runOnce(device.backend, graph, [x]);
      const refused = await run.then(
        ([y]) => void expect([...y.data]).toEqual([...x.data].map((v) => Math.fround(42 + v))),
        (error: unknown) => error,
      );
      if (refused === undefined) return;
      expect(refused).toBeInstanceOf(UnsupportedError);
      expect(String(refused)).toContain("riddle");
      expect(String(refused)).toContain("3");
    });
  });
}

const riddleOp: Op<object> = {
  name: "riddle",
  infer: ([x]) => [x],
  reference: ([x]) => [
    hostArray(
      x,
      x.data.map(() => 42),
    ),
  ],
  vjp: () => [null],
  cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
};
