// Checks of inputs and axes, windows, and the cost of moving data, which most ops share.

import {
  bytesOf,
  formatShape,
  message,
  sameShape,
  shapeError,
  type Arg,
  type Cost,
  type Spec,
} from "@conv/tensor";

/** Throws ShapeError unless the input is float32. */
export function mustBeFloat(op: string, what: string, { dtype }: Spec): void {
  if (dtype !== "float32")
    throw shapeError(op, "dtype", message`${{ what }} is ${{ dtype }}, must be float32`);
}

/** Throws ShapeError unless the input is float32 of the shape that the geometry has for it. */
export function mustMatch(op: string, what: string, got: Spec, shape: readonly number[]): void {
  mustBeFloat(op, what, got);
  if (!sameShape(got.shape, shape))
    throw shapeError(
      op,
      "shape-mismatch",
      message`${{ what }} has shape ${{ shape: formatShape(got.shape) }}, the geometry has ${{ expected: formatShape(shape) }}`,
    );
}

/** Throws ShapeError unless the number is whole and at least `min`. */
export function mustBeWhole(
  op: string,
  what: string,
  v: number,
  min: number,
  axis?: string | number,
): void {
  if (!Number.isInteger(v) || v < min)
    throw shapeError(
      op,
      "not-whole",
      message`${{ what }} ${{ value: typeof v === "string" ? JSON.stringify(v) : v }} is not a whole number ≥ ${{ min }}`,
      axis,
    );
}

/** Throws ShapeError unless `what`, such as `input channels`, divide into groups. */
export function mustDivide(op: string, what: string, channels: number, groups: number): void {
  if (channels % groups)
    throw shapeError(
      op,
      "channels-not-divisible",
      message`${{ channels }} ${{ what }} do not divide into ${{ groups }} groups; use groups that divide ${{ channels }}`,
    );
}

/** How many spatial axes an input has; throws ShapeError where it has none. */
export function spatialRank(op: string, { shape: { length } }: Spec): number {
  if (length < 3)
    throw shapeError(
      op,
      "input-rank",
      message`input has ${{ axes: length }} axes, needs batch, channels and at least one spatial axis`,
    );
  return length - 2;
}

/** Throws ShapeError unless `axis` is one of `rank` axes counted from 0. */
export function mustBeAxis(op: string, axis: number, rank: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= rank)
    throw shapeError(
      op,
      "axis-out-of-range",
      message`axis ${{ axis }} is not one of ${{ rank }} axes`,
    );
}

/** Throws ShapeError unless the list has one whole number ≥ `min` for each axis. */
export function mustFitAxes(
  op: string,
  what: string,
  list: readonly number[],
  rank: number,
  min: number,
): void {
  if (list.length !== rank)
    throw shapeError(
      op,
      "entries",
      message`${{ what }} has ${{ entries: list.length }} entries for ${{ axes: rank }} axes`,
    );
  list.forEach((v, axis) => mustBeWhole(op, what, v, min, axis));
}

/** An axis counted from the end where negative; throws ShapeError where there is none. */
export function resolveAxis(op: string, axis: number, { shape: { length: rank } }: Arg): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw shapeError(
      op,
      "axis-out-of-range",
      message`axis ${{ axis }} is not one of ${{ rank }} axes`,
    );
  return axis < 0 ? axis + rank : axis;
}

/** Reads its inputs once, writes its output once, and does `flops` operations on the way. */
export const streamCost = (inputs: readonly Spec[], output: Spec, flops = 0): Cost => ({
  macs: 0,
  flops,
  bytesRead: inputs.reduce((sum, s) => sum + bytesOf(s), 0),
  bytesWritten: bytesOf(output),
});
