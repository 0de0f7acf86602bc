// The shape and the element type of a tensor, known before it has values. The layout is always
// contiguous, channels first.

import { dtypeNames, infoOf, type DType } from "./dtypes.ts";
import { kindOf, message, shapeError } from "./errors.ts";

/** Shape (sizes per axis, outermost first; `[]` is a scalar) and element type. */
export interface Spec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Number of elements of a shape; 1 for a scalar, 0 if any axis is empty. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Bytes that a tensor of this spec occupies. */
export const bytesOf = (spec: Spec): number => sizeOf(spec.shape) * infoOf(spec.dtype).bytes;

/** `8×16×5×5`, or `scalar`. */
export const formatShape = (shape: readonly number[]): string =>
  shape.length ? shape.join("×") : "scalar";

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

/** Throws {@link ShapeError} unless the dtype is known. */
export function mustBeDType(op: string, dtype: DType): void {
  if (!dtypeNames.includes(dtype))
    throw shapeError(
      op,
      "dtype-unknown",
      message`there is no dtype ${{ got: String(dtype) }}; use ${{ known: dtypeNames.join(", ") }}`,
    );
}

/**
 * Makes a spec. Throws {@link ShapeError} unless every size is a whole number ≥ 0, the dtype is
 * known, and the bytes are below 2⁵³. A back end may hold less.
 */
export function spec(shape: readonly number[], dtype: DType = "float32"): Spec {
  if (!Array.isArray(shape))
    throw shapeError(
      "spec",
      "shape-kind",
      message`the shape is ${{ got: kindOf(shape) }}, must be a list of sizes`,
    );
  mustBeDType("spec", dtype);
  shape.forEach((size, axis) => {
    if (!Number.isInteger(size) || size < 0)
      throw shapeError("spec", "size", message`size ${{ size }} is not a whole number ≥ 0`, axis);
  });
  const made = { shape: Object.freeze([...shape]), dtype };
  if (!Number.isSafeInteger(bytesOf(made)))
    throw shapeError(
      "spec",
      "too-large",
      message`shape ${{ shape: formatShape(shape) }} takes more than 2⁵³ bytes`,
    );
  return made;
}

/** Elements between neighbors along each axis of a contiguous tensor. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = strides[axis + 1] * shape[axis + 1];
  return strides;
}
