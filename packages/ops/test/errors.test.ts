// The full text of every message, and that a wrong call fails before anything is built.

import {
  createHost,
  input,
  isConvError,
  ShapeError,
  spec,
  tensor,
  trace,
  Value,
  within,
  type DType,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const ints = (...shape: number[]): Value => input(spec(shape, "int32"));
const g = ops.convGeometry(spec([1, 2, 5, 5]), spec([3, 2, 3, 3]));
const p = ops.poolGeometry(spec([1, 2, 4, 4]), 2);
const avg = { ...p, countIncludePad: true };
const apply = (
  op: {
    infer(inputs: readonly { shape: readonly number[]; dtype: DType }[], params: never): unknown;
  },
  params: object,
  ...inputs: Value[]
) =>
  op.infer(
    inputs.map((v) => v.spec),
    params as never,
  );

const messages: Record<string, [() => unknown, string][]> = {
  conv: [
    [
      () => ops.conv(x(3, 5), x(3, 5)),
      "conv: input has 2 axes, needs batch, channels and at least one spatial axis",
    ],
    [() => ops.conv(x(1, 3, 5, 5), x(3, 3, 5)), "conv: weight has 3 axes, input has 4"],
    [
      () => ops.conv(x(1, 4, 5), x(4, 2, 3), { groups: 0 }),
      "conv: groups 0 is not a whole number ≥ 1",
    ],
    [
      () => ops.conv(x(1, 3, 5), x(4, 1, 3), { groups: 2 }),
      "conv: 3 input channels do not divide into 2 groups; use groups that divide 3",
    ],
    [
      () => ops.conv(x(1, 4, 5), x(3, 2, 3), { groups: 2 }),
      "conv: 3 output channels do not divide into 2 groups; use groups that divide 3",
    ],
    [
      () => ops.conv(x(1, 4, 5), x(2, 4, 3), { groups: 2 }),
      "conv: weight takes 4 channels × 2 groups = 8, input has 4",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 0)),
      "conv: kernel 0 is not a whole number ≥ 1 (axis w)",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { stride: [1, 0] }),
      "conv: stride 0 is not a whole number ≥ 1 (axis w)",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { stride: [1, 1, 1] }),
      "conv: stride has 3 entries for 2 spatial axes",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { stride: null as never }),
      "conv: stride is null, must be a whole number ≥ 1 or a list of 2, one for each spatial axis",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { stride: ["3", 1] as never }),
      'conv: stride "3" is not a whole number ≥ 1 (axis h)',
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { padding: null as never }),
      "conv: padding is null, must be a whole number ≥ 0, a pair [before, after] or a name (axis h)",
    ],
    [
      () => ops.conv(x(1, 1, 5), x(1, 1, 3), { padding: [[1, 2, 3]] as never }),
      "conv: padding is Array, must be a whole number ≥ 0, a pair [before, after] or a name (axis w)",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5, 5), x(1, 1, 3, 3, 3), { dilation: [0.5, 1, 1] }),
      "conv: dilation 0.5 is not a whole number ≥ 1 (axis d)",
    ],
    [
      () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { padding: -1 }),
      "conv: padding -1 is not a whole number ≥ 0 (axis h)",
    ],
    [
      () => ops.conv(x(1, 1, 5), x(1, 1, 3), { padding: [[0, -2]] }),
      "conv: padding -2 is not a whole number ≥ 0 (axis w)",
    ],
    [
      () => ops.conv(x(1, 1, 7, 9), x(1, 1, 5, 3), { dilation: 2 }),
      "conv: kernel 5 with dilation 2 covers 9 positions, but the padded input has 7; use dilation ≤ 1 or more padding (axis h)",
    ],
    [
      () => ops.conv(x(1, 1, 2, 2, 2, 2), x(1, 1, 1, 1, 1, 3)),
      "conv: kernel 3 with dilation 1 covers 3 positions, but the padded input has 2; use a smaller kernel or more padding (axis 3)",
    ],
    [
      () => apply(ops.convOp, g, x(1, 2, 5, 4), x(3, 2, 3, 3)),
      "conv: x has shape 1×2×5×4, the geometry has 1×2×5×5",
    ],
    [
      () => apply(ops.convOp, g, x(1, 2, 5, 5), x(3, 2, 3, 2)),
      "conv: w has shape 3×2×3×2, the geometry has 3×2×3×3",
    ],
    [
      () => apply(ops.convOp, g, ints(1, 2, 5, 5), x(3, 2, 3, 3)),
      "conv: x is int32, must be float32",
    ],
    [
      () => apply(ops.convGradInputOp, g, x(1, 3, 5, 5), x(3, 2, 3, 3)),
      "convGradInput: y has shape 1×3×5×5, the geometry has 1×3×3×3",
    ],
    [
      () => apply(ops.convGradWeightOp, g, x(1, 3, 3, 3), x(1, 2, 5, 4)),
      "convGradWeight: x has shape 1×2×5×4, the geometry has 1×2×5×5",
    ],
  ],
  convTranspose: [
    [
      () => ops.convTranspose(x(3, 5), x(3, 5)),
      "convTranspose: input has 2 axes, needs batch, channels and at least one spatial axis",
    ],
    [() => ops.convTranspose(x(1, 3, 5), x(3, 5)), "convTranspose: weight has 2 axes, input has 3"],
    [
      () => ops.convTranspose(x(1, 3, 5), x(4, 2, 3)),
      "convTranspose: weight takes 4 channels, input has 3",
    ],
    [
      () => ops.convTranspose(x(1, 3, 5), x(3, 2, 3), { groups: 1.5 }),
      "convTranspose: groups 1.5 is not a whole number ≥ 1",
    ],
    [
      () => ops.convTranspose(x(1, 3, 5), x(3, 2, 3), { groups: 2 }),
      "convTranspose: 3 input channels do not divide into 2 groups; use groups that divide 3",
    ],
    [
      () => ops.convTranspose(x(1, 3, 5), x(3, 2, 3), { outputPadding: 1 }),
      "convTranspose: outputPadding 1 must be smaller than stride 1 or dilation 1; use at most 0 (axis w)",
    ],
    [
      () => ops.convTranspose(x(1, 3, 1, 5), x(3, 2, 3, 3), { padding: [2, 0] }),
      "convTranspose: padding 2 + 2 leaves output size -1; use less padding (axis h)",
    ],
  ],
  pool: [
    [
      () => ops.maxPool(x(3, 5), 2),
      "maxPool: input has 2 axes, needs batch, channels and at least one spatial axis",
    ],
    [() => ops.maxPool(x(1, 3, 5, 5), 0), "maxPool: kernel 0 is not a whole number ≥ 1 (axis h)"],
    [
      () => ops.avgPool(x(1, 3, 5, 5), [2, 2, 2]),
      "avgPool: kernel has 3 entries for 2 spatial axes",
    ],
    [
      () => ops.avgPool(x(1, 3, 5, 5), 2, { stride: 0 }),
      "avgPool: stride 0 is not a whole number ≥ 1 (axis h)",
    ],
    [
      () => ops.maxPool(x(1, 3, 5, 2), 3),
      "maxPool: kernel 3 with dilation 1 covers 3 positions, but the padded input has 2; use a smaller kernel or more padding (axis w)",
    ],
    [
      () => ops.maxPool(x(1, 3, 5), 2, { padding: 2 }),
      "maxPool: the window of output 0 sees padding only (padding 2 + 2, input 5) (axis w)",
    ],
    [
      () => ops.avgPool(x(1, 1, 1, 1), 2, { dilation: 2, padding: 1 }),
      "avgPool: the window of output 0 sees padding only (padding 1 + 1, input 1) (axis h)",
    ],
    [
      () => apply(ops.maxPoolOp, p, x(1, 2, 4, 5)),
      "maxPool: x has shape 1×2×4×5, the geometry has 1×2×4×4",
    ],
    [() => apply(ops.maxPoolOp, p, ints(1, 2, 4, 4)), "maxPool: x is int32, must be float32"],
    [
      () => apply(ops.maxPoolGradOp, p, x(1, 2, 4, 4), x(1, 2, 4, 4)),
      "maxPoolGrad: dy has shape 1×2×4×4, the geometry has 1×2×2×2",
    ],
    [
      () => apply(ops.maxPoolPickOp, p, x(1, 2, 4, 4), x(1, 2, 2, 2)),
      "maxPoolPick: v has shape 1×2×2×2, the geometry has 1×2×4×4",
    ],
    [
      () => apply(ops.avgPoolOp, avg, x(2, 2, 4, 4)),
      "avgPool: x has shape 2×2×4×4, the geometry has 1×2×4×4",
    ],
    [
      () => apply(ops.avgPoolGradOp, avg, x(1, 2, 4, 4)),
      "avgPoolGrad: dy has shape 1×2×4×4, the geometry has 1×2×2×2",
    ],
  ],
  elementwise: [
    [() => ops.add(x(2, 3), x(2, 4)), "add: shapes 2×3 and 2×4 do not broadcast (axis 1)"],
    [
      () => ops.mul(x(2, 3), x(5, 1, 3, 3)),
      "mul: shapes 2×3 and 5×1×3×3 do not broadcast (axis 2)",
    ],
    [() => ops.relu(ints(3)), "relu: input 0 is int32, must be float32"],
    [() => ops.add(x(3), ints(3)), "add: input 1 is int32, must be float32"],
    [() => ops.div(x(3), Infinity), "div: constant Infinity is not finite"],
    [() => ops.leakyRelu(x(3), NaN), "leakyRelu: constant NaN is not finite"],
  ],
  reduce: [
    [() => ops.sum(x(2, 3), 2), "sum: axis 2 is not one of 2 axes"],
    [() => ops.sum(x(2, 3), [0, -3]), "sum: axis -3 is not one of 2 axes"],
    [() => ops.max(x(2, 3), [1, -1]), "max: axes 1,1 name one axis twice"],
    [() => ops.sum(ints(3)), "sum: input is int32, must be float32"],
    [() => ops.max(x(2, 0), 1), "max: there is no maximum over 0 elements (axis 1)"],
    [() => ops.mean(x(2, 0)), "mean: there is nothing to average in shape 2×0"],
    [() => apply(ops.sumOp, { axes: [1, 0] }, x(2, 3)), "sum: axes 1,0 are not ascending"],
    [() => apply(ops.sumOp, { axes: [5] }, x(2, 3)), "sum: axis 5 is not one of 2 axes"],
    [() => ops.broadcastTo(x(2, 3), [2, 4]), "broadcastTo: shape 2×3 does not broadcast to 2×4"],
    [() => ops.broadcastTo(x(2, 3), [3]), "broadcastTo: shape 2×3 does not broadcast to 3"],
    [() => ops.sumTo(x(2, 3), [2]), "sumTo: shape 2 does not broadcast to 2×3"],
  ],
  move: [
    [() => ops.reshape(x(2, 3), [4, 2]), "reshape: 2×3 holds 6 elements, 4×2 holds 8"],
    [() => ops.reshape(x(2, 3), [-1, 4]), "reshape: 6 elements of 2×3 do not fill ?×4"],
    [() => ops.reshape(x(2, 3), [-1, -1]), "reshape: 6 elements of 2×3 do not fill ?×-1"],
    [() => ops.reshape(x(0, 3), [-1, 0]), "reshape: 0 elements of 0×3 do not fill ?×0"],
    [() => ops.reshape(x(2, 3), [-2, -3]), "spec: size -2 is not a whole number ≥ 0 (axis 0)"],
    [() => ops.flatten(x(2), 1), "flatten: axis 1 is not one of 1 axes"],
    [
      () => ops.transpose(x(2, 3), [0, 0]),
      "transpose: order 0,0 does not name each of 2 axes once",
    ],
    [() => ops.transpose(x(2, 3), [1]), "transpose: order 1 does not name each of 2 axes once"],
    [() => ops.pad(x(2, 3), [1], [1, 1]), "pad: lo has 1 entries for 2 axes"],
    [() => ops.pad(x(2, 3), [1, 1], [1, -1]), "pad: hi -1 is not a whole number ≥ 0 (axis 1)"],
    [() => ops.slice(x(2, 3), [0, 2], [2, 2]), "slice: start 2 + size 2 = 4, input has 3 (axis 1)"],
    [() => ops.slice(x(2, 3), [0], [2, 2]), "slice: start has 1 entries for 2 axes"],
    [
      () => ops.slice(x(2, 3), [0, 0], [2, 0.5]),
      "slice: size 0.5 is not a whole number ≥ 0 (axis 1)",
    ],
    [() => ops.concat([]), "concat: there is no input; give at least one"],
    [() => ops.concat([x(2, 3), x(2, 3)], 2), "concat: axis 2 is not one of 2 axes"],
    [() => apply(ops.concatOp, { axis: 2 }, x(2, 3)), "concat: axis 2 is not one of 2 axes"],
    [
      () => ops.concat([x(2, 3), x(3, 3)], 1),
      "concat: input 1 has shape 3×3, input 0 has 2×3; they may differ on axis 1 only",
    ],
    [
      () => ops.concat([x(2, 3), x(2)], 0),
      "concat: input 1 has shape 2, input 0 has 2×3; they may differ on axis 0 only",
    ],
    [() => ops.concat([x(2), ints(2)]), "concat: input 1 is int32, input 0 is float32"],
  ],
  create: [
    [() => ops.full([2], NaN), "full: value NaN is not finite"],
    [() => ops.full([-1], 0), "spec: size -1 is not a whole number ≥ 0 (axis 0)"],
    [() => ops.random(x(2), [3]), "random: seed is float32 2, must be int32 2"],
    [() => ops.random(ints(3), [3]), "random: seed is int32 3, must be int32 2"],
    [() => ops.oneHot(x(2), 3), "oneHot: labels are float32, must be int32"],
    [() => ops.oneHot(ints(2), 0), "oneHot: classes 0 is not a whole number ≥ 1"],
  ],
  matmul: [
    [() => ops.matmul(x(2), x(2, 3)), "matmul: a has 1 axes, b has 2; both need at least 2"],
    [
      () => ops.matmul(x(2, 3), x(2, 3)),
      "matmul: a is 2×3 and b is 2×3: the inner sizes 3 and 2 differ",
    ],
    [
      () => ops.matmul(x(3, 2), x(4, 2), { transposeA: true, transposeB: true }),
      "matmul: a is 2×3 and b is 2×4: the inner sizes 3 and 2 differ",
    ],
    [() => ops.matmul(x(2, 2, 3), x(3, 3, 2)), "matmul: batch axes of a 2×2×3 and b 3×3×2 differ"],
    [() => ops.matmul(ints(2, 3), x(3, 2)), "matmul: a is int32, must be float32"],
    [() => ops.matmul(x(2, 3), ints(3, 2)), "matmul: b is int32, must be float32"],
    [() => ops.linear(x(2, 3), x(4, 5)), "linear: weight takes 5 features, input has shape 2×3"],
    [() => ops.linear(x(2, 3), x(3)), "linear: weight has 1 axes, must have 2"],
    [() => ops.linear(x(2, 3), x(4, 3), x(3)), "linear: bias has shape 3, weight gives 4 features"],
  ],
  softmax: [
    [() => ops.softmax(x()), "softmax: axis 1 is not one of 0 axes"],
    [() => ops.logSoftmax(x(2, 3), 2), "logSoftmax: axis 2 is not one of 2 axes"],
    [() => ops.softmax(ints(3, 3)), "softmax: input is int32, must be float32"],
    [() => apply(ops.softmaxOp, { axis: -1 }, x(3)), "softmax: axis -1 is not one of 1 axes"],
  ],
  loss: [
    [
      () => ops.crossEntropy(x(3, 10), ints(2)),
      "crossEntropy: logits 3×10 and labels 2 are not n×classes and n",
    ],
    [
      () => ops.crossEntropy(x(10), ints(10)),
      "crossEntropy: logits 10 and labels 10 are not n×classes and n",
    ],
    [() => ops.crossEntropy(x(0, 10), ints(0)), "crossEntropy: the batch is empty (axis 0)"],
    [() => ops.squaredError(x(3, 1), x(3)), "squaredError: output has shape 3×1, target has 3"],
    [() => ops.grad(x(2), []), "grad: y has shape 2, must have one element"],
    [() => ops.grad(ints(), []), "grad: y is int32, must be float32"],
    [() => ops.grad(x(), [x(3), ints(2)]), "grad: value 1 is int32, must be float32"],
  ],
};

