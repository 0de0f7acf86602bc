// How products by threads that work alone (registersShader.ts) are divided: the rows × outputs that
// a thread holds in registers, the taps that are written out, and how many of everything that
// makes.

import { sizeOf } from "@conv/tensor";
import { leaves, type Axis, type Product } from "../gemm/product.ts";

export interface RegisterTile {
  readonly rows: number;
  /** Outputs of a thread, and taps that are written out, along each axis of the product. */
  readonly outputs: readonly number[];
  readonly unroll: readonly number[];
  /** Threads of a workgroup. */
  readonly threads: number;
  /** Four lanes load four weights and share them, by operations of subgroups. */
  readonly share: boolean;
}

/** How many of everything a tile makes. */
export interface Counts {
  readonly rowBlocks: number;
  /** Tiles along each axis, and workgroups that hold them. */
  readonly tiles: readonly number[];
  readonly blocks: number;
  /**
   * Bodies of the loops of a thread, and what one holds: weights, coordinates of x, multiply-adds,
   * tests for padding.
   */
  readonly bodies: number;
  readonly weights: number;
  readonly inputs: number;
  readonly macs: number;
  readonly checks: number;
}

export function countsOf(
  { axes, rows }: Product,
  t: Pick<RegisterTile, "rows" | "outputs" | "unroll" | "threads">,
): Counts {
  const tiles = axes.map(({ grid }, i) => Math.ceil(grid / t.outputs[i]));
  const taps = axes.map(({ taps: n }, i) => Math.min(n, t.unroll[i]));
  const unrolled = sizeOf(taps);
  return {
    rowBlocks: Math.ceil(rows.count / t.rows),
    tiles,
    blocks: Math.ceil(sizeOf(tiles) / t.threads),
    bodies: axes.reduce((n, { taps: all }, i) => n * (taps[i] ? Math.ceil(all / taps[i]) : 0), 1),
    weights: t.rows * unrolled,
    inputs: axes.reduce((n, axis, i) => n * coordinatesRead(axis, t.outputs[i], taps[i]), 1),
    macs: t.rows * unrolled * sizeOf(t.outputs),
    checks: axes.filter(leaves).length,
  };
}

/** Different coordinates that some outputs read at some taps. */
function coordinatesRead({ step, delta }: Axis, outputs: number, taps: number): number {
  if (outputs === 1 || taps === 1) return outputs * taps;
  const read = new Set<number>();
  for (let o = 0; o < outputs; o++) for (let k = 0; k < taps; k++) read.add(o * step + k * delta);
  return read.size;
}

/** Threads of a workgroup, a multiple of `least`, so that few are left without work. */
export const threadsFor = (items: number, least: number): number => {
  const blocks = Math.max(1, Math.ceil(items / 64));
  return Math.min(64, Math.max(1, Math.ceil(items / blocks / least)) * least);
};
