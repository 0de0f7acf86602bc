// Sparse matrices along an axis, and elements by index: values worked out by hand, costs, what is
// simplified, the text of every message.

import {
  costOf as costOfNode,
  graphOf,
  input,
  optimize,
  spec,
  type DType,
  type Value,
} from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as ops from "../src/index.ts";
import { flat } from "./check.ts";

const x = (...shape: number[]): Value => input(spec(shape));
const ints = (...shape: number[]): Value => input(spec(shape, "int32"));
const costOf = ({ node }: Value) => costOfNode(node!);

describe("values", () => {
  test("select, flip and mix", () => {
    const six: [number[], number[]] = [
      [2, 3],
      [1, 2, 3, 4, 5, 6],
    ];
    expect(flat((v) => ops.select(v, [2, 0, 0]), six)).toEqual([3, 1, 1, 6, 4, 4]);
    expect(flat((v) => ops.select(v, [1], 0), six)).toEqual([4, 5, 6]);
    expect(flat((v) => ops.flip(v, [0, -1]), six)).toEqual([6, 5, 4, 3, 2, 1]);
    // prettier-ignore
    expect(flat((v) => ops.resample(v, [[[0, 0.5], [2, 2]], []]), six)).toEqual([6.5, 0, 14, 0]);
    // Its gradient adds where an element was named more than once.
    expect(flat((v) => ops.grad(ops.sum(ops.select(v, [2, 0, 0])), [v])[0], six)).toEqual([
      2, 0, 1, 2, 0, 1,
    ]);
  });

  test("take and put share indices among rows; one out of range gives 0, and takes none", () => {
    const rows: [number[], number[]] = [
      [1, 2, 3],
      [1, 2, 3, 4, 5, 6],
    ];
    const at = () => ops.cast(ops.sub(ops.full([1, 3], 0), ops.full([1, 3], 1)), "int32");
    expect(flat((v) => ops.gather(v, at()), rows)).toEqual([0, 0, 0, 0, 0, 0]);
    // prettier-ignore
    expect(flat((v, i) => ops.gather(v, ops.cast(i, "int32")), rows, [[1, 4], [2, 0, 7, 2]])).toEqual([3, 1, 0, 3, 6, 4, 0, 6]);
    // prettier-ignore
    expect(flat((v, i) => ops.scatterAdd(v, ops.cast(i, "int32"), { size: [4] }), rows, [[1, 3], [3, -1, 3]])).toEqual([0, 0, 0, 4, 0, 0, 0, 10]);
  });

  test("indices of maxima, and back", () => {
    const plane: [number[], number[]] = [
      [1, 1, 4, 4],
      [1, 5, 2, 2, 3, 5, 2, 9, 0, 0, 7, 1, 0, 1, 1, 1],
    ];
    const asFloat = (i: Value) =>
      ops.scatterAdd(ops.reshape(ops.full([1, 1, 4], 1), [1, 1, 4]), ops.reshape(i, [1, 4]), {
        size: [16],
      });
    expect(
      flat((v) => asFloat(ops.maxPoolIndices(v, 2)), plane).flatMap((n, i) => (n ? [i] : [])),
    ).toEqual([1, 7, 10, 13]);
    expect(
      flat((v) => ops.maxUnpool(ops.maxPool(v, 2), ops.maxPoolIndices(v, 2), [4, 4]), plane),
    ).toEqual([0, 5, 0, 0, 0, 0, 0, 9, 0, 0, 7, 0, 0, 1, 0, 0]);
  });

  test("floor and whole numbers", () => {
    expect(flat(ops.floor, [[4], [1.5, -1.5, 2, -0.1]])).toEqual([1, -2, 2, -1]);
    expect(
      ops.castOp.reference(
        [
          {
            shape: [6],
            dtype: "float32",
            data: Float64Array.of(1.9, -1.9, 3e10, -3e10, NaN, -0.5),
          },
        ],
        { dtype: "int32" },
      )[0].data,
    ).toEqual(Float64Array.of(1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 0));
  });
});

