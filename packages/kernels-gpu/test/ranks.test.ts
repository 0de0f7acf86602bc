// Every op at ranks 0 to 8, by every kernel that computes it, and expressions of many tensors: the
// generated code is accepted by WebGPU (Dawn validates it without a driver), or the kernel gives a
// reason. Some results are computed as well.

import * as ops from "@conv/ops";
import {
  input,
  graphOf,
  optimize,
  spec,
  trace,
  UnsupportedError,
  vjp,
  type Graph,
  type Spec,
  type Value,
} from "@conv/tensor";
import { check, draw, share } from "@conv/testkit";
import { asCore, softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";
import { kernels } from "../src/kernels/index.ts";

let [rich, core]: GpuBackend[] = [];
beforeAll(async () => {
  const gpu = validatingGpu();
  [rich, core] = [await createGpu({ gpu }), await createGpu({ gpu: asCore(gpu) })];
});
afterAll(() => [rich, core].forEach((backend) => backend.dispose()));

const sized = (rank: number, size = 3): number[] =>
  Array.from({ length: rank }, (_, a) => (a % 3 ? 2 : size));
type Case = [string, Spec[], (...xs: Value[]) => Value | Value[]];

const anyRank = (rank: number): Case[] => {
  const shape = sized(rank);
  const x = spec(shape);
  const all = Array.from({ length: rank }, (_, a) => a);
  const some = all.filter((a) => a % 2 === 0);
  return [
    ["elementwise", [x, x], (a, b) => ops.relu(ops.add(a, b))],
    [
      "elementwise, broadcast",
      [x, spec(shape.map((s, a) => (a % 2 ? s : 1)))],
      (a, b) => ops.mul(a, b),
    ],
    ["sum of all", [x], (a) => ops.sum(a)],
    ["max of all", [x], (a) => ops.max(a)],
    ["transpose", [x], (a) => ops.transpose(a)],
    ["broadcastTo", [x], (a) => ops.broadcastTo(a, [2, ...shape])],
    ["reshape", [x], (a) => ops.reshape(ops.exp(a), [shape.reduce((n, s) => n * s, 1)])],
    ["full", [], () => ops.full(shape, -0)],
    ["oneHot", [spec(shape, "int32")], (a) => ops.oneHot(a, 3)],
    ["cast", [x], (a) => ops.cast(a, "int32")],
    ...(rank === 0
      ? []
      : ([
          ["sum of some", [x], (a) => ops.sum(a, some)],
          ["max of some", [x], (a) => ops.max(a, some, true)],
          ["softmax", [x], (a) => ops.softmax(a, some.at(-1))],
          ["logSoftmax", [x], (a) => ops.logSoftmax(a, 0)],
          ["pad", [x], (a) => ops.pad(a, all.map((v) => v % 2), all.map(() => 1))],
          ["slice", [x], (a) => ops.slice(a, all.map((v) => v % 2), all.map(() => 1))],
          ["concat", [x, x], (a, b) => ops.concat([a, b], some.at(-1))],
          ["flip", [x], (a) => ops.flip(a, some)],
        ] as Case[])), // prettier-ignore
    ...(rank < 2
      ? []
      : ([
          [
            "matmul",
            [x, spec([...shape.slice(0, -2), shape.at(-1)!, 5])],
            (a, b) => ops.matmul(a, b),
          ],
        ] as Case[])),
  ];
};

const spatial = (rank: number): Case[] => {
  const x = spec([2, 4, ...sized(rank, 4)]);
  const kernel = sized(rank, 3);
  const options = { stride: sized(rank, 1).map((s) => 3 - s), padding: 1, dilation: 1 };
  return [
    ["conv", [x, spec([6, 4, ...kernel])], (a, w) => ops.conv(a, w, { padding: 1 })],
    [
      "conv, strided, in groups",
      [x, spec([6, 2, ...kernel])],
      (a, w) => ops.conv(a, w, { ...options, groups: 2 }),
    ],
    [
      "depthwise conv",
      [x, spec([4, 1, ...kernel])],
      (a, w) => ops.conv(a, w, { padding: 1, groups: 4 }),
    ],
    ["maxPool", [x], (a) => ops.maxPool(a, kernel, options)],
    ["maxPoolIndices", [x], (a) => ops.maxPoolIndices(a, kernel, options)],
    ["avgPool", [x], (a) => ops.avgPool(a, kernel, { ...options, countIncludePad: false })],
    ["avgPool, overlapping", [x], (a) => ops.avgPool(a, 2, { stride: 1 })],
  ];
};

const cases = [
  ...Array.from({ length: 9 }, (_, rank) =>
    anyRank(rank).map(([name, ...rest]): Case => [`${name}, rank ${rank}`, ...rest]),
  ),
  ...Array.from({ length: 6 }, (_, r) =>
    spatial(r + 1).map(([name, ...rest]): Case => [`${name}, ${r + 1} spatial axes`, ...rest]),
  ),
].flat();

/** The graph, and that of the gradients of its inputs. */
function graphsOf([, specs, fn]: Case): Graph[] {
  const graph = optimize(trace(fn, specs));
  const wrt = graph.inputs.filter((v) => v.dtype === "float32");
  const outputs = graph.outputs.filter((v) => v.dtype === "float32");
  if (!wrt.length || !outputs.length) return [graph];
  const cts = outputs.map((v) => input(v.spec));
  const gradients = vjp(outputs, cts, wrt, ops.add).filter((g) => g !== null);
  return gradients.length
    ? [graph, optimize(graphOf([...graph.inputs, ...cts], gradients))]
    : [graph];
}

/** Compiles and runs; throws the errors of Dawn. */
async function accepted(gpu: GpuBackend, graph: Graph, prefer: string): Promise<void> {
  let program;
  try {
    program = gpu.compile(graph, { prefer: [prefer] });
  } catch (error) {
    expect(error).toBeInstanceOf(UnsupportedError);
    return;
  }
  const [from, to] = [graph.inputs, graph.outputs].map((values) =>
    values.map((v) => gpu.alloc(4 * v.shape.reduce((a, b) => a * b, 1))),
  );
  program.run(from, to);
  await gpu.read(to[0]);
  for (const buffer of [...from, ...to]) gpu.free(buffer);
  program.dispose();
}

/** Ops whose kernels no other test forces at high ranks. */
const preferred = ([name]: Case): string[] =>
  /conv.* 6 spatial/.test(name)
    ? kernels
        .map((k) => k.name)
        .filter((k) => /^(direct|igemm|dot|depth|gradW|winograd.*2d6)/.test(k))
    : [];

// The core of WebGPU differs in limits only: a third of the ranks of each op is enough.
const some = share({ name: "core", every: inject("fullConformance") ? 1 : 3 }, cases, ([name]) =>
  name.replace(/\d+/, ""),
);

describe.each([
  ["all that Dawn offers", () => rich, cases],
  ["the core of WebGPU", () => core, some],
] as const)("%s", (_, gpu, own) => {
  it.each(own)("%s", { timeout: 60_000 }, async (...c) => {
    for (const graph of graphsOf(c))
      for (const name of gpu() === rich ? ["", ...preferred(c)] : [""])
        await accepted(gpu(), graph, name);
  });

  it.each([23, 24, 25, 40])("an expression of %i tensors", async (count) => {
    const names = Array.from({ length: count }, (__, i) => ops.variable(i));
    const f = names
      .slice(1)
      .reduce<ops.Expr>((e, name) => ["max", ["mul", e, 0.5], name], names[0]);
    const graph = trace(
      (...xs) => ops.map("many", f, xs),
      names.map(() => spec([3, 2])),
    );
    await accepted(gpu(), graph, "");
  });
});

it(
  "convolution over six axes, its gradients and pools are computed",
  { timeout: 120_000 },
  async () => {
    const gpu = await createGpu({ gpu: await softwareGpu() });
    const x = spec([1, 2, 2, 3, 2, 2, 2, 3]);
    const w = spec([3, 2, 1, 2, 1, 2, 2, 2]);
    const six: Case[] = [
      ["conv", [x, w], (a, b) => ops.conv(a, b)],
      ["maxPool", [x], (a) => ops.maxPool(a, 2, { stride: 1 })],
    ];
    for (const c of six)
      // prettier-ignore
      for (const graph of graphsOf(c)) await check(gpu, graph, graph.inputs.map((v, i) => draw(v.spec, "distinct", `six ${i}`)));
    gpu.dispose();
  },
);
