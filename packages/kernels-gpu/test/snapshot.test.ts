// The shaders of every kernel for a small shape, as WebGPU receives them:
// `__snapshots__/<kernel> <case>.wgsl`. Neither a device nor WebGPU is needed.

import {
  add,
  avgPool,
  broadcastTo,
  concat,
  conv,
  convGeometry,
  convGradWeightOp,
  flip,
  full,
  less,
  grad,
  logSoftmax,
  matmul,
  max,
  maxPool,
  maxPoolIndices,
  resample,
  mul,
  oneHot,
  pad,
  scatterAdd,
  random,
  relu,
  slice,
  softmax,
  square,
  sub,
  sum,
  gather,
  cast,
  transpose,
} from "@conv/ops";
import { node, optimize, spec, trace, type Spec, type Value } from "@conv/tensor";
import { expect, test } from "vitest";
import type { Caps } from "../src/compile/caps.ts";
import { place } from "../src/compile/place.ts";
import { plan } from "../src/compile/plan.ts";
import { kernels } from "../src/kernels/index.ts";
import { shaderOf } from "../src/wgsl/wgsl.ts";
import { caps } from "./caps.ts";

type Snapshot = [
  kernel: string,
  name: string,
  inputs: Spec[],
  fn: (...xs: Value[]) => Value | readonly Value[],
  caps?: Partial<Caps>,
];

const f32 = (...shape: number[]) => spec(shape);
const i32 = (...shape: number[]) => spec(shape, "int32");
const u8 = (...shape: number[]): Spec => spec(shape, "uint8");

