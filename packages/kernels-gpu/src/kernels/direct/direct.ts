// Convolutions, their gradients and matrix products by threads that work alone (registers.ts): for
// small and thin shapes on any adapter, and for all shapes on software adapters, where workgroup
// memory and barriers cost more than they save.

import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, outputAt, type GpuKernel } from "../../compile/code.ts";
import { emitEpilogue } from "../../wgsl/wgsl.ts";
import {
  CONV,
  GRAD_WEIGHT,
  MATMUL,
  outputsOf,
  productsOf,
  type Product,
  type Family,
} from "../gemm/product.ts";
import { choices, fastest, type Timed } from "../gemm/tile.ts";
import { countsOf, registersShader, threadsFor, type RegisterTile } from "./registers.ts";

function kernelOf(name: string, { ops, does, fuses }: Family): GpuKernel {
  return {
    name,
    fuses,
    unsupportedReason: ({ op }) => (ops.includes(op) ? null : does),
    estimate: (task, caps) =>
      productsOf(task)!.products.reduce((total, p) => total + chosenFor(p, caps).seconds, 0),
    build(task, caps) {
      const { products, a, x } = productsOf(task)!;
      const epilogue = emitEpilogue(task.epilogue, 2);
      return {
        scratch: [],
        stages: products.map((p) => ({
          label: name,
          reads: [
            { name: "a", place: inputAt(a) },
            { name: "x", place: inputAt(x) },
            ...epilogue.reads,
          ],
          writes: [{ name: "y", place: outputAt(0) }],
          ...registersShader(p, chosenFor(p, caps).tile, epilogue),
        })),
      };
    },
  };
}

export const direct = kernelOf("direct", CONV);
export const directGradWeight = kernelOf("directGradWeight", GRAD_WEIGHT);
export const directMatmul = kernelOf("directMatmul", MATMUL);

const chosen = choices<RegisterTile>();

/** The tile with the least predicted time. */
export const chosenFor = (p: Product, caps: Caps): Timed<RegisterTile> =>
  chosen(caps).get(JSON.stringify(p), () => {
    const seconds = caps.software ? softwareSeconds : deviceSeconds;
    return fastest(
      [...candidates(p, caps)].map((tile) => ({ tile, seconds: seconds(p, tile, caps) })),
    );
  });

/** Multiply-adds that one body may write out. */
const MOST_MACS = 1200;
const ROWS = [1, 2, 4, 8, 16];
const ALONG_LAST = [1, 2, 4, 7, 8, 14, 16];
const ALONG_OTHER = [1, 2, 4, 7];
const TAPS = [2, 4, 8, 16];

/**
 * Those of a list that are less than a size, and the size itself if it is no more than the last.
 */
const upTo = (list: readonly number[], size: number): number[] => [
  ...list.filter((v) => v < size),
  ...(size <= list.at(-1)! ? [Math.max(1, size)] : []),
];

function* candidates(p: Product, caps: Caps): Generator<RegisterTile> {
  const { axes } = p;
  const outer = axes.flatMap(({ grid }, i) => (grid > 1 ? [i] : []));
  const [last, other] = [outer.at(-1), outer.at(-2)];
  const summed = axes.flatMap(({ taps }, i) => (taps > 1 ? [i] : []));
  // Written out: some taps of one axis, and all of those within.
  const unrolls = [axes.map(() => 1)];
  summed.toReversed().forEach((i, n) => {
    const all = axes.map(({ taps }, j) => (summed.indexOf(j) >= summed.length - n ? taps : 1));
    for (const own of [...TAPS.filter((v) => v < axes[i].taps), axes[i].taps])
      unrolls.push(all.with(i, own));
  });
  const bodies = unrolls
    .map((unroll) => ({ unroll, taps: sizeOf(unroll) }))
    .filter(({ taps }) => taps <= MOST_MACS);
  for (const along of last === undefined ? [1] : upTo(ALONG_LAST, axes[last].grid))
    for (const across of other === undefined ? [1] : upTo(ALONG_OTHER, axes[other].grid)) {
      const outputs = axes.map((_, i) => (i === last ? along : i === other ? across : 1));
      const tiles = outer.reduce((n, i) => n * Math.ceil(axes[i].grid / outputs[i]), 1);
      for (const rows of upTo(ROWS, p.rows.count)) {
        const sums = rows * along * across;
        if (sums > MOST_SUMS) continue;
        const all = tiles * Math.ceil(p.rows.count / rows) * p.groups.count;
        for (const { unroll, taps } of bodies) {
          if (sums * taps > MOST_MACS) continue;
          yield {
            rows,
            outputs,
            unroll,
            share: false,
            threads: threadsFor(all, caps.software ? 4 : 32),
          };
          if (caps.software && caps.subgroups)
            yield { rows, outputs, unroll, share: true, threads: threadsFor(tiles, 4) };
        }
      }
    }
}

