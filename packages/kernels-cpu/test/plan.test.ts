// Plans: which nodes are computed together, by which kernel, and what is said when there is none.

import { choose } from "@conv/compiler";
import {
  add,
  avgPool,
  conv,
  convOp,
  crossEntropy,
  flatten,
  grad,
  linear,
  maxPool,
  mul,
  relu,
  reshape,
  scaledTanh,
  sub,
  sum,
  tanh,
} from "@conv/ops";
import {
  graphOf,
  input,
  node,
  optimize,
  spec,
  trace,
  UnsupportedError,
  type Graph,
  type Op,
  type Value,
} from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectionOf } from "../src/compile/selection.ts";
import { createCpu, kernels, type CpuBackend, type CpuKernel, type Task } from "../src/index.ts";

let cpu: CpuBackend;
// Of the kernels for gradients to weights only some fuse: named, the plans stay what they are when
// estimates change.
beforeAll(async () => void (cpu = await createCpu({ threads: 1, prefer: ["gradWeight"] })));
afterAll(() => cpu.dispose());

/**
 * The steps of a graph, each as its kernel and the ops that it computes; which of several kernels a
 * product gets is not looked at.
 */
function steps(graph: Graph): string[] {
  const program = cpu.compile(graph);
  const list = program.steps.map(({ kernel, nodes }) => {
    const ops = nodes.map((n) => n.op.name).join(" ");
    return /^(conv|matmul)/.test(ops) ? ops : `${kernel}: ${ops}`;
  });
  program.dispose();
  return list;
}
const stepsOf = (shapes: number[][], fn: (...xs: Value[]) => Value | readonly Value[]) =>
  steps(
    trace(
      fn,
      shapes.map((s) => spec(s)),
    ),
  );
const bias = (y: Value, b: Value) => add(y, reshape(b, [1, b.shape[0], 1, 1]));

describe("fusion", () => {
  it("conv, bias and relu are one step", () => {
    expect(
      stepsOf([[2, 3, 8, 8], [8, 3, 3, 3], [8]], (x, w, b) =>
        relu(bias(conv(x, w, { padding: 1 }), b)),
      ),
    ).toEqual(["conv add relu"]);
    expect(
      stepsOf([[2, 8, 8, 8], [8, 1, 3, 3], [8]], (x, w, b) =>
        relu(bias(conv(x, w, { padding: 1, groups: 8 }), b)),
      ),
    ).toEqual(["conv add relu"]);
    expect(stepsOf([[4, 9], [5, 9], [5]], (x, w, b) => tanh(linear(x, w, b)))).toEqual([
      "matmul add tanh",
    ]);
  });

  it("a residual is added where the convolution is", () => {
    expect(
      stepsOf([[1, 8, 6, 6], [8, 8, 3, 3], [8]], (x, w, b) =>
        relu(add(bias(conv(x, w, { padding: 1 }), b), x)),
      ),
    ).toEqual(["conv add add relu"]);
    const shortcut = stepsOf(
      [
        [1, 8, 6, 6],
        [8, 8, 3, 3],
        [8, 8, 1, 1],
      ],
      (x, w, v) => relu(add(conv(x, w, { padding: 1 }), conv(x, v))),
    );
    expect(shortcut).toEqual(["conv", "conv add relu"]);
  });

  it("what is needed elsewhere is not fused away", () => {
    expect(
      stepsOf(
        [
          [1, 3, 6, 6],
          [4, 3, 3, 3],
        ],
        (x, w) => ((y) => [y, relu(y)])(conv(x, w)),
      ),
    ).toEqual(["conv", "elementwise: relu"]);
    expect(
      stepsOf(
        [
          [1, 3, 6, 6],
          [4, 3, 3, 3],
        ],
        (x, w) => ((y) => add(relu(y), maxPool(y, 3, { stride: 1, padding: 1 })))(conv(x, w)),
      ),
    ).toEqual(["conv", "elementwise: relu", "pool: maxPool", "elementwise: add"]);
  });

  it("the derivative of an activation before a pool is taken with the pool's", () => {
    const back = (x: Value, dy: Value) =>
      ((y) => [y, ...grad(sum(mul(y, dy)), [x])])(avgPool(tanh(x), 2));
    expect(
      stepsOf(
        [
          [1, 2, 4, 8],
          [1, 2, 2, 4],
        ],
        back,
      ).at(-1),
    ).toBe("poolGradTiled: avgPoolGrad tanhGrad");
  });

  it("neighboring elementwise nodes are one pass, with several results where they are wanted", () => {
    expect(stepsOf([[5, 7], [7]], (x, b) => ((y) => [y, mul(y, x)])(tanh(add(x, b))))).toEqual([
      "elementwise: add tanh mul",
    ]);
  });

  it("reshapes and what nobody needs take no step", () => {
    expect(stepsOf([[2, 6]], (x) => reshape(x, [3, 4]))).toEqual([]);
    expect(stepsOf([[2, 6]], (x) => (relu(x), tanh(reshape(x, [12]))))).toEqual([
      "elementwise: tanh",
    ]);
  });
});