const snapshots: readonly Snapshot[] = [
  ["elementwise", "relu of a sum", [f32(2, 3, 8), f32(3, 1)], (x, b) => relu(add(x, b))],
  [
    "elementwise",
    "float16",
    [f32(2, 4), f32(2, 4), f32(4, 4)],
    (x, y, z) => relu(slice(concat([add(x, y), z]), [1, 0], [2, 4])),
    { storage: "float16" },
  ],
  [
    "direct",
    "3×3, bias, relu",
    [f32(1, 2, 5, 6), f32(3, 2, 3, 3), f32(3, 1, 1)],
    (x, w, b) => relu(add(conv(x, w, { padding: 1 }), b)),
  ],
  [
    "direct",
    "on a software adapter",
    [f32(1, 8, 4, 8), f32(4, 8, 1, 1)],
    (x, w) => conv(x, w),
    { software: true },
  ],
  // prettier-ignore
  ["directGradWeight", "3 taps", [f32(1, 4, 7), f32(1, 3, 9)], (dy, x) => node(convGradWeightOp, convGeometry(spec([1, 3, 9]), spec([4, 3, 3])), [dy, x])[0]],
  [
    "directMatmul",
    "b transposed",
    [f32(3, 5), f32(6, 5)],
    (a, b) => matmul(a, b, { transposeB: true }),
  ],
  [
    "igemm",
    "3×3 stride 2",
    [f32(2, 8, 9, 16), f32(20, 8, 3, 3)],
    (x, w) => conv(x, w, { stride: 2, padding: 1 }),
  ],
  [
    "igemmF16",
    "1×1",
    [f32(1, 16, 4, 4), f32(16, 16, 1, 1)],
    (x, w) => conv(x, w),
    { arithmetic: "float16", roundoff: Infinity },
  ],
  // prettier-ignore
  ["igemmMatrix", "1×1, bias", [f32(1, 16, 4, 4), f32(16, 16, 1, 1), f32(16, 1, 1)], (x, w, b) => add(conv(x, w), b), { arithmetic: "float16", roundoff: Infinity, matrices: { rows: 16, columns: 16, depth: 16, lanes: 32 } }],
  [
    "winograd2d6",
    "bias, relu",
    [f32(1, 3, 6, 6), f32(2, 3, 3, 3), f32(2, 1, 1)],
    (x, w, b) => relu(add(conv(x, w, { padding: 1 }), b)),
  ],
  // prettier-ignore
  ["winogradGradWeight1d4", "3 taps", [f32(1, 4, 6), f32(1, 3, 8)], (dy, x) => node(convGradWeightOp, convGeometry(spec([1, 3, 8]), spec([4, 3, 3])), [dy, x])[0]],
  // prettier-ignore
  ["depthwiseGradWeight", "in parts", [f32(2, 2, 8, 8), f32(2, 2, 8, 8)], (dy, x) => node(convGradWeightOp, convGeometry(spec([2, 2, 8, 8]), spec([2, 1, 3, 3]), { groups: 2, padding: 1 }), [dy, x])[0]],
  // prettier-ignore
  ["gradWeight", "1×1 in parts", [f32(8, 16, 8, 8), f32(8, 32, 8, 8)], (dy, x) => node(convGradWeightOp, convGeometry(spec([8, 32, 8, 8]), spec([16, 32, 1, 1])), [dy, x])[0]],
  [
    "dotMatmul",
    "vector by matrix",
    [f32(1, 512), f32(10, 512)],
    (x, w) => matmul(x, w, { transposeB: true }),
  ],
  ["matmul", "with vectors of four", [f32(64, 40), f32(40, 64)], (a, b) => matmul(a, b)],
  ["reduce", "sum over space and batch", [f32(2, 3, 4, 6)], (x) => sum(x, [0, 2, 3])],
  ["reduce", "sum over rows, relu", [f32(300, 8)], (x) => relu(sum(x, 0, true))],
  [
    "reduce",
    "sum of squares of differences",
    [f32(2, 3, 4, 4), f32(3, 1, 1)],
    (x, m) => sum(square(sub(x, m)), [0, 2, 3]),
  ],
  ["reduce", "maximum in parts", [f32(3, 2 ** 16)], (x) => max(x, 1)],
  ["pool", "maximum", [f32(1, 2, 5, 6)], (x) => maxPool(x, 3, { stride: 2, padding: 1 })],
  [
    "pool",
    "average of what is seen",
    [f32(1, 2, 7)],
    (x) => avgPool(x, 3, { stride: 2, padding: 1, countIncludePad: false }),
  ],
  [
    "pool",
    "indices, dilated",
    [f32(1, 2, 9)],
    (x) => maxPoolIndices(x, 3, { stride: 1, dilation: 2, padding: 2 }),
  ],
  ["pool", "average of planes", [f32(1, 2, 4, 6)], (x) => avgPool(x, [4, 6])],
  ["softmax", "channels", [f32(2, 70, 3, 3)], (x) => softmax(x, 1)],
  ["poolGrad", "maximum, side by side", [f32(1, 2, 4, 6)], (x) => grad(sum(maxPool(x, 2)), [x])],
  [
    "poolGrad",
    "maximum, overlapping",
    [f32(1, 2, 5, 6)],
    (x) => grad(sum(maxPool(x, 3, { stride: 2, padding: 1 })), [x]),
  ],
  ["poolGrad", "average", [f32(1, 2, 4, 6)], (x) => grad(sum(avgPool(x, 2)), [x])],
  ["softmax", "rows", [f32(7, 10)], (x) => softmax(x)],
  ["softmax", "logarithm, long rows", [f32(3, 1000)], (x) => logSoftmax(x)],
  ["move", "transpose", [f32(2, 3, 4)], (x) => transpose(x)],
  ["move", "transpose in tiles", [f32(300, 400)], (x) => relu(transpose(x))],
  ["move", "broadcast", [f32(3, 1)], (x) => broadcastTo(x, [2, 3, 8])],
  ["move", "slice", [f32(4, 9)], (x) => slice(x, [1, 2], [2, 5])],
  ["move", "concat of int32", [i32(3, 4), i32(2, 4)], (a, b) => concat([a, b])],
  ["move", "pad, times y", [f32(3, 4), f32(4, 7)], (x, y) => mul(pad(x, [0, 1], [1, 2]), y)],
  ["resample", "flip", [f32(2, 5)], (x) => flip(x, [1])],
  // prettier-ignore
  ["resample", "interpolation", [f32(2, 3)], (x) => resample(x, [[[0, 1]], [[0, 0.5], [1, 0.5]], [[1, 1]], [[1, 0.5], [2, 0.5]], [[2, 1]]])],
  ["gather", "gather", [f32(2, 3, 5), i32(2, 7)], (x, index) => gather(x, index)],
  [
    "gather",
    "scatterAdd, few",
    [f32(2, 3, 7), i32(2, 7)],
    (x, index) => scatterAdd(x, index, { size: [5] }),
  ],
  [
    "gather",
    "scatterAdd, many",
    [f32(2, 3, 70), i32(2, 70)],
    (x, index) => scatterAdd(x, index, { size: [50] }),
  ],
  ["typed", "float32 to int32", [f32(7)], (x) => cast(x, "int32")],
  ["typed", "float32 to float16", [f32(7)], (x) => cast(x, "float16")],
  ["typed", "less", [f32(5), f32(5)], (a, b) => less(a, b)],
  ["narrow", "concat of uint8", [u8(3), u8(2)], (a, b) => concat([a, b], 0)],
  ["create", "constant", [], () => full([7], 0.1)],
  ["create", "random", [i32(2)], (seed) => random(seed, [3, 5])],
  ["create", "one-hot rows", [i32(7)], (labels) => oneHot(labels, 10)],
];

test.each(snapshots)("%s: %s", async (kernel, name, inputs, fn, more = {}) => {
  const wanted = { ...caps, prefer: [kernel], ...more };
  const graph = optimize(trace(fn, inputs));
  const { stages } = place(graph, plan(graph, wanted, kernels), wanted);
  expect(stages.map(({ by }) => by.kernel.name)).toContain(kernel);
  const text = stages
    .map(({ stage, elements }) => `// ${stage.groups} workgroups\n${shaderOf(stage, elements)}`)
    .join("\n");
  await expect(text).toMatchFileSnapshot(`__snapshots__/${kernel} ${name}.wgsl`);
});