describe.each(Object.entries(messages))("%s", (_, list) => {
  test.each(list.map(([call, message]) => ({ message, call })))("$message", ({ call, message }) => {
    expect(call).toThrow(expect.objectContaining({ message }));
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(expect.objectContaining({ code: expect.stringMatching(/^[a-z-]+$/) }));
  });
});

const facts: [() => unknown, string, object, string?][] = [
  [
    () => ops.conv(x(1, 1, 7, 9), x(1, 1, 5, 3), { dilation: 2 }),
    "kernel-exceeds-input",
    { kernel: 5, dilation: 2, span: 9, padded: 7, remedy: "dilation ≤ 1" },
    "h",
  ],
  [
    () => ops.maxPool(x(1, 3, 5, 2), 3),
    "kernel-exceeds-input",
    { kernel: 3, dilation: 1, span: 3, padded: 2, remedy: "a smaller kernel" },
    "w",
  ],
  [
    () => ops.conv(x(1, 4, 5), x(3, 2, 3), { groups: 2 }),
    "channels-not-divisible",
    { what: "output channels", channels: 3, groups: 2 },
  ],
  [
    () => ops.conv(x(1, 4, 5), x(2, 4, 3), { groups: 2 }),
    "weight-channels",
    { perGroup: 4, groups: 2, weight: 8, input: 4 },
  ],
  [
    () => ops.convTranspose(x(1, 3, 5), x(3, 2, 3), { outputPadding: 1 }),
    "output-padding-too-large",
    { outputPadding: 1, stride: 1, dilation: 1, most: 0 },
    "w",
  ],
  [
    () => ops.convTranspose(x(1, 3, 1, 5), x(3, 2, 3, 3), { padding: [2, 0] }),
    "output-empty",
    { padLo: 2, padHi: 2, size: -1 },
    "h",
  ],
  [
    () => ops.conv(x(1, 1, 5, 5), x(1, 1, 3, 3), { stride: [1, 0] }),
    "not-whole",
    { what: "stride", value: 0, min: 1 },
    "w",
  ],
];