it("a training step of a small network is these kernels", () => {
  const shapes = [[8, 1, 12, 12], [4, 1, 3, 3], [4], [10, 100], [10]];
  const [x, ...params] = shapes.map((s) => input(spec(s)));
  const labels = input(spec([8], "int32"));
  const [w, b, v, c] = params;
  const loss = crossEntropy(linear(flatten(maxPool(relu(bias(conv(x, w), b)), 2)), v, c), labels);
  const updated = grad(loss, params).map((g, i) => sub(params[i], mul(g, 0.1)));
  expect(steps(optimize(graphOf([x, labels, ...params], [loss, ...updated]))))
    .toMatchInlineSnapshot(`
    [
      "conv add relu",
      "pool: maxPool",
      "matmul add",
      "softmax: logSoftmax",
      "create: oneHot",
      "elementwise: crossEntropy crossEntropyGrad",
      "reduce: sum",
      "reduce: sum",
      "elementwise: logSoftmaxGrad",
      "matmul",
      "poolGradTiled: maxPoolGrad reluGrad",
      "reduce: sum",
      "reduce: sum",
      "elementwise: affine",
      "convGradWeight mul sub",
      "elementwise: mul sub",
      "matmul mul sub",
      "elementwise: mul sub",
    ]
  `);
});

it("LeNet's layers forward are these kernels", () => {
  const c1 = (x: Value, w: Value, b: Value) =>
    avgPool(scaledTanh(bias(conv(x, w, { padding: 2 }), b)), 2);
  expect(stepsOf([[1, 1, 28, 28], [6, 1, 5, 5], [6]], c1)).toEqual([
    "conv add scaledTanh",
    "pool: avgPool",
  ]);
});

