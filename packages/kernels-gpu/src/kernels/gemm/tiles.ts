// Which tile a product gets in workgroup memory (tiled.ts), by a model of a device; and the stages
// that a tile leads to.

import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  outputAt,
  scratchAt,
  inputAt,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Scratch,
  type Task,
} from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import { chosenFor } from "../direct/direct.ts";
import { registersShader } from "../direct/registers.ts";
import { outputsOf, productsOf, tapsOf, type Family, type Product } from "./product.ts";
import { BLOCK } from "./sums.ts";
import { choices, fastest, threadsOf, workgroupBytes, type Tile, type Timed } from "./tile.ts";
import { addParts, groupsOf, tiledShader, widthsOf } from "./tiled.ts";

/**
 * Rows and columns of a workgroup and of a thread, and what part of the rate of multiply-adds such
 * threads can reach.
 */
export const SHAPES = [
  { rows: 128, columns: 128, threadRows: 8, threadColumns: 8, reach: 0.8 },
  { rows: 128, columns: 64, threadRows: 8, threadColumns: 8, reach: 0.75 },
  { rows: 64, columns: 128, threadRows: 8, threadColumns: 8, reach: 0.75 },
  { rows: 64, columns: 64, threadRows: 8, threadColumns: 4, reach: 0.65 },
  { rows: 32, columns: 128, threadRows: 4, threadColumns: 8, reach: 0.6 },
  { rows: 128, columns: 32, threadRows: 8, threadColumns: 4, reach: 0.6 },
  { rows: 32, columns: 64, threadRows: 4, threadColumns: 4, reach: 0.5 },
  { rows: 64, columns: 32, threadRows: 4, threadColumns: 4, reach: 0.5 },
  { rows: 32, columns: 32, threadRows: 4, threadColumns: 4, reach: 0.45 },
  { rows: 16, columns: 64, threadRows: 4, threadColumns: 4, reach: 0.45 },
] as const;
/** The same where subgroups multiply matrices: each holds 32 × 32. */
const MATRIX_SHAPES = [
  { rows: 128, columns: 64, threadRows: 32, threadColumns: 32, reach: 0.6 },
  { rows: 64, columns: 128, threadRows: 32, threadColumns: 32, reach: 0.6 },
  { rows: 64, columns: 64, threadRows: 32, threadColumns: 32, reach: 0.5 },
  { rows: 32, columns: 64, threadRows: 32, threadColumns: 32, reach: 0.4 },
  { rows: 64, columns: 32, threadRows: 32, threadColumns: 32, reach: 0.4 },
  { rows: 32, columns: 32, threadRows: 32, threadColumns: 32, reach: 0.3 },
] as const;
/** Taps of a slice. */
export const DEPTHS = [16, 8];
const SPLITS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];

/** Processors of a device, threads that keep one of them busy, and threads that one holds. */
const PROCESSORS = 132;
const BUSY = 384;
const BUSY_WITH_MATRICES = 128;
const HOLDS = 1024;

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

function tilesFor(p: Product, alone: boolean, caps: Caps, how: Multiplying): Timed<Tile>[] {
  const all: Timed<Tile>[] = [];
  const slices = (depth: number) => Math.ceil(tapsOf(p) / depth);
  const outputs = p.groups.count * p.rows.count * outputsOf(p);
  // Sums of more than two levels of blocks would not stay in registers: their parts are the third.
  const longEnough = (counts: readonly number[]) =>
    counts.filter((n) => tapsOf(p) <= n * 2 * BLOCK ** 2 || n === counts.at(-1));
  const matrices = how === "matrices" ? caps.matrices! : undefined;
  for (const { reach, ...shape } of matrices ? MATRIX_SHAPES : SHAPES)
    for (const depth of matrices ? [16] : DEPTHS)
      for (const splits of longEnough(
        SPLITS.filter(
          (n) =>
            n === 1 || (alone && n * 2 <= slices(depth) && 4 * n * outputs <= caps.bindingBytes),
        ),
      )) {
        const wide: Tile = {
          ...shape,
          depth,
          splits,
          buffers: 2,
          half: how !== "float32",
          matrices,
        };
        const tile: Tile =
          workgroupBytes(wide) <= caps.workgroupBytes ? wide : { ...wide, buffers: 1 };
        if (workgroupBytes(tile) > caps.workgroupBytes || threadsOf(tile) > caps.threads) continue;
        all.push({ tile, seconds: secondsOf(p, tile, reach, caps) });
      }
  return all;
}

/**
 * Workgroups go to processors in waves; few threads leave one idle while it waits. Parts of a split
 * sum are written and read once more.
 */
