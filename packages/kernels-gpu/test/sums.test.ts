// Long sums of one sign, and of one repeated number, where plain summation drifts: every kernel
// that sums stays within the common bound of the conformance kit.

import {
  avgPool,
  conv,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  grad,
  matmul,
  resample,
  scatterAdd,
  softmax,
  sum,
} from "@conv/ops";
import {
  hostArray,
  node,
  spec,
  trace,
  type Graph,
  type HostArray,
  type Spec,
  type Value,
} from "@conv/tensor";
import { check } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

let [software, hardware]: GpuBackend[] = [];
beforeAll(async () => {
  const gpu = await softwareGpu();
  [software, hardware] = await Promise.all(
    [gpu, asHardware(gpu)].map((g) => createGpu({ gpu: g })),
  );
});
afterAll(() => [software, hardware].forEach((backend) => backend.dispose()));

/** Numbers from 0 to 1, or one number everywhere. */
const fillings: [string, (i: number) => number][] = [
  ["of one sign", (i) => Math.fround(((i * 2654435761) % 2 ** 32) / 2 ** 32)],
  ["of one number", () => Math.fround(0.1)],
];
const filled = (s: Spec, f: (i: number) => number, i: number): HostArray => {
  const x = hostArray(s);
  return { ...x, data: x.data.map((_, k) => (s.dtype === "int32" ? 0 : f(k * 7 + i))) };
};

const f32 = (...shape: number[]) => spec(shape);
type Case = [kernel: string, inputs: Spec[], fn: (...xs: Value[]) => Value];
const weight = convGeometry(spec([2, 2, 96, 97]), spec([3, 2, 3, 3]), { padding: 1 });
const depthwise = convGeometry(spec([2, 3, 80, 84]), spec([3, 1, 3, 3]), { groups: 3, padding: 1 });
const strided = convGeometry(spec([1, 5, 9, 9]), spec([700, 5, 3, 3]), { stride: 2, padding: 1 });
const cases: Case[] = [
  ["direct", [f32(1, 610, 5, 5), f32(3, 610, 3, 3)], (x, w) => conv(x, w, { padding: 1 })],
  [
    "direct",
    [f32(1, 700, 5, 5), f32(700, 5, 3, 3)],
    (y, w) => node(convGradInputOp, strided, [y, w])[0],
  ],
  [
    "directGradWeight",
    [f32(2, 3, 96, 97), f32(2, 2, 96, 97)],
    (y, x) => node(convGradWeightOp, weight, [y, x])[0],
  ],
  ["directMatmul", [f32(2, 25_088), f32(25_088, 2)], (a, b) => matmul(a, b)],
  ["igemm", [f32(1, 610, 5, 5), f32(3, 610, 3, 3)], (x, w) => conv(x, w, { padding: 1 })],
  [
    "gradWeight",
    [f32(2, 3, 96, 97), f32(2, 2, 96, 97)],
    (y, x) => node(convGradWeightOp, weight, [y, x])[0],
  ],
  [
    "depthwiseGradWeight",
    [f32(2, 3, 80, 84), f32(2, 3, 80, 84)],
    (y, x) => node(convGradWeightOp, depthwise, [y, x])[0],
  ],
  ["matmul", [f32(2, 25_088), f32(25_088, 2)], (a, b) => matmul(a, b)],
  ["dotMatmul", [f32(1, 100_000), f32(100_000, 2)], (a, b) => matmul(a, b)],
  [
    "dotGradWeight",
    [f32(2, 3, 96, 97), f32(2, 2, 96, 97)],
    (y, x) => node(convGradWeightOp, weight, [y, x])[0],
  ],
  ["reduce", [f32(300_007)], (x) => sum(x)],
  ["reduce", [f32(70_001, 3)], (x) => sum(x, 0)],
  ["pool", [f32(1, 1, 150, 151)], (x) => avgPool(x, [149, 150], { stride: 1 })],
  ["pool", [f32(1, 2, 123, 124)], (x) => avgPool(x, [123, 124])],
  ["poolGrad", [f32(1, 1, 60, 60)], (x) => grad(sum(avgPool(x, 40, { stride: 1 })), [x])[0]],
  ["softmax", [f32(1, 100_000)], (x) => softmax(x)],
  [
    "resample",
    [f32(2000)],
    (x) => resample(x, [Array.from({ length: 2000 }, (_, i) => [i, 0.3] as const)]),
  ],
  [
    "gather",
    [f32(1, 1, 9000), spec([1, 9000], "int32")],
    (x, index) => scatterAdd(x, index, { size: [2] }),
  ],
];

/** Kernels of threads that work alone are made for software adapters, all others for hardware. */
const adapterOf = (kernel: string) => (kernel.startsWith("direct") ? software : hardware);

describe.each(fillings)("%s", (_, f) => {
  it.each(cases)("%s of %j", { timeout: 60_000 }, async (kernel, inputs, fn) => {
    const graph: Graph = trace(fn, inputs);
    const backend = adapterOf(kernel);
    const compile = (g: Graph) => backend.compile(g, { prefer: [kernel] });
    const program = compile(graph);
    expect(program.steps.map((step) => step.kernel)).toContain(kernel);
    program.dispose();
    // prettier-ignore
    await check({ ...backend, compile }, graph, inputs.map((s, i) => filled(s, f, i)));
  });
});
