// Fast algorithms at the ends of the range of float32: what their transforms cannot hold is summed
// plainly.

import {
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  relu,
  add,
  type ConvOptions,
} from "@conv/ops";
import { hostArray, node, sizeOf, spec, trace, type HostArray } from "@conv/tensor";
import { check, drawAll } from "@conv/testkit";
import { describe, expect, it } from "vitest";
import { createCpu } from "../src/index.ts";

const kernels: [
  kernel: string,
  op: "conv" | "input" | "weight",
  x: number[],
  w: number[],
  options: ConvOptions,
][] = [
  ["winograd2d4", "conv", [1, 5, 15, 14], [9, 5, 3, 3], { padding: 1 }],
  ["winograd2d6", "conv", [2, 4, 13, 22], [6, 2, 3, 3], { padding: 2, dilation: 2, groups: 2 }],
  ["winograd2d6", "conv", [1, 3, 23, 22], [5, 3, 5, 5], { stride: 2, padding: 2 }],
  ["winograd2d8", "conv", [1, 3, 20, 22], [5, 3, 7, 7], { padding: 3 }],
  ["winograd1d6", "conv", [1, 3, 40], [5, 3, 3], {}],
  ["winograd2d6", "conv", [1, 3, 3, 12, 12], [5, 3, 2, 3, 3], {}],
  ["winograd2d6", "input", [1, 4, 13, 13], [7, 4, 3, 3], { padding: 1 }],
  ["fft", "conv", [1, 3, 20, 22], [5, 3, 9, 7], { padding: 4 }],
  ["fft", "conv", [2, 6, 40, 22], [6, 1, 9, 9], { padding: 4, groups: 6 }],
  ["fft", "conv", [1, 4, 150], [6, 2, 16], { groups: 2 }],
  ["fft", "input", [1, 3, 20, 22], [5, 3, 9, 7], {}],
  ["fft", "input", [1, 6, 20, 22], [6, 1, 7, 9], { padding: 3, groups: 6 }],
  ["winogradGradWeight2d6", "weight", [2, 7, 15, 14], [9, 7, 3, 3], { padding: 1 }],
  [
    "winogradGradWeight2d6",
    "weight",
    [1, 4, 3, 13, 14],
    [6, 2, 2, 3, 3],
    { groups: 2, dilation: [1, 2, 2] },
  ],
  ["winogradGradWeight1d6", "weight", [2, 3, 40], [5, 3, 3], { padding: 1 }],
];

const scaled = (x: HostArray, by: number): HostArray => ({
  ...x,
  data: x.data.map((v) => Math.fround(v * by)),
});
const spiked = (x: HostArray, at: number, value: number): HostArray => ({
  ...x,
  data: x.data.with(at % x.data.length, value),
});

describe.each(kernels)("%s of %s, %j with %j, %j", (kernel, of, x, w, options) => {
  const g = convGeometry(spec(x), spec(w), options);
  const y = [g.n, g.oc, ...g.output];
  const [op, a, b, result] =
    of === "conv"
      ? ([convOp, x, w, y] as const)
      : of === "input"
        ? ([convGradInputOp, y, w, x] as const)
        : ([convGradWeightOp, y, x, w] as const);
  const graph = trace((p, q) => node(op, g, [p, q]), [spec(a), spec(b)]);
  const residual = trace(
    (p, q, r) => relu(add(node(op, g, [p, q])[0], r)),
    [spec(a), spec(b), spec([...result])],
  );
  const [p, q, r] = drawAll(
    [a, b, result].map((shape) => spec([...shape])),
    "normal",
    kernel,
  );

  it("overflows, NaN, infinities and spikes stay where they belong", async () => {
    const cpu = await createCpu({ threads: 2, prefer: [kernel] });
    expect(cpu.compile(graph).steps.map((s) => s.kernel)).toEqual([kernel]);
    const runs = [
      [scaled(p, 1e37), scaled(q, 1e-37)],
      [scaled(p, 1e34), scaled(q, 1e-33)],
      [scaled(p, 1e19), scaled(q, 1e17)],
      ...[NaN, Infinity, -Infinity, 3e38, 1e6].map((v, i) => [
        spiked(scaled(p, 1e-3), 37 * i + 5, v),
        q,
      ]),
    ];
    await check(cpu, graph, ...runs);
    await check(cpu, residual, ...runs.slice(0, 6).map((run) => [...run, r]));
    cpu.dispose();
  });
});

it("only the outputs that see a NaN are NaN", async () => {
  const g = convGeometry(spec([1, 1, 24, 24]), spec([1, 1, 3, 3]), { padding: 1 });
  const cpu = await createCpu({ threads: 1, prefer: ["winograd2d6"] });
  const program = cpu.compile(
    trace((x, w) => node(convOp, g, [x, w]), [spec([1, 1, 24, 24]), spec([1, 1, 3, 3])]),
  );
  const values = [hostArray(spec([1, 1, 24, 24])), hostArray(spec([1, 1, 3, 3]))].map((v, i) =>
    Float32Array.from({ length: sizeOf(v.shape) }, () => 1 + i),
  );
  values[0][10 * 24 + 10] = NaN;
  const [x, w, y] = [...values, values[0]].map((v) => cpu.alloc(v.byteLength));
  cpu.write(x, values[0]);
  cpu.write(w, values[1]);
  program.run([x, w], [y]);
  const got = new Float32Array(await cpu.read(y));
  expect([...got.keys()].filter((i) => Number.isNaN(got[i]))).toEqual(
    [9, 10, 11].flatMap((i) => [9, 10, 11].map((j) => i * 24 + j)),
  );
  cpu.dispose();
});
