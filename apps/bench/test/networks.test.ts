import {
  batchNorm2d,
  branches,
  conv2d,
  dropout,
  linear,
  maxPool2d,
  pipe,
  relu,
  relu6,
  residual,
  sequential,
  traceModel,
  avgPool2d,
  adaptiveAvgPool2d,
  flatten,
  softmax,
} from "@conv/layers";
import type { Layer } from "@conv/layers";
import { evaluate, hostArray, sizeOf } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { evaluate64, evaluateBatch64, judgeBatch, judgeOutputs } from "../src/judge.ts";
import { lower } from "../src/lower.ts";
import { defaultNetworks, networkCase } from "../src/networks.ts";
import { networkModel } from "../src/onnx.ts";
import { operand } from "../src/random.ts";

const layer: Layer = sequential({
  stem: sequential([
    conv2d(4, 3, { stride: 2, padding: 1, bias: false }),
    pipe(batchNorm2d({ eps: 0.25 }), relu6()),
    maxPool2d(2),
  ]),
  block: pipe(residual(conv2d(4, 3, { padding: 1, groups: 2 })), relu()),
  fire: branches([conv2d(2, 1), conv2d(3, 1, { bias: false })]),
  pools: pipe(avgPool2d(2), adaptiveAvgPool2d(1), flatten(), dropout()),
  out: linear(6),
});
const traced = traceModel({ name: "tiny", input: [3, 17, 15], layer });

test("a network in the operators that peers know", () => {
  const { input, output, weights, nodes } = lower(traced);
  expect(nodes.map(({ op, inputs, output: y }) => `${y} = ${op}(${inputs.join(", ")})`)).toEqual([
    "v0 = Conv(x, stem.0.weight)",
    "v1 = BatchNormalization(v0, stem.1.weight, stem.1.bias, stem.1.running_mean, stem.1.running_var)",
    "v2 = Clip(v1)",
    "v3 = MaxPool(v2)",
    "v4 = Conv(v3, block.weight, block.bias)",
    "v5 = Add(v4, v3)",
    "v6 = Relu(v5)",
    "v7 = Conv(v6, fire.0.weight, fire.0.bias)",
    "v8 = Conv(v6, fire.1.weight)",
    "v9 = Concat(v7, v8)",
    "v10 = AveragePool(v9)",
    "v11 = GlobalAveragePool(v10)",
    "v12 = Flatten(v11)",
    "v13 = Gemm(v12, out.weight, out.bias)",
  ]);
  expect(nodes[0].attributes).toEqual({
    dilations: [1, 1],
    group: 1,
    kernel_shape: [3, 3],
    pads: [1, 1, 1, 1],
    strides: [2, 2],
  });
  expect(nodes[1].attributes).toEqual({ epsilon: 0.25 });
  expect(nodes[13].attributes).toEqual({ transA: 0, transB: 1 });
  expect([input, output]).toEqual([
    { name: "x", shape: [1, 3, 17, 15] },
    { name: "v13", shape: [1, 6] },
  ]);
  expect(weights.map((w) => w.name)).toEqual(traced.entries.map((e) => e.name));
});

test("what no network has needed yet is refused", () => {
  const of = (odd: Layer) => () => lower(traceModel({ name: "odd", input: [2, 4, 4], layer: odd }));
  expect(of(softmax())).toThrow(new Error("ONNX: no form for softmax"));
  expect(of(flatten(2))).toThrow("ONNX: no form for reshape of 1×2×4×4 to 1×2×16");
});

test("the model holds the weights that are used, epsilon as a float, and the bounds of relu6", () => {
  const peers = lower(traced);
  const bytes = networkModel(
    peers,
    traced.entries.map((e) => operand(1, sizeOf(e.spec.shape))),
  );
  const text = Buffer.from(bytes).toString("latin1");
  for (const name of ["stem.1.running_var", "out.bias", "BatchNormalization", "zero", "six"])
    expect(text).toContain(name);
  expect(text).not.toContain("num_batches_tracked");
  // field 2, fixed32: 0.25; type 1
  expect(text).toContain(`epsilon\x15${String.fromCharCode(0, 0, 0x80, 0x3e)}\xa0\x01\x01`);
});

describe("the judge", () => {
  const inputs = traced.graph.inputs.map((v, i) =>
    operand(i + 1, sizeOf(v.shape)).map((x) => Math.abs(x)),
  );
  const want = evaluate64(traced.graph, inputs);

  test("is the reference of the host", () => {
    const [y] = evaluate(
      traced.graph,
      traced.graph.inputs.map((v, i) => hostArray(v.spec, Float64Array.from(inputs[i]))),
    );
    expect(want).toHaveLength(6);
    y.data.forEach((v, i) => expect(want[i]).toBeCloseTo(v, 12));
  });

  test("takes answers within rounding, and no others", () => {
    const near = Float32Array.from(want);
    expect(judgeOutputs(want, near)).toMatchObject({ verified: true, checked: 6 });
    expect(judgeOutputs(Float64Array.of(1, 2, 3), Float32Array.of(1, 2, 3.1))).toEqual({
      verified: false,
      checked: 3,
      error: expect.closeTo(0.1 / Math.sqrt(2 / 3), 6),
      reason:
        "output 2 is 3.0999999046325684, expected 3: off by 1.2e-1 standard deviations of all",
    });
    expect(judgeOutputs(Float64Array.of(1, 2), Float32Array.of(1, NaN)).reason).toBe(
      "output 1 is NaN",
    );
    expect(judgeOutputs(Float64Array.of(1, 2), Float32Array.of(1)).reason).toBe(
      "1 outputs, expected 2",
    );
  });
});

test.each(defaultNetworks.filter((name) => name !== "vgg16"))(
  "%s can be lowered, and its weights are sane",
  (name) => {
    const { operands, peers, graph } = networkCase(name, 2);
    expect(peers.input.shape).toEqual([2, 3, 224, 224]);
    expect(operands.map((o) => o.length)).toEqual(graph.inputs.map((v) => sizeOf(v.shape)));
    const variance = peers.weights.flatMap(({ name: weight }, i) =>
      weight.endsWith("running_var") ? [...operands[i + 1]] : [],
    );
    for (const v of variance) expect(Math.abs(v - 1)).toBeLessThanOrEqual(0.5);
  },
);

test("of a batch the first and the last image are judged, and all must be finite", () => {
  const batch = 3;
  const weights = traced.graph.inputs
    .slice(1)
    .map((v, i) => operand(i + 2, sizeOf(v.shape)).map((x) => Math.abs(x)));
  const images = operand(1, batch * sizeOf(traced.x.shape)).map((x) => Math.abs(x));
  const expected = evaluateBatch64(traced.graph, batch, [images, ...weights]);
  expect(expected.images).toEqual([0, 2]);
  const whole = Float32Array.from(
    evaluate64(traceModel({ name: "tiny", input: [3, 17, 15], layer }, { batch }).graph, [
      images,
      ...weights,
    ]),
  );
  expect(judgeBatch(expected, whole)).toMatchObject({ verified: true, checked: 12 });
  expect(judgeBatch(expected, whole.subarray(1)).reason).toBe("17 outputs, expected 18");
  expect(judgeBatch(expected, whole.with(7, NaN)).reason).toBe("output 7 is NaN");
  const off = judgeBatch(expected, whole.with(13, whole[13] + 10));
  expect(off.verified).toBe(false);
  expect(off.reason).toContain("output 1 is ");
});
