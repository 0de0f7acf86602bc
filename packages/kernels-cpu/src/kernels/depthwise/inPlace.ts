// Depthwise convolution of padded planes without a padded copy: what a vector at the edge would
// read outside its row is masked away, and rows at the top and the bottom leave out the taps that
// lie outside. For small kernels over two axes.
//
//   head  body …  body  tail      rows of outputs in vectors of four; only head and tail have masks
//   ┌────┬────┬────┬────┬──┐
//   │ ▒  │    │    │    │ ▒│      the same for the first rows, those within, and the last ones

import { needsPadding, type AxisTaps, type Gather } from "@conv/compiler";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, operandsAt, outputAt, type Stage, type Task } from "../../compile/code.ts";
import { RESERVED } from "../../runtime/memory.ts";
import { i32, i32x4, v128, type Code, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func } from "../../wasm/module.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { epilogueName } from "../gemm/tile.ts";

/** Weights that stay in registers beside the sums of a block. */
const MOST_TAPS = 9;
const VECTORS = 4;

interface Vector {
  readonly first: number;
  readonly lanes: number;
  /** For each tap along the row the lanes that see the source, as bits. */
  readonly seen: readonly number[];
}

const ALL = 15;
const indices = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Where tap j of output t lies in the source. */
const coordinate = (g: Gather, axis: number, taps: AxisTaps, t: number, j: number) =>
  t * g.step[axis] + taps.first + j * taps.delta - g.lo[axis];

/**
 * The stage, or null where planes need no padding, or more than a few kinds of rows would be
 * generated.
 */
