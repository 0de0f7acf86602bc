// Padding that is not zeros: PyTorch's padding modes, each a selection along the axes that it pads.

import { message, scope, shapeError, type Arg } from "@conv/tensor";
import { pad } from "./move.ts";
import { axisName, perAxis } from "./padding.ts";
import { select } from "./resample.ts";

/**
 * What stands around the input: `zeros`; `reflect`, the input mirrored at its edge, which is not
 * repeated (d c b | a b c d | c b a); `replicate`, its edge (a a a | a b c d | d d d); `circular`,
 * its other end (b c d | a b c d | a b c).
 */
export type PaddingMode = "zeros" | "reflect" | "replicate" | "circular";

/**
 * Where the elements of a padded axis come from. Throws ShapeError where the mode has none to give.
 */
function sources(
  mode: Exclude<PaddingMode, "zeros">,
  size: number,
  lo: number,
  hi: number,
  axis: string,
): number[] {
  const most = mode === "reflect" ? size - 1 : mode === "circular" ? size : size > 0 ? Infinity : 0;
  if (lo > most || hi > most)
    throw shapeError(
      "padWith",
      "padding-exceeds-input",
      message`${{ mode }} padding ${{ padLo: lo }} + ${{ padHi: hi }} takes more than input ${{ size }} has, at most ${{ most }}`,
      axis,
    );
  return Array.from({ length: lo + size + hi }, (_, j) => {
    const i = j - lo;
    if (mode === "replicate") return Math.min(Math.max(i, 0), size - 1);
    if (mode === "circular") return (i + size) % size;
    return i < 0 ? -i : i < size ? i : 2 * (size - 1) - i;
  });
}

/**
 * x (n, c, …space) with `lo` and `hi` elements around each spatial axis, by `mode`. Throws
 * ShapeError where the input has too few for it.
 */
export function padWith<T extends Arg>(
  x: T,
  lo: readonly number[],
  hi: readonly number[],
  mode: PaddingMode = "zeros",
): T {
  const rank = x.shape.length - 2;
  for (const list of [lo, hi]) perAxis("padWith", "padding", list, rank, 0);
  if (mode === "zeros") return pad(x, [0, 0, ...lo], [0, 0, ...hi]);
  return scope(() =>
    lo.reduce((y, padLo, a) => {
      const padHi = hi[a];
      if (padLo === 0 && padHi === 0) return y;
      return select(y, sources(mode, y.shape[a + 2], padLo, padHi, axisName(rank, a)), a + 2, {
        kernel: 1,
        stride: 1,
        dilation: 1,
        padLo,
        padHi,
      });
    }, x),
  );
}
