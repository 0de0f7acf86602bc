// Costs by formula and windows by geometry; nothing is timed.

import { costOf as costOfNode, input, spec, type Cost, type Node, type Value } from "@conv/tensor";
import { expect, test } from "vitest";
import * as ops from "../src/index.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const ints = (...shape: number[]): Value => input(spec(shape, "int32"));

const nodeOf = (v: Value): Node => v.node!;
const windowsOf = (v: Value) => nodeOf(v).op.window?.(nodeOf(v).params);
const costOf = (v: Value): Cost => costOfNode(nodeOf(v));
const moved = (flops: number, read: number, written: number): Cost => ({
  macs: 0,
  flops,
  bytesRead: 4 * read,
  bytesWritten: 4 * written,
});

test("convolution counts n·oc·|output|·(ic/groups)·|kernel| products, padding too", () => {
  // LeNet-5's C1 and C3, and a grouped, strided, padded one.
  expect(costOf(ops.conv(x(1, 1, 28, 28), x(6, 1, 5, 5), { padding: 2 }))).toEqual({
    macs: 6 * 28 * 28 * 25,
    flops: 2 * 6 * 28 * 28 * 25,
    bytesRead: 4 * (784 + 150),
    bytesWritten: 4 * 6 * 784,
  });
  expect(costOf(ops.conv(x(2, 6, 14, 14), x(16, 6, 5, 5))).macs).toBe(2 * 16 * 100 * 6 * 25);
  expect(
    costOf(ops.conv(x(1, 8, 9, 9), x(4, 2, 3, 3), { groups: 4, stride: 2, padding: 1 })).macs,
  ).toBe(4 * 25 * 2 * 9);
  expect(
    costOf(ops.conv(x(1, 32, 112, 112), x(32, 1, 3, 3), { groups: 32, padding: 1 })).macs,
  ).toBe(32 * 112 * 112 * 9);
  expect(costOf(ops.conv(x(0, 3, 5, 5), x(4, 3, 3, 3))).macs).toBe(0);
});

test("both gradients of a convolution cost as much as the convolution", () => {
  const [a, w] = [x(2, 4, 9, 7), x(6, 2, 3, 3)];
  const y = ops.conv(a, w, { groups: 2, stride: 2, padding: 1 });
  const [da, dw] = ops.grad(ops.sum(ops.square(y)), [a, w]).map(costOf);
  const { macs } = costOf(y);
  expect([da.macs, dw.macs]).toEqual([macs, macs]);
  expect([da.bytesWritten, dw.bytesWritten]).toEqual([4 * 2 * 4 * 9 * 7, 4 * 6 * 2 * 9]);
  expect(da.bytesRead).toBe(4 * (2 * 6 * 5 * 4 + 6 * 2 * 9));
});

test("matrix product", () => {
  expect(costOf(ops.matmul(x(3, 4, 5), x(3, 5, 6)))).toEqual({
    macs: 360,
    flops: 720,
    bytesRead: 4 * (60 + 90),
    bytesWritten: 4 * 72,
  });
  expect(costOf(ops.matmul(x(5, 4), x(6, 5), { transposeA: true, transposeB: true })).macs).toBe(
    4 * 5 * 6,
  );
});

test("elementwise: one operation per function of the expression and element, inputs read once however often repeated", () => {
  expect(costOf(ops.add(x(2, 3, 4), x(3, 1)))).toEqual(moved(24, 27, 24));
  expect(costOf(ops.relu(x(10)))).toEqual(moved(10, 10, 10));
  expect(costOf(ops.sigmoid(x(10)))).toEqual(moved(40, 10, 10));
  expect(costOf(ops.affine(x(10), 2, 1))).toEqual(moved(20, 10, 10));
});

