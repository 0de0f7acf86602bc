// Kinds of convolution and layers that change space, beyond what PyTorch answers (goldens.test.ts):
// the fast back end gives the same, counts are exact, weights can be shared and tied, and every
// message in full.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { add, conv, convTranspose, grad, mul, relu, sum } from "@conv/ops";
import { evaluate, graphOf, hostArray, input, spec, type HostArray, type Node } from "@conv/tensor";
import { runOnce } from "@conv/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer } from "../src/index.ts";
import { only } from "./tiny.ts";

const {
  conv2d,
  deformConv2d,
  depthwiseConv2d,
  maxUnpool2d,
  pad2d,
  pixelShuffle,
  pixelUnshuffle,
  pytorch,
  separableConv2d,
  upsample,
} = layers;
const trace = (layer: Layer, shape: readonly number[]) => layers.traceModel(only(layer, shape));
const draw = (shape: readonly number[], seed: string): HostArray => {
  const random = layers.createRandom(seed);
  return hostArray(
    spec(shape),
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
      Math.fround(random.normal()),
    ),
  );
};

describe("on the fast back end", () => {
  let cpu: CpuBackend;
  beforeAll(async () => void (cpu = await createCpu({ threads: 2 })));
  afterAll(() => cpu.dispose());

  const made: [string, Layer, readonly number[]][] = [
    [
      "deformable, two groups of offsets",
      deformConv2d(6, 3, { padding: 1, groups: 2, offsetGroups: 2, init: pytorch }),
      [4, 9, 7],
    ],
    [
      "deformable, strided, version 1",
      deformConv2d(3, [3, 5], { stride: 2, padding: "same", modulated: false }),
      [2, 12, 13],
    ],
    [
      "separable, reflected",
      separableConv2d(8, 3, { padding: 1, paddingMode: "reflect", depthMultiplier: 2 }),
      [4, 12, 12],
    ],
    [
      "true convolution around a torus",
      conv2d(5, 3, { padding: "same", paddingMode: "circular", flipKernel: true }),
      [3, 10, 9],
    ],
    ["unpooled", maxUnpool2d(2, conv2d(4, 3, { padding: 1 })), [4, 12, 14]],
    ["doubled between pixels", upsample({ scaleFactor: 2, mode: "linear" }), [3, 14, 11]],
    [
      "to a size, corners aligned",
      upsample({ size: [9, 40], mode: "linear", alignCorners: true }),
      [3, 14, 11],
    ],
    ["tripled", upsample({ scaleFactor: 3 }), [2, 5, 6]],
    [
      "shuffled",
      layers.sequential([conv2d(12, 3), pixelShuffle(2), conv2d(2, 3), pixelUnshuffle(2)]),
      [2, 16, 7],
    ],
  ];
  test.each(made)("%s: values and gradients are those of the host", async (name, layer, shape) => {
    const { x, output, values } = layers.traceModel(only(layer, shape), { batch: 2 });
    const dy = input(output.spec);
    const graph = graphOf(
      [x, dy, ...values],
      [output, ...grad(sum(mul(output, dy)), [x, ...values])],
    );
    const given = graph.inputs.map((v, i) => draw(v.shape, `${name} ${i}`));
    const want = evaluate(graph, given);
    const got = await runOnce(cpu, graph, given);
    want.forEach((w, i) => {
      const most = w.data.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
      w.data.forEach((v, at) =>
        expect(
          Math.abs(got[i].data[at] - v),
          `output ${i} at ${at}: ${got[i].data[at]} for ${v}`,
        ).toBeLessThan(3e-5 * (1 + most)),
      );
    });
  });
});

const macsOf = (nodes: readonly Node[]) =>
  nodes.reduce(
    (total, n) =>
      total +
      n.op.cost(
        n.inputs.map((v) => v.spec),
        n.params,
      ).macs,
    0,
  );

