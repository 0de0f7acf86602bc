// Long sums: every kernel that sums keeps to its bound for terms of one sign, with heavy tails,
// with spikes and at both ends of float32.

import {
  avgPool,
  conv,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  logSoftmax,
  matmul,
  mean,
  scatterAdd,
  softmax,
  sum,
  type Precision,
} from "@conv/ops";
import {
  hostArray,
  node,
  sizeOf,
  spec,
  trace,
  type Graph,
  type HostArray,
  type Value,
} from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { check, runOnce } from "../check.ts";
import { drawAll } from "../data.ts";
import { graphOfShapes, share, specsOf, type Device } from "./device.ts";

type Long = [name: string, shapes: number[][], fn: (...xs: Value[]) => Value | readonly Value[]];

function gradWeight(x: number[], w: number[], groups = 1, precision?: Precision): Long {
  const g = convGeometry(spec(x), spec(w), { groups, ...(precision && { precision }) });
  const name = `${groups > 1 ? "depthwise " : ""}gradient to the weight${precision ? `, ${precision}` : ""}`;
  return [name, [[g.n, g.oc, ...g.output], x], (dy, v) => node(convGradWeightOp, g, [dy, v])];
}

/** Sums of products; their second operand may be small where the first is large. */
const products: readonly Long[] = [
  // prettier-ignore
  ["few rows of a matrix product", [[2, 12_000], [12_000, 8]], (a, b) => matmul(a, b)],
  // prettier-ignore
  ["few columns, along k", [[8, 12_000], [2, 12_000]], (a, b) => matmul(a, b, { transposeB: true })],
  ["matrix product", [[14, 3000], [3000, 16]], (a, b) => matmul(a, b)], // prettier-ignore
  // prettier-ignore
  ["convolution to few channels", [[1, 1000, 3, 15], [2, 1000, 3, 3]], (x, w) => conv(x, w, { precision: "exact" })],
  // prettier-ignore
  ["convolution to many channels", [[1, 300, 3, 15], [20, 300, 3, 3]], (x, w) => conv(x, w, { precision: "exact" })],
  // prettier-ignore
  ["convolution at few places", [[1, 1200, 3, 3], [16, 1200, 3, 3]], (x, w) => conv(x, w, { precision: "exact" })],
  // prettier-ignore
  ["kernel as large as the input", [[1, 1, 60, 90], [4, 1, 60, 60]], (x, w) => conv(x, w, { precision: "exact" })],
  [
    "gradient to the input",
    [
      [1, 1000, 3, 15],
      [1000, 2, 3, 3],
    ],
    (dy, w) =>
      node(
        convGradInputOp,
        convGeometry(spec([1, 2, 5, 17]), spec([1000, 2, 3, 3]), { precision: "exact" }),
        [dy, w],
      ),
  ],
  gradWeight([2, 1, 102, 102], [2, 1, 3, 3], 1, "exact"),
  gradWeight([2, 2, 102, 102], [2, 1, 3, 3], 2),
];

const others: readonly Long[] = [
  gradWeight([2, 2, 102, 102], [2, 2, 3, 3]),
  // prettier-ignore
  ["convolution by any algorithm", [[1, 300, 8, 8], [4, 300, 3, 3]], (x, w) => conv(x, w)],
  ["sum of all", [[300_000]], (x) => [sum(x), mean(x)]],
  ["sums over ends", [[600, 5, 40]], (x) => [sum(x, [0, 2]), mean(x, [0, 1])]],
  ["softmax", [[2, 20_000]], (x) => [softmax(x, 1), logSoftmax(x, 1)]],
  ["softmax along the first axis", [[8000, 3]], (x) => [softmax(x, 0), logSoftmax(x, 0)]],
  ["average pool", [[1, 1, 90, 100]], (x) => avgPool(x, 60, { stride: 20 })],
];

/** Numbers of each kind, made of uniform ones from 0 to 1. */
const kinds: readonly [string, (u: number, i: number) => number][] = [
  ["of one sign", (u) => u],
  ["with heavy tails", (u, i) => (i % 2 ? 1 : -1) * (u + 1e-3) ** -2],
  ["with spikes", (u, i) => (i % 997 === 3 ? 1e6 * u : 1e-3 * u)],
];

/** Inputs of a graph: input `i` times `scales[i]`. */
const inputsOf = (
  graph: Graph,
  kind: (u: number, i: number) => number,
  scales: readonly number[] = [],
): HostArray[] =>
  drawAll(specsOf(graph), "positive", "sums").map((x, at) => ({
    ...x,
    data: x.data.map((v, i) => Math.fround(kind((v - 0.5) / 1.5, i) * (scales[at] ?? 1))),
  }));

/** Registers the tests of long sums. */
export function sumSuite(device: Device): void {
  describe("long sums", () => {
    for (const [name, shapes, fn] of share(device, [...products, ...others], () => "sums"))
      it(name, async () => {
        const graph = graphOfShapes(shapes, fn);
        for (const [, kind] of kinds) await check(device.backend, graph, inputsOf(graph, kind));
      });

    for (const [name, shapes, fn] of share(device, products, () => "sums of products"))
      it(`${name}, at both ends of the range`, async () => {
        const graph = graphOfShapes(shapes, fn);
        await check(
          device.backend,
          graph,
          // no number below 2⁻¹²⁶, which devices may flush
          inputsOf(graph, (u) => (1 + u) / 2, [1e37, 1e-37]),
        );
      });

    it("elements that all meet in a few places", async () => {
      const count = 20_000;
      const [x, places] = [spec([1, 1, count]), spec([1, count], "int32")];
      const graph = trace((v, at) => scatterAdd(v, at, { size: [3] }), [x, places]);
      const at = hostArray(
        places,
        Float64Array.from({ length: count }, (_, i) => i % 3),
      );
      for (const [, kind] of kinds)
        await check(device.backend, graph, [inputsOf(graph, kind)[0], at]);
    });

    it("whole numbers give whole numbers where precision is exact", async () => {
      const graph = graphOfShapes(
        [
          [1, 4, 40, 40],
          [4, 4, 5, 5],
        ],
        (x, w) => conv(x, w, { padding: 2, precision: "exact" }),
      );
      const [x, w] = specsOf(graph).map((s) =>
        hostArray(s, new Float64Array(sizeOf(s.shape)).fill(1)),
      );
      x.data.forEach((_, i) => (x.data[i] = (i * 37) % 256));
      const [y] = await runOnce(device.backend, graph, [x, w]);
      expect([...y.data].every(Number.isInteger)).toBe(true);
    });
  });
}