describe("choice", () => {
  const x = spec([1, 8, 5, 5]);
  const w = spec([8, 1, 3, 3]);
  const depthwiseConv = trace((a, b) => conv(a, b, { groups: 8 }), [x, w]).nodes[0];
  const task: Task = {
    op: depthwiseConv.op,
    params: depthwiseConv.params,
    inputs: [x, w],
    outputs: [depthwiseConv.outputs[0].spec],
    cost: convOp.cost([x, w], depthwiseConv.params as Parameters<typeof convOp.cost>[1]),
    epilogue: null,
  };

  it("goes by the least estimate, and keeps the others", () => {
    const chosen = choose(task, selectionOf(cpu.caps, kernels));
    expect(chosen.map((c) => c.kernel.name)).toEqual(
      expect.arrayContaining(["depthwise", "igemm"]),
    );
    expect(chosen.map((c) => c.estimate)).toEqual(
      chosen.map((c) => c.estimate).toSorted((a, b) => a - b),
    );
    const [step] = cpu.compile(trace((a, b) => conv(a, b, { groups: 8 }), [x, w])).steps;
    const [first, ...others] = chosen.map(({ kernel, estimate }) => ({
      kernel: kernel.name,
      estimate,
    }));
    expect(step).toMatchObject({ ...first, others });
  });

  it("follows a list that is given", () => {
    const igemm = kernels.find((k) => k.name === "igemm")!;
    const swift: CpuKernel = { ...igemm, name: "swift", estimate: () => 0 };
    expect(choose(task, selectionOf(cpu.caps, [igemm, swift]))[0].kernel).toBe(swift);
  });

  it("wants a gain for memory that is kept", () => {
    const igemm = kernels.find((k) => k.name === "igemm")!;
    const least: CpuKernel = { ...igemm, name: "least", estimate: () => 1e-3 };
    const swift = (gain: number): CpuKernel => ({
      ...igemm,
      name: "swift",
      estimate: () => 1e-3 - gain,
      persistentBytes: () => 1e6,
    });
    expect(choose(task, selectionOf(cpu.caps, [swift(0.9e-4), least]))[0].kernel.name).toBe(
      "least",
    );
    expect(choose(task, selectionOf(cpu.caps, [least, swift(1.1e-4)]))[0].kernel.name).toBe(
      "swift",
    );
  });

  it("transforms no weights beyond 256 MiB", () => {
    const [x, w] = [spec([1, 2048, 14, 14]), spec([2048, 2048, 3, 3])];
    const { op, params, outputs } = trace((x, w) => conv(x, w, { padding: 1 }), [x, w]).nodes[0];
    const large: Task = {
      ...task,
      op,
      params,
      inputs: [x, w],
      outputs: outputs.map((v) => v.spec),
    };
    const of = (name: string) => kernels.find((k) => k.name === name)!;
    expect(of("winograd2d6").unsupportedReason!(large, cpu.caps)).toBe(
      "transforms weights to at most 268435456 bytes, not 603979776",
    );
    expect(of("winograd2d4").unsupportedReason!(large, cpu.caps)).toBeNull();
    expect(of("winograd2d4").persistentBytes!(large, cpu.caps)).toBe(2048 * 2048 * (16 - 9) * 4);
    expect(choose(large, selectionOf(cpu.caps, kernels)).map((c) => c.kernel.name)).not.toContain(
      "winograd2d8",
    );
  });

  it("names every kernel of the list once", () => {
    const names = kernels.map((k) => k.name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("unsupported ops", () => {
  const cube: Op<null> = {
    name: "cube",
    infer: ([x]) => [x],
    reference: ([x]) => [{ ...x, data: x.data.map((v) => v ** 3) }],
    vjp: () => [null],
    cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
  };

  it("are refused with the names of all kernels", () => {
    const graph = trace((x, y) => node(cube, null, [x, y]), [spec([2, 2]), spec([3], "int32")]);
    const some = kernels.filter((k) => ["reduce", "pool", "elementwise"].includes(k.name));
    const task: Task = {
      op: cube as Op<unknown>,
      params: null,
      inputs: graph.inputs.map((v) => v.spec),
      outputs: graph.outputs.map((v) => v.spec),
      cost: cube.cost([], null),
      epilogue: null,
    };
    expect(() => choose(task, selectionOf(cpu.caps, some))).toThrow(
      expect.objectContaining({
        name: "UnsupportedError",
        code: "no-kernel",
        values: {
          inputs: "float32 2×2, int32 3",
          kernels: "elementwise, reduce, pool",
          remedy: "",
        },
        message:
          "cube: no kernel of the list computes this op (inputs float32 2×2, int32 3); the list has elementwise, reduce, pool",
      }),
    );
    const names = kernels.map((k) => k.name).join(", ");
    expect(() => cpu.compile(graph)).toThrow(
      `cube: no kernel of the list computes this op (inputs float32 2×2, int32 3); the list has ${names}`,
    );
    expect(() => cpu.compile(trace((x) => node(cube, null, [sum(x)]), [spec([2, 2])]))).toThrow(
      /^cube: no kernel of the list computes this op \(inputs float32 scalar\); the list has /,
    );
  });

  it("leave no memory behind", () => {
    const before = cpu.memory();
    expect(() => cpu.compile(trace((x) => node(cube, null, [x]), [spec([2])]))).toThrow(
      UnsupportedError,
    );
    expect(cpu.memory()).toEqual(before);
  });
});
