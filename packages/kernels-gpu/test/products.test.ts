// Products (conv, its gradients, matmul) by every shape of tile, also those that would not be
// chosen: whole and split sums, one or two slices in workgroup memory, outputs in rows of four or
// not.

import {
  add,
  conv,
  convGradInputOp,
  convGradWeightOp,
  convGeometry,
  convOp,
  convTranspose,
  matmul,
  matmulOp,
  mul,
  relu,
} from "@conv/ops";
import {
  hostArray,
  node,
  sizeOf,
  spec,
  trace,
  type Graph,
  type Op,
  type Spec,
  type Value,
} from "@conv/tensor";
import { check, draw, evaluateBounded, judge } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Binding, GpuStage, Task } from "../src/compile/code.ts";
import { createGpu, type GpuBackend } from "../src/index.ts";
import { productsOf } from "../src/kernels/gemm/product.ts";
import { threadsOf, type Tile } from "../src/kernels/gemm/tile.ts";
import { tiledCode } from "../src/kernels/gemm/tiled.ts";
import { SHAPES } from "../src/kernels/gemm/tiles.ts";
import { shaderOf } from "../src/wgsl/wgsl.ts";
import { caps } from "./caps.ts";

let device: GPUDevice;
beforeAll(async () => {
  const adapter = await (await softwareGpu()).requestAdapter();
  device = await adapter!.requestDevice();
});
afterAll(() => device.destroy());

