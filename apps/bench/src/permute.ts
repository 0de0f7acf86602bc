// Reorders the axes of an array, for libraries whose layout is not ours. Never inside what is
// timed.

import { sizeOf, stridesOf } from "@conv/tensor";

/** Axis `i` of the result is axis `order[i]` of the array of that shape. */
export function permute(
  data: Float32Array,
  shape: readonly number[],
  order: readonly number[],
): Float32Array {
  const from = stridesOf(shape);
  const result = new Float32Array(sizeOf(shape));
  let at = 0;
  const walk = (depth: number, offset: number): void => {
    if (depth === order.length) {
      result[at++] = data[offset];
      return;
    }
    const axis = order[depth];
    for (let i = 0; i < shape[axis]; i++) walk(depth + 1, offset + i * from[axis]);
  };
  walk(0, 0);
  return result;
}
