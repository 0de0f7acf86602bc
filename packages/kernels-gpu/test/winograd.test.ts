// Winograd's short convolutions and depthwise weight gradients, forced on cases of the conformance
// suite: by threads that work alone and by workgroups, along one or two axes, in parts, with
// strides, dilation, groups and epilogues.

import {
  add,
  conv,
  convGeometry,
  convGradInputOp,
  convGradWeightOp,
  convOp,
  relu,
} from "@conv/ops";
import { cases, type OpCase } from "@conv/ops/cases";
import {
  createHost,
  node,
  spec,
  trace,
  type Graph,
  type HostArray,
  type Op,
  type Spec,
} from "@conv/tensor";
import { check, draw, drawAll, runOnce } from "@conv/testkit";
import { asHardware, dressed, softwareGpu } from "@conv/testkit/webgpu";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGpu, type GpuBackend } from "../src/index.ts";

/** An adapter that passes for hardware, with a limit for the bytes of a binding. */
const narrow = (gpu: GPU, bytes: number): GPU =>
  dressed(asHardware(gpu), "requestAdapter", async () => {
    const adapter = await asHardware(gpu).requestAdapter();
    return (
      adapter &&
      dressed(adapter, "requestDevice", async (descriptor?: GPUDeviceDescriptor) => {
        const device = await adapter.requestDevice(descriptor);
        return dressed(
          device,
          "limits",
          dressed(device.limits, "maxStorageBufferBindingSize", bytes),
        );
      })
    );
  });

let [software, hardware, cramped]: GpuBackend[] = [];
beforeAll(async () => {
  const gpu = await softwareGpu();
  [software, hardware, cramped] = await Promise.all(
    [gpu, asHardware(gpu), narrow(gpu, 16_000)].map((g) => createGpu({ gpu: g })),
  );
});
afterAll(() => [software, hardware, cramped].forEach((backend) => backend.dispose()));

/** Checks a graph with this kernel, and gives the number of its stages. */
async function forced(
  backend: GpuBackend,
  kernel: string,
  graph: Graph,
  c?: OpCase,
): Promise<number> {
  const preferring = {
    ...backend,
    compile: (g: Graph) => backend.compile(g, { prefer: [kernel] }),
  };
  const program = preferring.compile(graph);
  const { steps, shaders } = program;
  program.dispose();
  expect(steps.map((s) => s.kernel)).toEqual([kernel]);
  await check(
    preferring,
    graph,
    c
      ? drawAll(c.inputs, c.data, c.name)
      : graph.inputs.map((v, i) => draw(v.spec, undefined, `forced ${i}`)),
  );
  return shaders.length;
}

const caseOf = (op: Op<never>, name: string): [OpCase, Graph] => {
  const c = cases.find((x) => x.op.name === op.name && x.name.endsWith(name))!;
  return [c, trace((...xs) => node(c.op, c.params, xs), c.inputs)];
};

describe("Winograd", { timeout: 60_000 }, () => {
  const forward: [kernel: string, name: string][] = [
    ["winograd1d4", "1×7"],
    ["winograd1d6", "1d dilation 3"],
    ["winograd1d6", "1d stride 2 padding 1|2"],
    ["winograd1d8", "1d kernel 33"],
    ["winograd2d4", "3×3 padding 1, 5→7 @13×5 batch 3"],
    ["winograd2d6", "3×3 padding 1, 5→7 @13×5 batch 3"],
    ["winograd2d4", "3×3 uneven padding"],
    ["winograd2d4", "3×3 groups 2 dilation 2"],
    ["winograd2d6", "7×7 stride 2 padding 3"],
    ["winograd2d6", "conv 3d"],
    ["winograd2d8", "3×3 padding 1"],
  ];
  it.each(forward)("%s: conv, %s", async (kernel, name) => {
    const [c, graph] = caseOf(convOp, name);
    await forced(software, kernel, graph, c);
  });

  const backward: [kernel: string, name: string][] = [
    ["winograd1d6", "1d stride 2 padding 1|2"],
    ["winograd2d4", "3×3 uneven padding"],
    ["winograd2d6", "5×5 6→16 @14 (C3)"],
    ["winograd2d4", "7×7 stride 2 padding 3"],
  ];
  it.each(backward)("%s: input gradient, %s", async (kernel, name) => {
    const [c, graph] = caseOf(convGradInputOp, name);
    await forced(hardware, kernel, graph, c);
  });

  const weights: [kernel: string, name: string][] = [
    ["winogradGradWeight1d6", "1d dilation 3"],
    ["winogradGradWeight2d4", "conv 3d"],
    ["winogradGradWeight2d6", "3×3 padding 1, 5→7 @13×5 batch 3"],
    ["winogradGradWeight2d8", "3×3 groups 2"],
  ];
  it.each(weights)("%s: weight gradient, %s", async (kernel, name) => {
    const [c, graph] = caseOf(convGradWeightOp, name.replace("conv 3d", "convGradWeight 3d"));
    await forced(hardware, kernel, graph, c);
  });

  it("in parts, the last with columns that have no tile", async () => {
    const shapes = [
      [2, 8, 9, 17],
      [9, 8, 3, 3],
      [9, 1, 1],
      [2, 9, 9, 17],
    ];
    const graph = trace(
      (x, w, b, e) => relu(add(add(conv(x, w, { padding: 1 }), b), e)),
      shapes.map((shape) => spec(shape)),
    );
    // 30 tiles whose products take 1296 bytes each, 8 at a time: one stage for the weights, and
    // three for each part.
    expect(await forced(cramped, "winograd2d6", graph)).toBe(1 + 4 * 3);
    expect(await forced(hardware, "winograd2d6", graph)).toBe(1 + 3);
  });

  it("transforms weights again only when they change", async () => {
    const graph = trace(
      (x, w) => conv(x, w, { padding: 1 }),
      [spec([1, 2, 6, 6]), spec([2, 2, 3, 3])],
    );
    const program = software.compile(graph, { prefer: ["winograd2d4"] });
    const put = (values: number[]) => {
      const buffer = software.alloc(4 * values.length);
      software.write(buffer, Float32Array.from(values));
      return buffer;
    };
    const [x, w, y] = [
      put(Array<number>(72).fill(1)),
      put(Array<number>(36).fill(1)),
      put(Array<number>(72).fill(0)),
    ];
    const corner = async () => {
      program.run([x, w], [y]);
      return new Float32Array(await software.read(y))[0];
    };
    expect(await corner()).toBeCloseTo(8, 4);
    expect(await corner()).toBeCloseTo(8, 4);
    software.write(w, Float32Array.from(Array<number>(36).fill(2)));
    expect(await corner()).toBeCloseTo(16, 4);
    program.dispose();
    for (const buffer of [x, w, y]) software.free(buffer);
  });
});