test("multiply-adds are exact", () => {
  const macs = (layer: Layer, shape: readonly number[]) => macsOf(trace(layer, shape).graph.nodes);
  expect(macs(depthwiseConv2d(3, { depthMultiplier: 2, padding: 1 }), [8, 10, 10])).toBe(
    16 * 100 * 9,
  );
  expect(macs(separableConv2d(32, 3, { padding: 1 }), [8, 10, 10])).toBe(
    8 * 100 * 9 + 32 * 100 * 8,
  );
  expect(macs(conv2d(4, 3, { padding: 1, paddingMode: "reflect" }), [2, 5, 6])).toBe(
    4 * 30 * 2 * 9,
  );
  // The convolutions that make offsets and masks, then the taps themselves.
  expect(macs(deformConv2d(4, 3, { padding: 1 }), [2, 5, 6])).toBe((18 + 9 + 4) * 30 * 2 * 9);
  expect(macs(upsample({ scaleFactor: 2, mode: "linear" }), [2, 5, 6])).toBe(0);
});

test("channels last, and an activation behind", () => {
  const last: [Layer, readonly number[], readonly number[]][] = [
    [
      separableConv2d(6, 3, { layout: "channels-last", activation: "relu", name: "sep" }),
      [8, 9, 4],
      [6, 7, 6],
    ],
    [depthwiseConv2d(3, { layout: "channels-last", depthMultiplier: 2 }), [8, 9, 4], [6, 7, 8]],
    [deformConv2d(6, 3, { layout: "channels-last" }), [8, 9, 4], [6, 7, 6]],
    [pad2d([1, 2], "reflect", { layout: "channels-last" }), [8, 9, 4], [10, 13, 4]],
    [
      upsample({ scaleFactor: 2, layout: "channels-last", activation: "tanh" }),
      [8, 9, 4],
      [16, 18, 4],
    ],
    [pixelShuffle(2, { layout: "channels-last" }), [8, 9, 4], [16, 18, 1]],
    [pixelUnshuffle(3, { layout: "channels-last" }), [6, 9, 1], [2, 3, 9]],
    [maxUnpool2d(2, conv2d(4, 1), { layout: "channels-last" }), [8, 9, 4], [8, 9, 4]],
  ];
  for (const [layer, shape, want] of last)
    expect(trace(layer, shape).output.shape, layer.type).toEqual([1, ...want]);
  expect(trace(layers.sequential([last[0][0]]), [8, 9, 4]).entries.map((e) => e.name)).toEqual([
    "sep.depthwise.weight",
    "sep.pointwise.weight",
    "sep.pointwise.bias",
  ]);
});

test("deformable convolution begins as the plain one", () => {
  const [shape, weight, x] = [[2, 6, 5], draw([3, 2, 3, 3], "weight"), draw([1, 2, 6, 5], "x")];
  const plain = trace(conv2d(3, 3, { padding: 1, bias: false }), shape);
  const { graph, entries } = trace(deformConv2d(3, 3, { padding: 1, bias: false }), shape);
  const state = layers.initialize(only(deformConv2d(3, 3, { padding: 1, bias: false }), shape), 1);
  const given = entries.map((e) =>
    e.name === "weight" ? weight : hostArray(e.spec, Float64Array.from(state.get(e.name)!.data)),
  );
  const [got] = evaluate(graph, [x, ...given]);
  const [want] = evaluate(plain.graph, [x, weight]);
  got.data.forEach((v, i) => expect(v).toBeCloseTo(want.data[i], 10));
});

describe("one tensor in two places", () => {
  test("a layer used twice under one name has one weight, whose gradient is the sum of both uses", () => {
    const step = depthwiseConv2d(3, { padding: 1, bias: false, activation: "tanh" });
    const twice: Layer = {
      type: "twice",
      forward: (x, ctx) => ctx.child("step", step, ctx.child("step", step, x)),
    };
    const { entries, graph } = trace(twice, [2, 4, 4]);
    expect(entries.map((e) => e.name)).toEqual(["step.weight"]);
    expect(graph.nodes.filter((n) => n.op.name === "conv")).toHaveLength(2);
  });

  test("a decoder tied to its encoder", () => {
    const tied: Layer = {
      type: "tied",
      forward(x, ctx) {
        const weight = ctx.param("weight", [4, x.shape[1], 3, 3], (shape, random) =>
          pytorch(shape, random, { in: 9, out: 36 }),
        );
        return convTranspose(relu(conv(x, weight)), weight);
      },
    };
    const model = trace(tied, [1, 6, 6]);
    expect(model.entries.map((e) => e.name)).toEqual(["weight"]);
    expect(model.output.shape).toEqual([1, 1, 6, 6]);
    const [w, dy] = [model.values[0], input(model.output.spec)];
    // The same with two weights: the tied gradient is the sum of theirs.
    const [w1, w2] = [input(w.spec), input(w.spec)];
    const apart = convTranspose(relu(conv(model.x, w1)), w2);
    const given = [draw([1, 1, 6, 6], "x"), draw([1, 1, 6, 6], "dy"), draw([4, 1, 3, 3], "w")];
    const [together] = evaluate(
      graphOf([model.x, dy, w], grad(sum(mul(model.output, dy)), [w])),
      given,
    );
    const [d1, d2] = grad(sum(mul(apart, dy)), [w1, w2]);
    const [both] = evaluate(graphOf([model.x, dy, w1, w2], [add(d1, d2)]), [...given, given[2]]);
    together.data.forEach((v, i) => expect(v).toBeCloseTo(both.data[i], 10));
  });
});

