// What is known of a tensor before it has values: its shape and its element type. Layout is always
// contiguous, channels first.

import { kindOf, shapeError } from "./errors.ts";

/**
 * Element types. `int32` carries labels and seeds; all arithmetic is `float32`. Both take four
 * bytes.
 */
export type DType = "float32" | "int32";

/** Shape (sizes per axis, outermost first; `[]` is a scalar) and element type. */
export interface Spec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Number of elements of a shape; 1 for a scalar, 0 if any axis is empty. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes that a tensor of this spec occupies. */
export const bytesOf = (spec: Spec): number => sizeOf(spec.shape) * 4;

/** `8×16×5×5`, or `scalar`. */
export const formatShape = (shape: readonly number[]): string =>
  shape.length ? shape.join("×") : "scalar";

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

/**
 * Makes a spec; throws {@link ShapeError} unless every size is a whole number ≥ 0, and so is their
 * product without rounding. What a device can hold is for its back end to say.
 */
export function spec(shape: readonly number[], dtype: DType = "float32"): Spec {
  if (!Array.isArray(shape))
    throw shapeError("spec", `the shape is ${kindOf(shape)}, must be a list of sizes`);
  if (dtype !== "float32" && dtype !== "int32")
    throw shapeError("spec", `there is no dtype ${String(dtype)}, only float32 and int32`);
  shape.forEach((size, axis) => {
    if (!Number.isInteger(size) || size < 0)
      throw shapeError("spec", `size ${size} is not a whole number ≥ 0`, axis);
  });
  if (!Number.isSafeInteger(sizeOf(shape) * 4))
    throw shapeError("spec", `shape ${formatShape(shape)} takes more than 2⁵³ bytes`);
  return { shape: Object.freeze([...shape]), dtype };
}

/** Elements between neighbors along each axis of a contiguous tensor. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}