/** Sums of a thread: more would not stay in the registers of any adapter. */
const MOST_SUMS = 128;

/**
 * SwiftShader on two cores, in nanoseconds for four lanes: what its loads, multiply-adds and copies
 * took in loops of each alone. A load takes four branches, a loop copies each sum under a mask, a
 * multiply-add is cheap.
 */
const SOFTWARE = {
  load: 11.3,
  test: 2,
  spread: 2.7,
  mac: 0.5,
  copy: 5,
  loop: 30,
  store: 15,
  thread: 300,
  group: 1500,
};

function softwareSeconds(p: Product, t: RegisterTile, caps: Caps): number {
  const c = countsOf(p, t);
  const sums = t.rows * sizeOf(t.outputs);
  const weights = t.share
    ? (c.weights / 4) * SOFTWARE.load + c.weights * SOFTWARE.spread
    : c.weights * SOFTWARE.load;
  const body =
    c.inputs * (SOFTWARE.load + c.checks * SOFTWARE.test) + weights + c.macs * SOFTWARE.mac;
  const looped = c.bodies > 1 ? c.bodies * (SOFTWARE.loop + sums * SOFTWARE.copy) : 0;
  const thread = c.bodies * body + looped + sums * SOFTWARE.store + SOFTWARE.thread;
  const groups = t.share
    ? c.rowBlocks * c.blocks * p.groups.count
    : Math.ceil((c.rowBlocks * sizeOf(c.tiles) * p.groups.count) / t.threads);
  const waiting = groups === 1 ? 2 : 1;
  const compiling =
    COMPILING.mac * c.macs +
    COMPILING.load * (c.inputs + c.weights) +
    COMPILING.test * c.inputs * c.checks +
    COMPILING.store * sums;
  return (
    caps.launch +
    1e-9 * (waiting * groups * ((t.threads / 4) * thread + SOFTWARE.group) + compiling / RUNS)
  );
}

/**
 * Nanoseconds that SwiftShader takes to compile these (fitted to 155 small shapes), and the runs of
 * a program that they are shared out among.
 */
const COMPILING = { mac: 150e3, load: 700e3, test: 330e3, store: 640e3 };
const RUNS = 300;

/** Threads that fill a device, at least: 132 processors with 4 schedulers, each with some warps. */
const FILLS = 132 * 4 * 32 * 4;

/**
 * A device: instructions of a thread at the rate of multiply-adds, less where threads do not fill
 * it; or memory, each input read once. A load takes the place of four multiply-adds, and of four
 * more for each line of the cache that neighboring threads are apart.
 */
function deviceSeconds(p: Product, t: RegisterTile, caps: Caps): number {
  const c = countsOf(p, t);
  const sums = t.rows * sizeOf(t.outputs);
  const threads = c.rowBlocks * sizeOf(c.tiles) * p.groups.count;
  const last = p.axes.findLastIndex(({ grid }) => grid > 1);
  const apart =
    last < 0
      ? 1
      : Math.min(32, Math.max(1, Math.abs(t.outputs[last] * p.axes[last].step * p.axes[last].x)));
  const thread =
    c.bodies * (c.macs + c.inputs * (4 * apart + c.checks) + c.weights * 4 + 4) +
    sums * 4 * apart +
    40;
  const spilled = sums + c.inputs > 160 ? 4 : 1;
  const bytes = 4 * (p.rows.count * outputsOf(p) * p.groups.count);
  return (
    caps.launch +
    Math.max((spilled * thread * Math.max(threads, FILLS)) / caps.macs, bytes / caps.bandwidth)
  );
}
