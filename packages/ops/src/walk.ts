// The loop nest of every op that is not a convolution or a pool: cells of a shape in order, with
// offsets into other tensors.

/**
 * Visits every cell of `shape` in order, with its flat position and the offset that it has under
 * each list of strides (stride 0 repeats or reduces). `offsets` is reused between visits.
 */
export function walk(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (at: number, offsets: readonly number[]) => void,
): void {
  const offsets = strides.map(() => 0);
  let at = 0;
  const go = (axis: number): void => {
    if (axis === shape.length) return visit(at++, offsets);
    for (let i = 0; i < shape[axis]; i++) {
      go(axis + 1);
      for (let j = 0; j < offsets.length; j++) offsets[j] += strides[j][axis];
    }
    for (let j = 0; j < offsets.length; j++) offsets[j] -= strides[j][axis] * shape[axis];
  };
  go(0);
}
