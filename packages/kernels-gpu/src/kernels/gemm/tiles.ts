// Which tile a product gets in workgroup memory, by a model of a device.

import type { Caps } from "../../compile/caps.ts";
import { BLOCK } from "../../wgsl/sums.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import { outputsOf, tapsOf, type Product } from "./product.ts";
import { choices, fastest, threadsOf, workgroupBytes, type Tile, type Timed } from "./tile.ts";

type Shape = Pick<Tile, "rows" | "columns" | "threadRows" | "threadColumns">;

const shape = (
  rows: number,
  columns: number,
  threadRows: number,
  threadColumns: number,
): Shape => ({
  rows,
  columns,
  threadRows,
  threadColumns,
});

/** Rows and columns of a workgroup and of a thread. */
export const SHAPES: readonly Shape[] = [
  shape(128, 128, 8, 8),
  shape(128, 64, 8, 8),
  shape(64, 128, 8, 8),
  shape(64, 64, 8, 4),
  shape(32, 128, 4, 8),
  shape(128, 32, 8, 4),
  shape(32, 64, 4, 4),
  shape(64, 32, 4, 4),
  shape(32, 32, 4, 4),
  shape(16, 64, 4, 4),
];
/** The same where subgroups multiply matrices: each holds 32 × 32. */
const MATRIX_SHAPES: readonly Shape[] = [
  shape(128, 64, 32, 32),
  shape(64, 128, 32, 32),
  shape(64, 64, 32, 32),
  shape(32, 64, 32, 32),
  shape(64, 32, 32, 32),
  shape(32, 32, 32, 32),
];
/** Taps of a slice. */
export const DEPTHS = [16, 8];
const MATRIX_DEPTHS = [16];
const SPLITS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/** How a product is multiplied: in either type by threads, or in float16 by subgroups. */
export type Multiplying = "float32" | "float16" | "matrices";

const chosen = choices<Tile>();

/**
 * The tile with the least predicted time. `alone`: the product makes all of an output, so that its
 * sum may be split. The smallest tile takes 64 threads and 2 KiB, which every adapter has; the
 * smallest of matrices one subgroup and 8 KiB.
 */
export const tileFor = (
  p: Product,
  alone: boolean,
  caps: Caps,
  how: Multiplying = "float32",
): Timed<Tile> =>
  chosen(caps).get(JSON.stringify([p, alone, how]), () => fastest(tilesFor(p, alone, caps, how)));

/** Workgroups of a product. */
export const groupsOf = (p: Product, t: Tile): number =>
  t.splits *
  p.groups.count *
  Math.ceil(outputsOf(p) / t.columns) *
  Math.ceil(p.rows.count / t.rows);

function tilesFor(p: Product, alone: boolean, caps: Caps, how: Multiplying): Timed<Tile>[] {
  const outputs = p.groups.count * p.rows.count * outputsOf(p);
  const splitsFor = (depth: number): number[] => {
    const slices = Math.ceil(tapsOf(p) / depth);
    const possible = SPLITS.filter(
      (n) => n === 1 || (alone && n * 2 <= slices && 4 * n * outputs <= caps.bindingBytes),
    );
    // Sums of more than two levels of blocks would not stay in registers: parts are the third.
    return possible.filter((n) => tapsOf(p) <= n * 2 * BLOCK ** 2 || n === possible.at(-1));
  };
  const matrices = how === "matrices" ? caps.matrices! : undefined;
  const [shapes, depths] = matrices ? [MATRIX_SHAPES, MATRIX_DEPTHS] : [SHAPES, DEPTHS];
  return shapes
    .flatMap((size) =>
      depths.flatMap((depth) => splitsFor(depth).map((splits) => ({ ...size, depth, splits }))),
    )
    .map((size): Tile => {
      const wide: Tile = { ...size, buffers: 2, half: how !== "float32", matrices };
      return workgroupBytes(wide) <= caps.workgroupBytes ? wide : { ...wide, buffers: 1 };
    })
    .filter((t) => workgroupBytes(t) <= caps.workgroupBytes && threadsOf(t) <= caps.threads)
    .map((tile) => ({ tile, seconds: secondsOf(p, tile, caps) }));
}

/**
 * Seconds of a product. Workgroups go to processors in waves; few threads leave a processor idle
 * while it waits. Parts of a split sum are written and read once more.
 */
function secondsOf(p: Product, t: Tile, caps: Caps): number {
  const { processors, threadsHeld, busyThreads, reach, matrixReach } = GUESSES;
  const groups = groupsOf(p, t);
  const threads = threadsOf(t);
  const together = Math.min(Math.ceil(threadsHeld / threads), Math.ceil(groups / processors));
  const depth = Math.ceil(Math.ceil(tapsOf(p) / t.depth) / t.splits) * t.depth + 2 * t.depth;
  // A processor has no use for matrices of a subgroup.
  const faster = t.matrices ? (caps.software ? 1 : GUESSES.matrices) : t.half ? GUESSES.float16 : 1;
  const rate =
    ((faster * caps.macs) / processors) *
    (t.matrices ? matrixReach : reach)[`${t.rows}×${t.columns}`] *
    Math.min(1, (together * threads) / (t.matrices ? busyThreads.matrices : busyThreads.tiled));
  const computing =
    (Math.ceil(groups / (processors * together)) * together * t.rows * t.columns * depth) / rate;
  const outputs = p.groups.count * p.rows.count * outputsOf(p);
  const parts = t.splits > 1 ? (8 * t.splits * outputs) / caps.bandwidth + caps.launch : 0;
  return (
    (caps.software
      ? SWIFTSHADER.tiled * computing
      : Math.max(computing, (4 * outputs) / caps.bandwidth)) +
    parts +
    caps.launch
  );
}
