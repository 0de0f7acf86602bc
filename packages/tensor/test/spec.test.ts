// Shapes and their messages.

import { describe, expect, test } from "vitest";
import {
  message,
  bytesOf,
  complaint,
  formatShape,
  sameShape,
  ShapeError,
  sizeOf,
  spec,
  stridesOf,
  unsupported,
  UnsupportedError,
} from "../src/index.ts";

describe("spec", () => {
  test("keeps its own frozen copy of the shape", () => {
    const shape = [2, 3];
    const s = spec(shape);
    shape[0] = 7;
    expect(s).toEqual({ shape: [2, 3], dtype: "float32" });
    expect(Object.isFrozen(s.shape)).toBe(true);
    expect(spec([], "int32")).toEqual({ shape: [], dtype: "int32" });
  });
  test("refuses sizes that are not whole numbers ≥ 0", () => {
    expect(() => spec([2, -1])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: size -1 is not a whole number ≥ 0 (axis 1)",
      }),
    );
    expect(() => spec([0.5])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: size 0.5 is not a whole number ≥ 0 (axis 0)",
      }),
    );
    expect(() => spec([NaN])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: size NaN is not a whole number ≥ 0 (axis 0)",
      }),
    );
  });
  test("refuses what can't be counted, not what no device can hold", () => {
    expect(bytesOf(spec([2 ** 30, 2 ** 20]))).toBe(2 ** 52);
    expect(() => spec([2 ** 30, 2 ** 21])).toThrow(
      expect.objectContaining({
        name: "ShapeError",
        message: "spec: shape 1073741824×2097152 takes more than 2⁵³ bytes",
      }),
    );
    expect(() => spec([1e200, 1e200])).toThrow(
      "spec: shape 1e+200×1e+200 takes more than 2⁵³ bytes",
    );
  });
});

test("sizes, bytes, strides, text, equality", () => {
  expect([sizeOf([]), sizeOf([2, 3]), sizeOf([2, 0, 3])]).toEqual([1, 6, 0]);
  expect([bytesOf(spec([])), bytesOf(spec([2, 3], "int32")), bytesOf(spec([0]))]).toEqual([
    4, 24, 0,
  ]);
  expect([stridesOf([]), stridesOf([5]), stridesOf([2, 3, 4])]).toEqual([[], [1], [12, 4, 1]]);
  expect([formatShape([]), formatShape([8, 16, 5, 5])]).toEqual(["scalar", "8×16×5×5"]);
  expect([
    sameShape([], []),
    sameShape([1, 2], [1, 2]),
    sameShape([1, 2], [2, 1]),
    sameShape([1], [1, 1]),
  ]).toEqual([true, true, false, false]);
});

test("messages name op, rule and axis", () => {
  expect(complaint("conv", "kernel 5 with dilation 2 spans 9, padded input has 7", "h")).toBe(
    "conv: kernel 5 with dilation 2 spans 9, padded input has 7 (axis h)",
  );
  expect(complaint("conv", "no", 0)).toBe("conv: no (axis 0)");
  expect(complaint("conv", "no")).toBe("conv: no");
  const error = unsupported("gpu", "no-f16", message`f16 is missing`);
  expect(error).toBeInstanceOf(UnsupportedError);
  expect([error.name, error.message, error.code]).toEqual([
    "UnsupportedError",
    "gpu: f16 is missing",
    "no-f16",
  ]);
  expect(new ShapeError("x").name).toBe("ShapeError");
});
