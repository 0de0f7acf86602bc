// What ops that move elements come to: copies of strided boxes of their inputs into their output.

import {
  broadcastStrides,
  broadcastToOp,
  concatOp,
  sliceOp,
  transposeOp,
  type PadParams,
} from "@conv/ops";
import { isOp, stridesOf, type Spec } from "@conv/tensor";
import type { Task } from "./task.ts";

export interface Box {
  readonly shape: readonly number[];
  /** Elements between neighbors along each axis, and before the first element. */
  readonly from: { readonly strides: readonly number[]; readonly base?: number | undefined };
  readonly into: { readonly strides: readonly number[]; readonly base?: number | undefined };
}

/**
 * The box of each input, which is all that a transpose, broadcastTo, slice or concat does; null for
 * other ops.
 */
export function boxesOf(task: Task, inputs: readonly Spec[]): Box[] | null {
  const [x] = inputs;
  const [y] = task.outputs;
  const into = { strides: stridesOf(y.shape) };
  if (isOp(task, transposeOp)) {
    const strides = stridesOf(x.shape);
    const from = { strides: task.params.order.map((a) => strides[a]) };
    return [{ shape: y.shape, from, into }];
  }
  if (isOp(task, broadcastToOp))
    return [{ shape: y.shape, from: { strides: broadcastStrides(x.shape, y.shape) }, into }];
  if (isOp(task, sliceOp)) {
    const strides = stridesOf(x.shape);
    const base = task.params.start.reduce((sum, s, a) => sum + s * strides[a], 0);
    return [{ shape: y.shape, from: { strides, base }, into }];
  }
  if (!isOp(task, concatOp)) return null;
  const { axis } = task.params;
  let base = 0;
  return inputs.map(({ shape }) => {
    const box = { shape, from: { strides: stridesOf(shape) }, into: { ...into, base } };
    base += shape[axis] * into.strides[axis];
    return box;
  });
}

/** The box that a pad copies into zeros. */
export function paddedBox(
  shape: readonly number[],
  padded: readonly number[],
  { lo }: PadParams,
): Box {
  const strides = stridesOf(padded);
  const base = lo.reduce((sum, before, a) => sum + before * strides[a], 0);
  return { shape, from: { strides: stridesOf(shape) }, into: { strides, base } };
}

/**
 * The axes of a pad with their padding; an axis without becomes part of the one before it. The
 * first has none.
 */
export function paddedAxes(
  shape: readonly number[],
  { lo, hi }: PadParams,
): { size: number; lo: number; hi: number }[] {
  const axes = [{ size: 1, lo: 0, hi: 0 }];
  shape.forEach((size, a) => {
    const last = axes.at(-1)!;
    if (lo[a] || hi[a]) axes.push({ size, lo: lo[a], hi: hi[a] });
    else axes[axes.length - 1] = { size: last.size * size, lo: last.lo * size, hi: last.hi * size };
  });
  return axes;
}