function secondsOf(p: Product, t: Tile, reach: number, caps: Caps): number {
  const groups = groupsOf(p, t);
  const threads = threadsOf(t);
  const together = Math.min(Math.ceil(HOLDS / threads), Math.ceil(groups / PROCESSORS));
  const depth = Math.ceil(Math.ceil(tapsOf(p) / t.depth) / t.splits) * t.depth + 2 * t.depth;
  // Matrices of a subgroup: twice to sixteen times what its lanes multiply, by the maker; a
  // processor has no use for them.
  const faster = t.matrices ? (caps.software ? 1 : 4) : t.half ? 2 : 1;
  const rate =
    ((faster * caps.macs) / PROCESSORS) *
    reach *
    Math.min(1, (together * threads) / (t.matrices ? BUSY_WITH_MATRICES : BUSY));
  const computing =
    (Math.ceil(groups / (PROCESSORS * together)) * together * t.rows * t.columns * depth) / rate;
  const outputs = p.groups.count * p.rows.count * outputsOf(p);
  const parts = t.splits > 1 ? (8 * t.splits * outputs) / caps.bandwidth + caps.launch : 0;
  // On a processor each access of workgroup memory is a masked copy and each barrier a change of
  // stacks.
  return (
    (caps.software ? SOFTWARE * computing : Math.max(computing, (4 * outputs) / caps.bandwidth)) +
    parts +
    caps.launch
  );
}

/**
 * A software adapter takes so many times what the model of a device says: twice to three times what
 * threads take that work alone.
 */
const SOFTWARE = 12;

/** Predicted seconds of a task made of products. */
export const tiledSeconds = (task: Task, caps: Caps, how?: Multiplying): number =>
  productsOf(task)!.products.reduce(
    (total, p, _, all) =>
      total + (tapsOf(p) ? tileFor(p, all.length === 1, caps, how).seconds : caps.launch),
    0,
  );

/**
 * The stages of a task made of products, each with the tile that is given or, unless one is, the
 * fastest.
 */
export function tiledCode(
  label: string,
  task: Task,
  caps: Caps,
  { tile: given, how }: { tile?: Tile | undefined; how?: Multiplying | undefined } = {},
): GpuCode {
  const { products, a, x } = productsOf(task)!;
  const epilogue = emitEpilogue(task.epilogue, 2);
  const plain = emitEpilogue(null, 2);
  const [output] = task.outputs;
  const size = sizeOf(output.shape);
  const scratch: Scratch[] = [];
  const stages = products.flatMap((p): GpuStage[] => {
    const operands = [
      { name: "a", place: inputAt(a) },
      { name: "x", place: inputAt(x) },
    ];
    const y = { name: "y", place: outputAt(0) };
    // Outputs that nothing is summed for.
    if (!tapsOf(p))
      return [
        {
          label,
          reads: [...operands, ...epilogue.reads],
          writes: [y],
          ...registersShader(p, chosenFor(p, caps).tile, epilogue),
        },
      ];
    const tile = given ?? tileFor(p, products.length === 1, caps, how).tile;
    const width = tile.matrices ? { ...widthsOf(p), y: 1 as const } : widthsOf(p);
    const reads = operands.map((b, i) => ({ ...b, width: i ? width.x : width.a }));
    if (tile.splits === 1)
      return [
        {
          label,
          reads: [...reads, ...epilogue.reads],
          writes: [{ ...y, width: width.y }],
          ...tiledShader(p, tile, epilogue, size),
        },
      ];
    const parts = scratchAt(scratch.push({ bytes: 4 * size * tile.splits }) - 1);
    const [channels, columns] = [output.shape[1] ?? 1, output.shape.at(-1) ?? 1];
    return [
      {
        label: `${label}, in ${tile.splits} parts`,
        reads,
        writes: [{ name: "y", place: parts, width: width.y }],
        ...tiledShader(p, tile, plain, size),
      },
      {
        label: `${label}, parts added`,
        reads: [{ name: "parts", place: parts }, ...epilogue.reads],
        writes: [y],
        ...addParts(
          tile.splits,
          size,
          { plane: sizeOf(output.shape.slice(2)), channels, columns },
          epilogue,
        ),
      },
    ];
  });
  return { scratch, stages };
}

/** A family of products by tiles in workgroup memory. */
export const tiledKernel = (name: string, { ops, does, fuses }: Family): GpuKernel => ({
  name,
  fuses,
  unsupportedReason: ({ op }) => (ops.includes(op) ? null : does),
  estimate: (task, caps) => tiledSeconds(task, caps),
  build: (task, caps) => tiledCode(name, task, caps),
});
