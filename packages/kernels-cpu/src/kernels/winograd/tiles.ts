// The records of tiles: where a tile of a short convolution or of a Fourier transform is.

import type { Gather, Phase, TilePlace, Tiling } from "@conv/compiler";
import { i32, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";

/**
 * A tile's record: offsets of its source and of its first output in the tensors, and how many
 * outputs exist along h and w.
 */
export const RECORD = { source: 0, target: 4, h: 8, w: 12, bytes: 16 };

/** Elements between neighbors of a tile along h and w, where outputs are `by` apart. */
export const stepsOf = (
  { axes, h, w }: Tiling,
  by: readonly number[],
  strides: readonly number[],
): { stepH: number; stepW: number } => {
  const rank = axes.length;
  return {
    stepH: rank > 1 ? by[rank - 2] * h.spacing * strides[rank - 2] : 0,
    stepW: by[rank - 1] * w.spacing,
  };
};

/** All sums of one number from each list; the last list varies fastest. */
export const sumsOf = (lists: readonly (readonly number[])[]): number[] =>
  lists.reduce<number[]>((sums, list) => sums.flatMap((sum) => list.map((v) => sum + v)), [0]);

/** Emits the record of the tile with number `c` (image, then axes, the last fastest). */
export function emitRecord(
  f: Func,
  { g, phase, axes }: { g: Gather; phase: Phase; axes: readonly TilePlace[] },
  c: Local,
  record: Local,
  strides: readonly number[],
  plane: number,
  out4: readonly number[],
  outPlane: number,
): void {
  const [rest, a, t, source, target, left] = f.ints("rest", "a_", "t", "source", "target", "left");
  f.set(rest, c);
  f.set(source, 0);
  f.set(
    target,
    phase.origin.reduce((sum, o, axis) => sum + o * out4[axis], 0),
  );
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const { m, n, spacing, tiles, first } = axes[axis];
    f.set(a, i32.rem(rest, tiles));
    f.set(rest, i32.div(rest, tiles));
    f.set(
      t,
      spacing === 1
        ? i32.mul(a, m)
        : i32.add(i32.rem(a, spacing), i32.mul(i32.div(a, spacing), spacing * m)),
    );
    f.bump(
      source,
      i32.add(i32.mul(t, g.step[axis] * strides[axis] * 4), first * strides[axis] * 4),
    );
    f.bump(target, i32.mul(t, g.outStep[axis] * out4[axis]));
    if (axis < axes.length - 2) continue;
    f.set(left, i32.sub(phase.grid[axis] + spacing - 1, t));
    f.set(left, n > 1 ? i32.div(left, spacing) : left);
    f.set(left, i32.min(left, m));
    f.storeI32(record, left, axis === axes.length - 1 ? RECORD.w : RECORD.h);
  }
  if (axes.length === 1) f.storeI32(record, 1, RECORD.h);
  f.storeI32(record, i32.add(source, i32.mul(rest, g.groups * g.from * plane * 4)), RECORD.source);
  f.storeI32(record, i32.add(target, i32.mul(rest, g.groups * g.to * outPlane * 4)), RECORD.target);
}