describe("the ends of the range", { timeout: 120_000 }, () => {
  const g = convGeometry(spec([1, 3, 9, 10]), spec([4, 3, 3, 3]), { padding: 1 });
  const [x, y, w] = [spec([1, 3, 9, 10]), spec([1, 4, 9, 10]), spec([4, 3, 3, 3])];
  const all: [string, string, Spec, Spec, Graph][] = [
    ["convolution", "winograd2d4", x, w, trace((a, b) => relu(conv(a, b, { padding: 1 })), [x, w])],
    [
      "gradient to the input",
      "winograd2d4",
      y,
      w,
      trace((a, b) => node(convGradInputOp, g, [a, b])[0], [y, w]),
    ],
    [
      "gradient to the weight",
      "winogradGradWeight2d4",
      y,
      x,
      trace((a, b) => node(convGradWeightOp, g, [a, b])[0], [y, x]),
    ],
  ];
  const scaled = (s: Spec, by: number, seed: string): HostArray => {
    const drawn = draw(s, undefined, seed);
    return { ...drawn, data: drawn.data.map((v) => Math.fround(v * by)) };
  };
  const near = (got: HostArray, want: HostArray) => {
    const largest = want.data.reduce(
      (most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most),
      0,
    );
    return [...got.data].filter(
      (v, i) => !(Object.is(v, want.data[i]) || Math.abs(v - want.data[i]) <= 1e-4 * largest),
    );
  };

  it.each(all)("%s of numbers near both ends", async (_, kernel, first, second, graph) => {
    for (const [a, b] of [[3e37, 3e-34], [3e-34, 3e37], [8e37, 1e-33]]) {
      const inputs = [scaled(first, a, "ends a"), scaled(second, b, "ends b")];
      const compile = (other: Graph) => software.compile(other, { prefer: [kernel] });
      const [got] = await runOnce({ ...software, compile }, graph, inputs);
      const [want] = await runOnce(createHost(), graph, inputs);
      expect(near(got, want)).toEqual([]);
    }
  }); // prettier-ignore

  it.each(all)(
    "NaN and infinity in %s reach only the outputs that see them",
    async (_, kernel, first, second, graph) => {
      const a = draw(first, undefined, "special a");
      const inputs = [
        { ...a, data: a.data.with(17, NaN).with(80, Infinity) },
        draw(second, undefined, "special b"),
      ];
      const compile = (other: Graph) => software.compile(other, { prefer: [kernel] });
      const [got] = await runOnce({ ...software, compile }, graph, inputs);
      const [want] = await runOnce(createHost(), graph, inputs);
      expect(near(got, want)).toEqual([]);
    },
  );
});

describe("depthwise weight gradient", { timeout: 60_000 }, () => {
  it.each([
    "depthwise 3×3 multiplier 3",
    "depthwise 5×5 dilation 2 stride 2",
    "depthwise 11×11 @12×19 batch 2",
    "3d depthwise",
    "1d depthwise",
  ])("%s", async (name) => {
    const [c, graph] = caseOf(convGradWeightOp, name);
    await forced(software, "depthwiseGradWeight", graph, c);
  });

  it("in parts", async () => {
    const g = convGeometry(spec([3, 2, 40, 42]), spec([2, 1, 3, 3]), { groups: 2, padding: 1 });
    const graph = trace(
      (dy, x) => node(convGradWeightOp, g, [dy, x]),
      [spec([3, 2, 40, 42]), spec([3, 2, 40, 42])],
    );
    expect(await forced(hardware, "depthwiseGradWeight", graph)).toBe(2);
  });
});