test("reductions, broadcasting and softmax", () => {
  expect(costOf(ops.sum(x(2, 3, 4), 1, true))).toEqual(moved(16, 24, 8));
  expect(costOf(ops.max(x(2, 3, 4), undefined, true))).toEqual(moved(23, 24, 1));
  expect(costOf(ops.sum(x(0, 3), 0, true))).toEqual(moved(0, 0, 3));
  expect(costOf(ops.broadcastTo(x(3), [2, 3]))).toEqual(moved(0, 3, 6));
  expect(costOf(ops.softmax(x(4, 10)))).toEqual(moved(4 * (9 + 10 + 10 + 9 + 10), 40, 40));
  expect(costOf(ops.logSoftmax(x(4, 10)))).toEqual(moved(4 * (9 + 10 + 10 + 9 + 1 + 10), 40, 40));
  expect(costOf(ops.softmax(x(4, 0)))).toEqual(moved(0, 0, 0));
});

test("pools count the whole kernel, as convolutions do", () => {
  expect(costOf(ops.maxPool(x(2, 3, 8, 8), 2))).toEqual(moved(2 * 3 * 16 * 3, 384, 96));
  expect(costOf(ops.avgPool(x(2, 3, 8, 8), 2))).toEqual(moved(2 * 3 * 16 * 4, 384, 96));
  expect(costOf(ops.avgPool(x(1, 1, 5, 5), 3, { padding: 1 }))).toEqual(moved(4 * 9, 25, 4));
  const a = x(2, 3, 8, 8);
  const gradient = (pool: Value) => costOf(ops.grad(ops.sum(ops.square(pool)), [a])[0]);
  expect(gradient(ops.maxPool(a, 2))).toEqual(moved(96 * 4, 384 + 96, 384));
  expect(gradient(ops.avgPool(a, 2))).toEqual(moved(96 * 5, 96, 384));
  const [dx] = ops.grad(ops.sum(ops.square(ops.maxPool(a, 2))), [a]);
  const dy = nodeOf(dx).inputs[1];
  expect(costOf(ops.grad(ops.sum(ops.square(dx)), [dy])[0])).toEqual(moved(96 * 3, 768, 96));
});

test("moves read what they use and write what they make; reshape does nothing", () => {
  expect(costOf(ops.reshape(x(2, 3), [6]))).toEqual(moved(0, 0, 0));
  expect(costOf(ops.transpose(x(2, 3)))).toEqual(moved(0, 6, 6));
  expect(costOf(ops.pad(x(2, 3), [1, 0], [0, 1]))).toEqual(moved(0, 6, 12));
  expect(costOf(ops.slice(x(9, 9), [1, 1], [2, 3]))).toEqual(moved(0, 6, 6));
  expect(costOf(ops.concat([x(2, 3), x(4, 3)]))).toEqual(moved(0, 18, 18));
  expect(costOf(ops.full([2, 3], 1))).toEqual(moved(0, 0, 6));
  expect(costOf(ops.random(ints(2), [7]))).toEqual(moved(7, 2, 7));
  expect(costOf(ops.oneHot(ints(5), 10))).toEqual(moved(50, 5, 50));
});

test("windows: of convolutions, transposed for gradients to the input, of pools, of nothing else", () => {
  const [a, w] = [x(1, 2, 9, 7), x(2, 2, 3, 2)];
  const y = ops.conv(a, w, {
    stride: [2, 1],
    dilation: [1, 2],
    padding: [
      [1, 2],
      [0, 1],
    ],
  });
  const want = [
    { kernel: 3, stride: 2, dilation: 1, padLo: 1, padHi: 2 },
    { kernel: 2, stride: 1, dilation: 2, padLo: 0, padHi: 1 },
  ];
  expect(windowsOf(y)).toEqual(want);
  const [da, dw] = ops.grad(ops.sum(ops.square(y)), [a, w]);
  expect(windowsOf(da)).toEqual(want.map((v) => ({ ...v, transposed: true })));
  expect(windowsOf(dw)).toBeUndefined();
  const pool = [{ kernel: 3, stride: 2, dilation: 1, padLo: 1, padHi: 1 }];
  expect(windowsOf(ops.maxPool(x(1, 1, 9), 3, { stride: 2, padding: 1 }))).toEqual(pool);
  expect(windowsOf(ops.avgPool(x(1, 1, 9), 3, { stride: 2, padding: 1 }))).toEqual(pool);
  expect(windowsOf(ops.relu(a))).toBeUndefined();
});
