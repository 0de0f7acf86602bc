// Estimates of kernels that count their work: Σ amount · cost over the kinds of work (costs.ts).

import { needsPadding, type Gather } from "@conv/compiler";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../compile/caps.ts";
import type { CostRow, CpuKernel, Task, Work } from "../compile/code.ts";
import { costs } from "./costs.ts";
import { columnsPerTile, gemmSize, rowsPerTile } from "./gemm/blocking.ts";

/** The kinds of work, in the order in which they are printed. */
export const kinds = [
  "products",
  "steps",
  "moved",
  "gathered",
  "transformed",
  "streamed",
  "tiles",
] as const satisfies readonly (keyof Work)[];

/** The costs of a kernel that has no row yet: a guess, near the middle of the measured rows. */
const GUESS: CostRow = {
  products: 0.04,
  steps: 1,
  moved: 0.3,
  gathered: 0.3,
  transformed: 0.2,
  streamed: 0.02,
  tiles: 10,
  call: 700,
};

/** One kind of the work of a kernel. */
export interface Part {
  /** `call` stands for what a call takes whatever its work. */
  readonly kind: keyof CostRow;
  /** Multiply-adds, vectors, elements, points, bytes, tiles or calls. */
  readonly amount: number;
  readonly seconds: number;
}

/** The kernel with the estimate that its work and its costs give. */
export const fitted = <P>(
  kernel: Omit<CpuKernel<P>, "estimate"> & { work(task: Task<P>, caps: Caps): Work },
): CpuKernel<P> => ({
  ...kernel,
  estimate: (task, caps) => secondsOf(kernel.name, kernel.work(task, caps), caps),
});

/** What the work takes in all. */
export const secondsOf = (kernel: string, work: Work, caps: Caps): number =>
  partsOf(kernel, work, caps).reduce((sum, { seconds }) => sum + seconds, 0);

/** What each kind of the work takes. All but the call is divided among the threads. */
export function partsOf(kernel: string, work: Work, { simd256, threads }: Caps): Part[] {
  const row = costs[simd256 ? "simd256" : "plain"][kernel] ?? GUESS;
  return [
    ...kinds.map((kind) => {
      const amount = work[kind] ?? 0;
      return { kind, amount, seconds: ((amount * (row[kind] ?? 0)) / threads) * 1e-9 };
    }),
    { kind: "call", amount: 1, seconds: row.call * 1e-9 },
  ];
}

/**
 * Sums wait for one another: a tile of fewer rows takes as long as one of this many (a multiply-add
 * takes 4 cycles, and two begin in each cycle).
 */
export const LEAST_ROWS = 4;

/** The work of products of m×k and k×columns in tiles (gemm/tile.ts). */
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
