// Which tile of registers a product gets, by a model of a device and one of SwiftShader.

import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { GUESSES, SWIFTSHADER } from "../costs.ts";
import { outputsOf, type Product } from "../gemm/product.ts";
import { choices, fastest, type Timed } from "../gemm/tile.ts";
import { countsOf, threadsFor, type RegisterTile } from "./registers.ts";

const chosen = choices<RegisterTile>();

/** The tile with the least predicted time. */
export const chosenFor = (p: Product, caps: Caps): Timed<RegisterTile> =>
  chosen(caps).get(JSON.stringify(p), () => {
    const seconds = caps.software ? softwareSeconds : deviceSeconds;
    return fastest(
      [...candidates(p, caps)].map((tile) => ({ tile, seconds: seconds(p, tile, caps) })),
    );
  });

/** The most multiply-adds that one body writes out. */
const MOST_MACS = 1200;
/** The most sums of a thread: more would not stay in the registers of any adapter. */
const MOST_SUMS = 128;
/** Rows, outputs along the last axis and the one before, and taps that a body writes out. */
const ROWS = [1, 2, 4, 8, 16];
const ALONG_LAST = [1, 2, 4, 7, 8, 14, 16];
const ALONG_OTHER = [1, 2, 4, 7];
const TAPS = [2, 4, 8, 16];

/** Members of a list below a size, and the size itself if it is no more than the last. */
const upTo = (list: readonly number[], size: number): number[] => [
  ...list.filter((v) => v < size),
  ...(size <= list.at(-1)! ? [Math.max(1, size)] : []),
];

/** Ways to write out taps: some of one axis, and all of those within. */
function bodiesOf({ axes }: Product): { unroll: number[]; taps: number }[] {
  const summed = axes.flatMap(({ taps }, i) => (taps > 1 ? [i] : []));
  const unrolls = [axes.map(() => 1)];
  summed.toReversed().forEach((i, n) => {
    const all = axes.map(({ taps }, j) => (summed.indexOf(j) >= summed.length - n ? taps : 1));
    for (const own of [...TAPS.filter((v) => v < axes[i].taps), axes[i].taps])
      unrolls.push(all.with(i, own));
  });
  return unrolls
    .map((unroll) => ({ unroll, taps: sizeOf(unroll) }))
    .filter(({ taps }) => taps <= MOST_MACS);
}

function* candidates(p: Product, caps: Caps): Generator<RegisterTile> {
  const { axes } = p;
  const outer = axes.flatMap(({ grid }, i) => (grid > 1 ? [i] : []));
  const [last, other] = [outer.at(-1), outer.at(-2)];
  const bodies = bodiesOf(p);
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

function softwareSeconds(p: Product, t: RegisterTile, caps: Caps): number {
  const cost = SWIFTSHADER;
  const c = countsOf(p, t);
  const sums = t.rows * sizeOf(t.outputs);
  const weights = t.share
    ? (c.weights / 4) * cost.load + c.weights * cost.spread
    : c.weights * cost.load;
  const body = c.inputs * (cost.load + c.checks * cost.test) + weights + c.macs * cost.mac;
  const looped = c.bodies > 1 ? c.bodies * (cost.loop + sums * cost.copy) : 0;
  const thread = c.bodies * body + looped + sums * cost.store + cost.thread;
  const groups = t.share
    ? c.rowBlocks * c.blocks * p.groups.count
    : Math.ceil((c.rowBlocks * sizeOf(c.tiles) * p.groups.count) / t.threads);
  // One workgroup leaves one of two cores idle.
  const waiting = groups === 1 ? 2 : 1;
  const compiling =
    cost.compiling.mac * c.macs +
    cost.compiling.load * (c.inputs + c.weights) +
    cost.compiling.test * c.inputs * c.checks +
    cost.compiling.store * sums;
  return (
    caps.launch +
    1e-9 * (waiting * groups * ((t.threads / 4) * thread + cost.group) + compiling / cost.runs)
  );
}

/**
 * Seconds of a device: instructions of a thread at the rate of multiply-adds, less where threads do
 * not fill it; or its memory, with each input read once.
 */
function deviceSeconds(p: Product, t: RegisterTile, caps: Caps): number {
  const { load, scattered, direct, registers, fillingThreads } = GUESSES;
  const c = countsOf(p, t);
  const sums = t.rows * sizeOf(t.outputs);
  const threads = c.rowBlocks * sizeOf(c.tiles) * p.groups.count;
  const last = p.axes.findLastIndex(({ grid }) => grid > 1);
  const apart =
    last < 0
      ? 1
      : Math.min(
          scattered,
          Math.max(1, Math.abs(t.outputs[last] * p.axes[last].step * p.axes[last].x)),
        );
  const thread =
    c.bodies * (c.macs + c.inputs * (load * apart + c.checks) + c.weights * load + direct.turn) +
    sums * load * apart +
    direct.thread;
  const spilled = sums + c.inputs > registers ? GUESSES.spilled : 1;
  const bytes = 4 * (p.rows.count * outputsOf(p) * p.groups.count);
  return (
    caps.launch +
    Math.max(
      (spilled * thread * Math.max(threads, fillingThreads)) / caps.macs,
      bytes / caps.bandwidth,
    )
  );
}
