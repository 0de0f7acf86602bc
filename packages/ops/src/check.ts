// Checks of inputs and axes, and the cost of moving data, which most ops share.

import { bytesOf, shapeError, type Arg, type Cost, type Spec } from "@conv/tensor";

/** Throws ShapeError unless the input is float32. */
export function mustBeFloat(op: string, what: string, { dtype }: Spec): void {
  if (dtype !== "float32") throw shapeError(op, `${what} is ${dtype}, must be float32`);
}

/** Throws ShapeError unless `axis` is one of `rank` axes counted from 0. */
export function mustBeAxis(op: string, axis: number, rank: number): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= rank) throw shapeError(op, `axis ${axis} is not one of ${rank} axes`);
}

/** Throws ShapeError unless the list has one whole number ≥ `min` for each axis. */
export function mustFitAxes(op: string, what: string, list: readonly number[], rank: number, min: number): void {
  if (list.length !== rank) throw shapeError(op, `${what} has ${list.length} entries for ${rank} axes`);
  list.forEach((v, axis) => {
    if (!Number.isInteger(v) || v < min) throw shapeError(op, `${what} ${v} is not a whole number ≥ ${min}`, axis);
  });
}

/** An axis counted from the end where negative; throws ShapeError where there is none. */
export function resolveAxis(op: string, axis: number, { shape: { length: rank } }: Arg): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) throw shapeError(op, `axis ${axis} is not one of ${rank} axes`);
  return axis < 0 ? axis + rank : axis;
}

/** Reads its inputs once, writes its output once, and does `flops` operations on the way. */
export const streamCost = (inputs: readonly Spec[], output: Spec, flops = 0): Cost => ({
  macs: 0,
  flops,
  bytesRead: inputs.reduce((sum, s) => sum + bytesOf(s), 0),
  bytesWritten: bytesOf(output),
});
