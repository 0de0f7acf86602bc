// Ops that only move values. Follows an element back through them to its origin, so that a window
// is shown where its values are.

import { broadcastStrides, concatOp, reshapeOp, sliceOp } from "@conv/ops";
import { isOp, stridesOf, type Value } from "@conv/tensor";

/** One element: a tensor and a flat index. */
export interface Place {
  readonly value: Value;
  readonly index: number;
}

/**
 * The element that this one is a copy of, through reshapes, slices and concatenations.
 */
export function origin(place: Place): Place {
  for (;;) {
    const before = step(place);
    if (!before) return place;
    place = before;
  }
}

function step({ value, index }: Place): Place | null {
  const n = value.node;
  if (!n) return null;
  if (isOp(n, reshapeOp)) return { value: n.inputs[0], index };
  if (isOp(n, sliceOp)) {
    const strides = stridesOf(n.inputs[0].shape);
    return {
      value: n.inputs[0],
      index: coordinates(index, value.shape).reduce(
        (sum, v, a) => sum + (v + n.params.start[a]) * strides[a],
        0,
      ),
    };
  }
  if (isOp(n, concatOp)) {
    const { axis } = n.params;
    const at = coordinates(index, value.shape);
    const part = n.inputs.find((v) => {
      if (at[axis] < v.shape[axis]) return true;
      at[axis] -= v.shape[axis];
      return false;
    });
    if (!part) return null;
    const strides = stridesOf(part.shape);
    return { value: part, index: at.reduce((sum, v, a) => sum + v * strides[a], 0) };
  }
  return null;
}

/** The index along each axis. */
export function coordinates(index: number, shape: readonly number[]): number[] {
  return stridesOf(shape).map((stride, a) => Math.floor(index / stride) % shape[a]);
}

/** The index in `shape` that broadcasting to `into` reads for element `index`. */
export function broadcastIndex(
  index: number,
  shape: readonly number[],
  into: readonly number[],
): number {
  const strides = broadcastStrides(shape, into);
  return coordinates(index, into).reduce((sum, v, a) => sum + v * strides[a], 0);
}