test.each(facts)(
  "errors of geometry carry a code and their numbers: %s %s",
  (call, code, values, axis) => {
    let error: unknown;
    try {
      call();
    } catch (caught) {
      error = caught;
    }
    if (!isConvError(error)) throw new Error("no error with a code was thrown");
    expect([error.code, error.values, error.axis]).toEqual([code, values, axis]);
  },
);

test("maps too large to be made are refused at once", () => {
  expect(() => ops.upsample(x(1, 1, 3, 3), { scaleFactor: 1e9 })).toThrow(
    "upsample: size 3000000000 is more than 1048576, the most that an axis may have (axis h)",
  );
  expect(() => ops.upsample(x(1, 1, 3), { size: 2 ** 20 + 1 })).toThrow(
    "upsample: size 1048577 is more than 1048576",
  );
});

test("inside a module the path leads the message", () => {
  expect(() => within("features.3", () => ops.add(x(2), x(3)))).toThrow(
    expect.objectContaining({
      message: "features.3: add: shapes 2 and 3 do not broadcast (axis 0)",
      code: "shapes-not-broadcastable",
      values: { shapes: "2 and 3" },
      op: "add",
      axis: 0,
    }),
  );
});

test("tensors and traced values, and tensors of two back ends, do not mix", () => {
  const one = createHost();
  const t = tensor(one, [1, 2]);
  const two = tensor(createHost(), [1, 2]);
  expect(() => trace((v) => (ops.add<Value | typeof t>(v, t), v), [spec([2])])).toThrow(
    expect.objectContaining({
      name: "ShapeError",
      message:
        "add: tensors and traced values are mixed; make the tensor an input of the traced function",
      code: "tensors-and-values",
    }),
  );
  expect(() => ops.add(t, two)).toThrow(
    expect.objectContaining({
      name: "UnsupportedError",
      message: "add: inputs live on different back ends (host, host)",
      code: "backends-differ",
      values: { backends: "host, host" },
    }),
  );
  expect(one.memory().buffers).toBe(1);
});

test("gradients are of traced values: tensors are refused by name", () => {
  const t = tensor(createHost(), [1]);
  const grad = ops.grad as (y: Value | typeof t, wrt: readonly (Value | typeof t)[]) => unknown;
  const error = expect.objectContaining({
    name: "ShapeError",
    message:
      "grad: takes traced values, got Tensor; call it inside a function given to jit or trace",
    code: "not-traced",
    values: { got: "Tensor" },
  });
  expect(() => grad(t, [t])).toThrow(error);
  expect(() => trace((v) => (grad(ops.sum(v), [t]), v), [spec([2])])).toThrow(error);
});

test("tensors fail as values do, and leave nothing behind", () => {
  const host = createHost();
  const t = tensor(host, [1, 2, 3]);
  expect(() => ops.matmul(t, t)).toThrow(
    expect.objectContaining({
      name: "ShapeError",
      message: "matmul: a has 1 axes, b has 1; both need at least 2",
      code: "rank",
      values: { a: 1, b: 1 },
    }),
  );
  expect(host.memory()).toEqual({ buffers: 1, bytes: 12, programs: 0, programBytes: 0 });
});
