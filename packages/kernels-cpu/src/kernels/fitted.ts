// Predicted times: the work that a kernel counts, times what each kind of it takes on a machine
// that was measured (costs.ts).

import { needsPadding, type Gather } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../compile/caps.ts";
import type { CpuKernel, Task, Work } from "../compile/code.ts";
import { costs } from "./costs.ts";
import { columnsPerTile, gemmSize, rowsPerTile } from "./gemm/tile.ts";

/** Kinds of work, in the order of the numbers in costs.ts; there a number for the call follows. */
export const kinds = [
  "products",
  "steps",
  "moved",
  "gathered",
  "transformed",
  "streamed",
  "tiles",
] as const satisfies readonly (keyof Work)[];

/**
 * The kernel with an `estimate` made of its `work`: shared out among the threads, but for the call.
 */
export const fitted = (
  kernel: Omit<CpuKernel, "estimate"> & { work(task: Task, caps: Caps): Work },
): CpuKernel => ({
  ...kernel,
  estimate: (task, caps) =>
    priced(kernel.name, kernel.work(task, caps), caps).reduce((sum, v) => sum + v, 0),
});

/** Seconds that each kind of work takes, and the call. */
export function priced(name: string, work: Work, { simd256, threads }: Caps): number[] {
  const prices = costs[simd256 ? "simd256" : "plain"][name];
  return prices.map(
    (ns, i) => (i < kinds.length ? ((work[kinds[i]] ?? 0) * ns) / threads : ns) * 1e-9,
  );
}

/**
 * Steps that sums wait for one another: fewer than this many rows take as long (4 cycles, two
 * multiply-adds in each).
 */
export const LEAST_ROWS = 4;

/** Work of products of m×k and k×columns by tiles (wasm/tile.ts). */
export function gemmWork(
  caps: Caps,
  problems: number,
  m: number,
  k: number,
  columns: number,
): Record<"products" | "steps" | "streamed" | "tiles", number> {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(m);
  const blocks = Math.floor(m / mr);
  const tail = m % mr;
  const busy = blocks * Math.max(LEAST_ROWS, mr) + (tail && Math.max(LEAST_ROWS, tail));
  const tiles = problems * Math.ceil(columns / nr) * Math.ceil(m / mr);
  const { items } = gemmSize({ m, units: k, unit: 1, columns, problems }, caps);
  return {
    products: problems * Math.ceil(columns / nr) * nr * k * busy,
    steps: tiles * k,
    streamed: 4 * m * k * items,
    tiles,
  };
}

/** Elements of the padded copy; 0 where none is needed. */
export const paddedElements = (g: Gather): number =>
  needsPadding(g) ? g.n * g.groups * g.from * sizeOf(g.padded) : 0;