const messages: [Layer, readonly number[], string][] = [
  [
    depthwiseConv2d(3),
    [4, 5],
    "depthwiseConv2d: input has 3 axes, needs 4 (batch, channels and 2 spatial)",
  ],
  [separableConv2d(4, 3, { inChannels: 3 }), [2, 5, 5], "conv2d: inChannels is 3, input has 2"],
  [
    conv2d(4, 3, { padding: 5, paddingMode: "reflect" }),
    [2, 5, 5],
    "padWith: reflect padding 5 + 5 takes more than input 5 has, at most 4 (axis h)",
  ],
  [
    deformConv2d(4, 3, { groups: 3 }),
    [4, 5, 5],
    "deformConv2d: 4 input channels do not divide into 3 groups; use groups that divide 4",
  ],
  [
    deformConv2d(4, 3, { offsetGroups: 3 }),
    [4, 5, 5],
    "deformConv2d: offset has shape 1×54×3×3, needs 1×18·groups×3×3 with groups that divide 4 channels",
  ],
  [pad2d([1, 2, 3]), [1, 4, 4], "pad2d: padding has 3 entries for 2 spatial axes"],
  [pad2d(-1), [1, 4, 4], "pad2d: padding -1 is not a whole number ≥ 0 (axis h)"],
  [upsample({}), [1, 4, 4], "upsample: give one of size and scaleFactor"],
  [upsample({ scaleFactor: 2, size: 8 }), [1, 4, 4], "upsample: give one of size and scaleFactor"],
  [
    upsample({ scaleFactor: 2, alignCorners: true }),
    [1, 4, 4],
    "upsample: alignCorners is for linear interpolation",
  ],
  [
    upsample({ scaleFactor: [2, 2, 2] }),
    [1, 4, 4],
    "upsample: scaleFactor has 3 entries for 2 spatial axes",
  ],
  [
    upsample({ scaleFactor: 0.1 }),
    [1, 4, 4],
    "upsample: size 0 is not a whole number ≥ 1 (axis h)",
  ],
  [upsample({ scaleFactor: 2 }), [1, 4, 0], "upsample: size 0 is not a whole number ≥ 1 (axis w)"],
  [upsample({ size: 2 }), [1, 4, 0], "upsample: input is empty (axis w)"],
  [
    upsample({ scaleFactor: 2 }),
    [4],
    "upsample: input has 2 axes, needs batch, channels and at least one spatial axis",
  ],
  [pixelShuffle(2), [6, 4, 4], "pixelShuffle: 6 channels do not divide by 2^2 = 4"],
  [pixelShuffle(0), [6, 4, 4], "pixelShuffle: factor 0 is not a whole number ≥ 1"],
  [pixelUnshuffle(3), [1, 6, 7], "pixelUnshuffle: size 7 does not divide by 3 (axis w)"],
  [
    pixelUnshuffle(3),
    [6],
    "pixelUnshuffle: input has 2 axes, needs batch, channels and at least one spatial axis",
  ],
  [
    maxUnpool2d(2, conv2d(4, 3)),
    [2, 8, 8],
    "maxUnpool2d: the inner layer returns 1×4×2×2, the pooled input has 1×2×4×4; use an inner layer that keeps the shape",
  ],
];
test.each(messages)("message %#", (layer, shape, message) =>
  expect(() => trace(layer, shape)).toThrow(message),
);
test("depthMultiplier", () =>
  expect(() => depthwiseConv2d(3, { depthMultiplier: 0 })).toThrow(
    "depthwiseConv2d: depthMultiplier 0 is not a whole number ≥ 1",
  ));
