// NaN and infinities through whole ops, against the host: in every place, on vectors and on single
// numbers, in the forward and the backward pass.

import * as ops from "@conv/ops";
import { createHost, hostArray, input, graphOf, spec, trace, vjp, type Value } from "@conv/tensor";
import { runOnce } from "@conv/testkit";
import { softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

let gpu: GpuBackend;
beforeAll(async () => void (gpu = await createGpu({ gpu: await softwareGpu() })));
afterAll(() => gpu.dispose());

/** Eight rows of four, with each special number in each place. */
const rows = [NaN, Infinity, -Infinity, 0].flatMap((v) =>
  [0, 1, 2, 3].map((at) => [1, 0, 2, -3].with(at, v)),
);
const image = (rank: number) => (x: Value) =>
  ops.reshape(x, [16, 1, ...(rank === 1 ? [4] : [2, 2])]);

const cases: [string, (x: Value) => Value][] = [
  ["relu", ops.relu],
  ["relu6", ops.relu6],
  ["maximum with its mirror", (x) => ops.maximum(x, ops.flip(x, [1]))],
  ["minimum with its mirror", (x) => ops.minimum(x, ops.flip(x, [1]))],
  ["sigmoid", ops.sigmoid],
  ["tanh", ops.tanh],
  ["exp", ops.exp],
  ["log of squares", (x) => ops.log(ops.square(x))],
  ["sqrt", ops.sqrt],
  ["max", (x) => ops.max(x, 1)],
  ["max of columns", (x) => ops.max(x, 0)],
  ["sum", (x) => ops.sum(x, 1)],
  ["softmax", (x) => ops.softmax(x, 1)],
  ["logSoftmax", (x) => ops.logSoftmax(x, 1)],
  ["maxPool", (x) => ops.maxPool(image(1)(x), 3, { stride: 1, padding: 1 })],
  ["maxPool of planes", (x) => ops.maxPool(image(2)(x), 2)],
  ["maxPoolIndices", (x) => ops.maxPoolIndices(image(1)(x), 2, { stride: 1, dilation: 2 })],
  ["avgPool", (x) => ops.avgPool(image(1)(x), 2)],
  ["lpPool of zeros", (x) => ops.lpPool(image(1)(ops.mul(ops.relu(x), 0)), 3, 2)],
  [
    "binaryCrossEntropy of 0 and 1",
    (x) => ops.binaryCrossEntropy(ops.minimum(ops.relu(x), 0), ops.full([16, 4], 1)),
  ],
];

it.each(cases)("%s", async (_, f) => {
  const graph = trace(f, [spec([16, 4])]);
  const [x] = graph.inputs;
  const [y] = graph.outputs;
  const ct = input(y.spec);
  const gradients = y.dtype === "float32" ? vjp([y], [ct], [x], ops.add) : [];
  const whole = graphOf([x, ct], [y, ...gradients.filter((g) => g !== null)]);
  const inputs = [
    hostArray(x.spec, Float64Array.from(rows.flat())),
    hostArray(spec(y.shape), new Float64Array(y.shape.reduce((a, b) => a * b, 1)).fill(1)),
  ];
  const [got, want] = [
    await runOnce(gpu, whole, inputs),
    await runOnce(createHost(), whole, inputs),
  ];
  got.forEach((g, i) => {
    const wrong = [...g.data].flatMap((v, k) => {
      const wanted = want[i].data[k];
      const same =
        Object.is(v, wanted) || Math.abs(v - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted));
      return same ? [] : [`output ${i}, ${k}: got ${v}, want ${wanted}`];
    });
    expect(wrong).toEqual([]);
  });
});
