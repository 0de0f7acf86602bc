// Lists of kernels: a back end with some kernels computes the same, and rejects all other ops with
// a message that names its kernels and where to find the others.

import { add, conv, grad, maxPool, relu, sum, tanh } from "@conv/ops";
import {
  isConvError,
  jit,
  spec,
  tensor,
  trace,
  UnsupportedError,
  type Graph,
  type Value,
} from "@conv/tensor";
import { softwareGpu, validatingGpu } from "@conv/testkit/webgpu";
import { describe, expect, it } from "vitest";
import * as core from "../src/core.ts";
import {
  convolution,
  createGpu,
  dot,
  fused,
  inference,
  kernels,
  type GpuBackend,
} from "../src/core.ts";
import { createGpu as createWhole } from "../src/index.ts";

const data = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i));
const OTHERS = "other kernels are in @conv/kernels-gpu/core, all of them in its list kernels";

/** The error that compiling throws, with its code and values. */
function refusal(gpu: GpuBackend, graph: Graph) {
  try {
    gpu.compile(graph).dispose();
  } catch (error) {
    if (error instanceof UnsupportedError && isConvError(error)) return error;
    throw error;
  }
  throw new Error("it was compiled");
}

describe("createGpu of core", () => {
  it("computes with a list what the back end with all kernels computes", async () => {
    const layer = (x: Value, w: Value) => maxPool(relu(conv(x, w, { padding: 1 })), 2);
    const gpu = await softwareGpu();
    const results: number[][] = [];
    for (const create of [
      () => createGpu({ gpu, kernels: inference }),
      () => createWhole({ gpu }),
    ]) {
      using backend = await create();
      const [x, w] = [
        tensor(backend, data(3 * 144), [1, 3, 12, 12]),
        tensor(backend, data(8 * 27), [8, 3, 3, 3]),
      ];
      results.push([...(await jit(layer)(x, w).read())]);
    }
    expect(results[0]).toEqual(results[1]);
  });

  it("computes with one kernel", async () => {
    using gpu = await createGpu({ gpu: await softwareGpu(), kernels: [fused] });
    const y = jit((x: Value) => add(tanh(x), relu(x)))(tensor(gpu, [-1, 2], [2]));
    expect([...(await y.read())].map((v) => v.toFixed(4))).toEqual(["-0.7616", "2.9640"]);
  });

  it("exports every kernel by name, and lists that contain one another", () => {
    const exported = Object.values(core).filter((value) => "build" in value);
    expect(new Set(kernels)).toEqual(new Set(exported));
    expect(kernels).toEqual(expect.arrayContaining([...inference]));
    expect(inference).toEqual(expect.arrayContaining([...convolution]));
    expect([convolution, inference, kernels].map((list) => new Set(list).size)).toEqual([
      convolution.length,
      inference.length,
      kernels.length,
    ]);
  });

  it("refuses an op of other kernels, and names its kernels and where the others are", async () => {
    using gpu = await createGpu({ gpu: validatingGpu(), kernels: inference });
    const graph = trace((x) => grad(sum(maxPool(x, 2)), [x]), [spec([1, 2, 4, 4])]);
    const error = refusal(gpu, graph);
    const names = inference.map(({ name }) => name).join(", ");
    expect(error).toMatchObject({
      code: "no-kernel",
      op: "maxPoolGrad",
      values: { kernels: names },
    });
    expect(error.message).toBe(
      `maxPoolGrad: no kernel of the list computes this op (inputs ${error.values.inputs}); the list has ${names}; ${OTHERS}`,
    );
  });

  it("refuses a task of its ops with the reasons of its kernels", async () => {
    using gpu = await createGpu({ gpu: validatingGpu(), kernels: [dot, fused] });
    const graph = trace((x, w) => conv(x, w), [spec([1, 3, 4, 4]), spec([8, 3, 3, 3])]);
    const error = refusal(gpu, graph);
    const reasons = "dot sums at least 128 products for each output, not 27";
    expect(error).toMatchObject({ code: "no-kernel", op: "conv", values: { reasons } });
    expect(error.message).toBe(
      `conv: no kernel computes inputs float32 1×3×4×4, float32 8×3×3×3: ${reasons}; ${OTHERS}`,
    );
  });

  it("refuses a list that is none, or holds what is no kernel", async () => {
    const without = createGpu as (options?: object) => Promise<unknown>;
    const text =
      /^gpu: kernels is (undefined|Array|string), must be a list of kernels: convolution, inference or kernels of @conv\/kernels-gpu\/core, or some kernels of it$/;
    for (const options of [undefined, {}, { kernels: "igemm" }, { kernels: ["igemm"] }])
      await expect(without(options)).rejects.toThrow(text);
    await expect(without({})).rejects.toMatchObject({
      code: "kernels",
      values: { kernels: "undefined" },
    });
  });
});

describe("what kernels say of a task that they do not compute", () => {
  it.each([
    ["igemmF16", 'multiplies in float16, which precision "fast" allows'],
    ["igemmMatrix", 'multiplies in float16, which precision "fast" allows'],
    ["winograd2d6", "binds 5 buffers, the adapter at most 4"],
  ])("%s", async (name, reason) => {
    using gpu = await createWhole({ gpu: validatingGpu() });
    const kernel = kernels.find((k) => k.name === name)!;
    const { task } = taskOf(conv, [1, 8, 8, 8], [8, 8, 3, 3]);
    const caps = { ...gpu.caps, storageBuffers: name.startsWith("winograd") ? 4 : 8 };
    expect(kernel.unsupportedReason?.(task, caps)).toBe(reason);
  });
});

/** A task of one node. */
function taskOf(op: (x: Value, w: Value) => Value, ...shapes: number[][]) {
  const [made] = trace(
    op,
    shapes.map((shape) => spec(shape)),
  ).nodes;
  const { params, inputs, outputs } = made;
  const cost = { macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 };
  const [ins, outs] = [inputs, outputs].map((values) => values.map((v) => v.spec));
  return { task: { op: made.op, params, inputs: ins, outputs: outs, cost, epilogue: null } };
}