test("costs", () => {
  const moved = (flops: number, read: number, written: number) => ({
    macs: 0,
    flops,
    bytesRead: 4 * read,
    bytesWritten: 4 * written,
  });
  expect(costOf(ops.select(x(2, 3), [2, 2, 0, 1]))).toEqual(moved(0, 6, 8));
  // Two weights that are not 1 and one addition, for each of two rows of x.
  // prettier-ignore
  expect(costOf(ops.resample(x(2, 3), [[[0, 0.5], [2, 2]], []]))).toEqual(moved(6, 6, 4));
  expect(costOf(ops.gather(x(2, 3, 9), ints(2, 4)))).toEqual(moved(0, 8 + 24, 24));
  expect(costOf(ops.scatterAdd(x(2, 3, 4), ints(2, 4), { size: [9] }))).toEqual(
    moved(24, 24 + 8, 54),
  );
  expect(costOf(ops.cast(x(7), "int32"))).toEqual(moved(7, 7, 7));
  expect(costOf(ops.maxPoolIndices(x(1, 1, 4, 4), 2))).toEqual(moved(12, 16, 4));
});

test("neighbors in order become a slice, all of them nothing", () => {
  const opsOf = (f: (v: Value) => Value) => {
    const v = x(2, 5);
    return optimize(graphOf([v], [f(v)])).nodes.map((n) => n.op.name);
  };
  expect(opsOf((v) => ops.select(v, [1, 2, 3]))).toEqual(["slice"]);
  expect(opsOf((v) => ops.select(v, [0, 1, 2, 3, 4]))).toEqual([]);
  expect(opsOf((v) => ops.select(v, [1, 2, 4]))).toEqual(["resample"]);
});

const messages: [() => unknown, string][] = [
  [() => ops.select(x(2, 3), [3]), "resample: row 0 names element 3, input has 3 (axis 1)"],
  [() => ops.select(x(2, 3), [0], 2), "resample: axis 2 is not one of 2 axes"],
  [
    () => ops.resample(x(3), [[[0, Infinity]]]),
    "resample: row 0 has weight Infinity, must be finite (axis 0)",
  ],
  [() => ops.select(ints(3), [0]), "resample: input is int32, must be float32"],
  [
    () => ops.resampleOp.infer([spec([3])], { axis: 0, size: 4, rows: [] }),
    "resample: rows are over 4 elements, input has 3 (axis 0)",
  ],
  [() => ops.gather(x(1, 2, 3), x(1, 2)), "gather: index is float32, must be int32"],
  [
    () => ops.gather(x(2, 3), ints(2, 3)),
    "gather: input has 2 axes, needs batch, rows and at least one of elements",
  ],
  [
    () => ops.gather(x(1, 2, 3), ints(2)),
    "gather: index has 1 axes, needs batch and at least one of elements",
  ],
  [() => ops.gather(x(1, 2, 3), ints(2, 3)), "gather: input has batch 1, index has 2"],
  [
    () => ops.scatterAdd(x(1, 2, 3), ints(1, 4), { size: [9] }),
    "scatterAdd: rows of the input are 3, those of the index 4",
  ],
  [
    () => ops.cast(ints(3), "float64" as DType),
    "cast: there is no dtype float64; use float32, int32, uint8, int8, float16, bfloat16",
  ],
  [
    () => ops.maxUnpool(x(1, 1, 2), ints(1, 1, 3), [4]),
    "maxUnpool: input has shape 1×1×2, indices have 1×1×3",
  ],
  [
    () => ops.maxPoolIndicesOp.infer([spec([1, 1, 3])], ops.poolGeometry(spec([1, 1, 4]), 2)),
    "maxPoolIndices: x has shape 1×1×3, the geometry has 1×1×4",
  ],
];
test.each(messages)("message %#", (call, message) => expect(call).toThrow(message));
