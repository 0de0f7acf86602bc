// Walks over several tensors at once: neighboring axes along which every one of them keeps its
// rhythm are one axis.

import { sizeOf } from "@conv/tensor";

export interface Axis {
  readonly size: number;
  /** Elements between neighbors: of the output, then of each input (0 where it is repeated). */
  readonly strides: readonly number[];
}

/** The number of elements of a walk over these axes. */
export const countOf = (axes: readonly { readonly size: number }[]): number =>
  sizeOf(axes.map(({ size }) => size));

/** The axes of a walk over `shape`, merged where all strides allow, innermost last. */
export function mergeAxes(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
): Axis[] {
  const axes: Axis[] = [];
  shape.forEach((size, a) => {
    if (size === 1) return;
    const own = strides.map((s) => s[a]);
    const outer = axes.at(-1);
    if (outer && outer.strides.every((s, i) => s === own[i] * size))
      axes[axes.length - 1] = { size: outer.size * size, strides: own };
    else axes.push({ size, strides: own });
  });
  return axes.length ? axes : [{ size: 1, strides: strides.map(() => 1) }];
}

/** One of each list, in all ways, those of the last list in turn. */
export const combinations = <T>(lists: readonly (readonly T[])[]): T[][] =>
  lists.reduce<T[][]>(
    (all, list) => all.flatMap((chosen) => list.map((v) => [...chosen, v])),
    [[]],
  );

/** All coordinates of a box, in order. */
export const cellsOf = (sizes: readonly number[]): number[][] =>
  combinations(sizes.map((size) => [...Array(size).keys()]));