export function inPlaceStage(g: Gather, task: Task, caps: Caps): Stage | null {
  const [phase] = g.phases;
  if (
    g.phases.length !== 1 ||
    g.output.length !== 2 ||
    !needsPadding(g) ||
    sizeOf(g.kernel) > MOST_TAPS ||
    g.step[1] > 2
  )
    return null;
  const [rowTaps, columnTaps] = phase.taps;
  const [height, width] = phase.grid;
  const [h, w] = g.source;
  const operands = task.epilogue?.operands ?? [];
  // Outputs may be made twice unless an operand lies where they do.
  const again = operands.every((o) => o.along !== "element");
  // Where the first column looks; the first buffer of all has so many bytes before it.
  const leftmost = Math.min(
    ...indices(columnTaps.count).map((j) => coordinate(g, 1, columnTaps, 0, j)),
  );
  if (width < 4 || leftmost * 4 < -RESERVED / 2) return null;

  const vectors = indices(Math.ceil(width / 4)).map((v): Vector => {
    const first = again ? Math.min(v * 4, width - 4) : v * 4;
    const lanes = Math.min(4, width - first);
    const seen = indices(columnTaps.count).map((j) =>
      indices(4).reduce((bits, lane) => {
        const at = coordinate(g, 1, columnTaps, first + lane, j);
        return bits | (lane >= lanes || (at >= 0 && at < w) ? 1 << lane : 0);
      }, 0),
    );
    return { first, lanes, seen };
  });
  const plain = (v: Vector) =>
    v.lanes === 4 && v.seen.every((bits) => bits === ALL) && v.first % 4 === 0;
  const head = vectors.length > 2 * VECTORS ? VECTORS : vectors.length;
  const within = vectors.slice(head).findIndex((v) => !plain(v));
  const bodies = Math.floor((within < 0 ? vectors.length - head : within) / VECTORS);
  if (
    vectors.length > head &&
    vectors.slice(head).some((v, i, all) => !plain(v) && i < all.length - VECTORS)
  )
    return null;

  // Rows that see the same taps, from … end−1.
  const bands: { from: number; end: number; taps: number[] }[] = [];
  for (const r of indices(height)) {
    const taps = indices(rowTaps.count).filter((j) => {
      const at = coordinate(g, 0, rowTaps, r, j);
      return at >= 0 && at < h;
    });
    const last = bands.at(-1);
    if (last && last.taps.join() === taps.join()) last.end = r + 1;
    else bands.push({ from: r, end: r + 1, taps });
  }
  if (bands.length > 3) return null;

  const channels = g.groups * g.to;
  const kernel = stridesOf(g.kernel);
  return {
    name: `depthwiseInPlace${exactly([g, caps.relaxed])}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    reads: [inputAt(0), inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi }) {
      const y = at[at.length - 1];
      const [item, channel, source, wAt, s, d, sRow, dRow, left] = f.ints(
        "item",
        "channel",
        "source",
        "w",
        "s",
        "d",
        "sRow",
        "dRow",
        "left",
      );
      const weights = indices(sizeOf(g.kernel)).map((i) => f.local("v128", `w${i}`));
      const acc = indices(VECTORS).map((i) => f.local("v128", `acc${i}`));
      const { perChannel, load } = channelValues(f, task.epilogue);
      // The address of an element operand runs beside that of y.
      const element = operands.map((o, i) =>
        o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null,
      );

      /** The sums of a few vectors; `base` is the first of them at s and d. */
      const block = (own: readonly Vector[], base: number, taps: readonly number[]) => {
        const loads = own.map(() => loader(f, s, g.step[1]));
        const top = Math.min(...taps.map((j) => j * rowTaps.delta));
        own.forEach((_, v) => f.set(acc[v], 0));
        for (const j of taps)
          for (const i of indices(columnTaps.count)) {
            const weight =
              weights[
                (rowTaps.tapFirst + j * rowTaps.tapDelta) * kernel[0] +
                  columnTaps.tapFirst +
                  i * columnTaps.tapDelta
              ];
            own.forEach(({ first, seen }, v) => {
              if (!seen[i]) return;
              const column = coordinate(g, 1, columnTaps, first, i) - leftmost - base * g.step[1];
              const x = loads[v]((j * rowTaps.delta - top) * w + column);
              const lanes = indices(4).map((lane) => (seen[i] & (1 << lane) ? -1 : 0));
              f.set(
                acc[v],
                madd(
                  caps,
                  seen[i] === ALL ? x : v128.and(x, i32x4.lanes(...lanes)),
                  weight,
                  acc[v],
                ),
              );
            });
          }
        own.forEach(({ first, lanes }, v) =>
          storeNeighbors(f, caps, task.epilogue, acc[v], {
            address: d,
            offset: (first - base) * 4,
            lanes,
            step: 1,
            perChannel,
            operandAt: (i) => i32.add(d, element[i]!),
          }),
        );
      };
      const blocks = (own: readonly Vector[], base: number, taps: readonly number[]) => {
        for (let v = 0; v < own.length; v += VECTORS) block(own.slice(v, v + VECTORS), base, taps);
      };
      const row = (taps: readonly number[]) => {
        f.set(s, sRow);
        f.set(d, dRow);
        blocks(vectors.slice(0, head), 0, taps);
        if (head === vectors.length) return;
        const move = (outputs: number) => {
          f.bump(s, outputs * g.step[1] * 4);
          f.bump(d, outputs * 4);
        };
        const first = head * 4;
        move(first);
        f.for(left, 0, bodies, 1, () => {
          block(vectors.slice(head, head + VECTORS), first, taps);
          move(VECTORS * 4);
        });
        // The last vector may begin before a multiple of four: one further back keeps its offset
        // from being negative.
        const rest = vectors.slice(head + bodies * VECTORS);
        move(-4);
        blocks(rest, first + bodies * VECTORS * 4 - 4, taps);
      };

      f.for(item, lo, hi, 1, () => {
        f.set(channel, i32.rem(item, channels));
        f.set(wAt, i32.add(at[1], i32.mul(channel, sizeOf(g.kernel) * 4)));
        weights.forEach((v, i) => f.set(v, v128.loadSplat(wAt, i * 4)));
        load((i) => i32.add(at[2 + i], i32.mul(channel, 4)));
        f.set(source, i32.add(at[0], i32.mul(i32.div(item, g.to), h * w * 4)));
        f.set(dRow, i32.add(y, i32.mul(item, height * width * 4)));
        for (const { from, end, taps } of bands) {
          const top = Math.min(...taps.map((j) => coordinate(g, 0, rowTaps, from, j)));
          if (taps.length) f.set(sRow, i32.add(source, (top * w + leftmost) * 4));
          f.repeat(end - from, "rows", () => {
            row(taps);
            f.bump(sRow, g.step[0] * w * 4);
            f.bump(dRow, width * 4);
          });
        }
      });
    },
  };
}

/**
 * Loads four elements `step` (1 or 2) apart from an offset on; two neighboring taps of step 2 are
 * the even and the odd lanes of the same two vectors.
 */
function loader(f: Func, s: Local, step: number): (offset: number) => Code {
  const pairs = new Map<number, readonly [Local, Local]>();
  return (offset) => {
    if (step === 1) return v128.load(s, offset * 4);
    const known = pairs.get(offset - 1);
    if (known) return v128.shuffle(...known, 1, 3, 5, 7);
    const pair = [
      f.let("v128", "x0", v128.load(s, offset * 4)),
      f.let("v128", "x1", v128.load(s, offset * 4 + 16)),
    ] as const;
    pairs.set(offset, pair);
    return v128.shuffle(...pair, 0, 2, 4, 6);
  };
}