/** Runs stages over float32 values, without a planner. */
async function dispatch(
  stages: readonly GpuStage[],
  scratch: readonly { bytes: number }[],
  inputs: readonly Float32Array<ArrayBuffer>[],
  size: number,
) {
  // prettier-ignore
  const buffer = (bytes: number) => device.createBuffer({ size: Math.max(16, Math.ceil(bytes / 16) * 16), usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const ins = inputs.map((data) => {
    const b = buffer(data.byteLength);
    device.queue.writeBuffer(b, 0, data);
    return b;
  });
  const [outs, between] = [[buffer(4 * size)], scratch.map(({ bytes }) => buffer(bytes))];
  const of = ({ place }: Binding) =>
    ({ in: ins, out: outs, scratch: between })[place.of][place.index];
  const encoder = device.createCommandEncoder();
  for (const stage of stages) {
    const bindings = [...stage.reads, ...stage.writes];
    // prettier-ignore
    const module = device.createShaderModule({ code: shaderOf(stage, bindings.map(() => "f32")) });
    const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
    const entries = bindings.map((b, binding) => ({ binding, resource: { buffer: of(b) } }));
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }),
    );
    pass.dispatchWorkgroups(stage.groups);
    pass.end();
  }
  const result = device.createBuffer({
    size: Math.ceil(size / 4) * 16,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  encoder.copyBufferToBuffer(outs[0], 0, result, 0, 4 * size);
  device.queue.submit([encoder.finish()]);
  await result.mapAsync(GPUMapMode.READ);
  return Float64Array.from(new Float32Array(result.getMappedRange(0, 4 * size)));
}

const padded = convGeometry(spec([2, 20, 7, 11]), spec([70, 20, 3, 3]), { padding: 1 });
const strided = convGeometry(spec([2, 12, 9, 8]), spec([40, 6, 3, 3]), {
  padding: 1,
  stride: 2,
  groups: 2,
});
const fewWeights = convGeometry(spec([2, 2, 11, 13]), spec([3, 2, 3, 3]), { padding: 1 });
const pointwise = convGeometry(spec([2, 40, 6, 8]), spec([24, 40, 1, 1]));

const problems: [name: string, op: Op<never>, params: unknown, inputs: number[][]][] = [
  ["conv 3×3, rows of 11", convOp, padded, [[2, 20, 7, 11], [70, 20, 3, 3]]],
  ["conv 1×1, rows of 48", convOp, pointwise, [[2, 40, 6, 8], [24, 40, 1, 1]]],
  ["gradient to the weight", convGradWeightOp, padded, [[2, 70, 7, 11], [2, 20, 7, 11]]],
  ["gradient to the input, stride 2, groups 2", convGradInputOp, strided, [[2, 40, 5, 4], [40, 6, 3, 3]]],
  ["matrix product, both transposed", matmulOp, { transposeA: true, transposeB: true }, [[3, 37, 68], [3, 50, 37]]],
  ["matrix product, one row", matmulOp, { transposeA: false, transposeB: false }, [[1, 130], [130, 36]]],
]; // prettier-ignore

/** The graph of one node, and that node as a task. */
function problem([, op, params, shapes]: (typeof problems)[number]): { graph: Graph; task: Task } {
  const inputs = shapes.map((shape) => spec(shape));
  const graph = trace((...xs) => node(op, params, xs), inputs);
  const [made] = graph.nodes;
  // prettier-ignore
  return { graph, task: { op: op as Op<unknown>, params, inputs, outputs: made.outputs.map((v) => v.spec), cost: { macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }, epilogue: null } };
}

describe.each(SHAPES.map((shape, i) => [`${shape.rows}×${shape.columns}, ${shape.threadRows}×${shape.threadColumns}`, shape, i] as const))("tiles of %s a thread", (_, shape, i) => {
  // The largest take a second to compile on a software adapter: each shape has one of the problems.
  it.each([problems[i % problems.length]])("%s", { timeout: 60_000 }, async (...of) => {
    const { graph, task } = problem(of);
    const tile: Tile = { ...shape, depth: 8, buffers: i && i % 2 === 0 ? 2 : 1, splits: productsOf(task)!.products.length > 1 ? 1 : 1 + (i % 3) };
    expect(threadsOf(tile)).toBeLessThanOrEqual(256);
    const inputs = task.inputs.map((s, n) => draw(s, undefined, `products ${n}`));
    const { stages, scratch } = tiledCode("product", task, caps, { tile });
    const [y] = task.outputs as [Spec];
    // prettier-ignore
    const got = await dispatch(stages, scratch, inputs.map((x) => Float32Array.from(x.data)), sizeOf(y.shape));
    judge(graph, [hostArray(y, got)], evaluateBounded(graph, inputs));
  });
}); // prettier-ignore

describe("epilogues of products", { timeout: 60_000 }, () => {
  let gpu: GpuBackend;
  beforeAll(async () => void (gpu = await createGpu({ gpu: asHardware(await softwareGpu()) })));
  afterAll(() => gpu.dispose());

  type Fused = [name: string, kernel: string, stages: number, shapes: number[][], fn: (...xs: Value[]) => Value];
  it.each<Fused>([
    ["columns and elements of a split sum", "matmul", 2, [[4, 2000], [2000, 8], [8], [4, 8]], (x, w, b, e) => relu(add(add(matmul(x, w), b), e))],
    ["channels and elements", "igemm", 1, [[2, 8, 6, 6], [12, 4, 1, 1], [12, 1, 1], [2, 12, 6, 6]], (x, w, b, e) => relu(add(add(conv(x, w, { groups: 2 }), b), e))],
    ["channels of a split sum", "igemm", 2, [[1, 500, 4, 4], [12, 500, 1, 1], [12, 1, 1]], (x, w, b) => relu(add(conv(x, w), b))],
    ["channels, by threads that work alone", "direct", 1, [[2, 8, 6, 6], [12, 4, 3, 3], [12, 1, 1]], (x, w, b) => relu(add(conv(x, w, { groups: 2 }), b))],
    ["columns of a vector by a matrix, four taps at a time", "dotMatmul", 1, [[1, 260], [9, 260], [9]], (x, w, b) => relu(add(matmul(x, w, { transposeB: true }), b))],
    ["columns of a matrix by a vector", "dotMatmul", 1, [[131, 6], [131, 1], [6, 1]], (a, v, e) => mul(matmul(a, v, { transposeA: true }), e)],
    ["channels of windows that reach beyond the edge", "dot", 1, [[2, 30, 3, 3], [5, 30, 3, 3], [5, 1, 1]], (x, w, b) => relu(add(conv(x, w, { padding: 1 }), b))],
    ...["igemm", "direct", "dot"].map(
      (kernel): Fused => ["channels of a kernel that covers its whole output", kernel, 1, [[3, 8, 1, 1], [8, 5, 4, 3], [10, 1, 1]], (x, w, b) => relu(add(convTranspose(x, w, { groups: 2 }), b))],
    ),
    ["elements of a gradient to few weights", "dotGradWeight", 1, [[2, 3, 11, 13], [2, 2, 11, 13], [3, 2, 3, 3]], (dy, x, e) => mul(node(convGradWeightOp, fewWeights, [dy, x])[0], e)],
  ])("%s", async (_, kernel, stages, shapes, fn) => {
    const graph = trace(fn, shapes.map((shape) => spec(shape)));
    const preferring = { ...gpu, compile: (g: Graph) => gpu.compile(g, { prefer: [kernel] }) };
    const program = preferring.compile(graph);
    expect(program.shaders.length).toBe(stages);
    program.dispose();
    await check(preferring, graph, graph.inputs.map((v, n) => draw(v.spec, undefined, `fused ${n}`)));
  });
}); // prettier-ignore
