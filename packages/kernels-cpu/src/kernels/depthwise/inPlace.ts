// Depthwise convolution of padded planes without a padded copy: vectors at the edges mask the
// elements outside their row, and rows at the top and the bottom leave out the taps outside the
// plane. For small kernels over two axes.
//
//   head  body …  body  tail      rows of outputs in vectors of four; only head and tail have masks
//   ┌────┬────┬────┬────┬──┐
//   │ ▒  │    │    │    │ ▒│      the same for the first rows, those inside, and the last ones

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
  /** For each tap along the row the lanes that are inside the source, as bits. */
  readonly seen: readonly number[];
}

const ALL = 15;
const indices = (count: number) => Array.from({ length: count }, (_, i) => i);

/** The position in the source of tap j of output t. */
const coordinate = (g: Gather, axis: number, taps: AxisTaps, t: number, j: number) =>
  t * g.step[axis] + taps.first + j * taps.delta - g.lo[axis];

/** Rows from … end−1, which see the same taps. */
interface Band {
  readonly from: number;
  end: number;
  readonly taps: readonly number[];
}

/** What the code needs to know; null where the kernel does not apply (see {@link inPlaceStage}). */
function planOf(g: Gather, { epilogue }: Task, caps: Caps) {
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
  // The column that the first tap of the first output reads. The first buffer has RESERVED bytes
  // before it.
  const leftmost = Math.min(
    ...indices(columnTaps.count).map((j) => coordinate(g, 1, columnTaps, 0, j)),
  );
  if (width < 4 || leftmost * 4 < -RESERVED / 2) return null;
  const rows = vectorsOf(
    g,
    columnTaps,
    width,
    !epilogue?.operands.some((o) => o.along === "element"),
  );
  const bands = bandsOf(g, rowTaps, height);
  if (!rows || bands.length > 3) return null;
  return { ...rows, g, epilogue, caps, rowTaps, columnTaps, height, width, leftmost, bands };
}

/**
 * The vectors of a row, and how they are divided: the first `head`, `bodies` times VECTORS that
 * need no masks, and the rest; null if vectors among the bodies need masks. The last vector may
 * begin early if outputs may be computed `again`.
 */
function vectorsOf(g: Gather, taps: AxisTaps, width: number, again: boolean) {
  const vectors = indices(Math.ceil(width / 4)).map((i): Vector => {
    const first = again ? Math.min(i * 4, width - 4) : i * 4;
    const lanes = Math.min(4, width - first);
    const seen = indices(taps.count).map((j) =>
      indices(4).reduce((bits, lane) => {
        const at = coordinate(g, 1, taps, first + lane, j);
        return bits | (lane >= lanes || (at >= 0 && at < g.source[1]) ? 1 << lane : 0);
      }, 0),
    );
    return { first, lanes, seen };
  });
  const plain = (v: Vector) =>
    v.lanes === 4 && v.seen.every((bits) => bits === ALL) && v.first % 4 === 0;
  const head = vectors.length > 2 * VECTORS ? VECTORS : vectors.length;
  const within = vectors.slice(head).findIndex((v) => !plain(v));
  const bodies = Math.floor((within < 0 ? vectors.length - head : within) / VECTORS);
  const masked = vectors.slice(head).some((v, i, all) => !plain(v) && i < all.length - VECTORS);
  return masked ? null : { vectors, head, bodies };
}

/** The rows, divided into bands that see the same taps. */
function bandsOf(g: Gather, taps: AxisTaps, height: number): Band[] {
  const bands: Band[] = [];
  for (const r of indices(height)) {
    const seen = indices(taps.count).filter((j) => {
      const at = coordinate(g, 0, taps, r, j);
      return at >= 0 && at < g.source[0];
    });
    const last = bands.at(-1);
    if (last && last.taps.join() === seen.join()) last.end = r + 1;
    else bands.push({ from: r, end: r + 1, taps: seen });
  }
  return bands;
}

const VARIABLES = [
  ...["item", "channel", "source", "w", "s", "d", "sRow", "dRow", "left"],
] as const;

/** The plan with what the parts of its code share. */
interface Emission extends NonNullable<ReturnType<typeof planOf>> {
  readonly f: Func;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
  readonly weights: readonly Local[];
  readonly acc: readonly Local[];
  /** Emits the store of the outputs in `r`, the first of them `first` after `d`. */
  save(r: Local, first: number, lanes: number): void;
}

/**
 * The stage, or null where planes need no padding, or the code would have more than a few kinds of
 * rows.
 */
export function inPlaceStage(g: Gather, task: Task, caps: Caps): Stage | null {
  const k = planOf(g, task, caps);
  if (!k) return null;
  const { height, width, rowTaps, leftmost, bands } = k;
  const [h, w] = g.source;
  const channels = g.groups * g.to;
  const operands = task.epilogue?.operands ?? [];
  return {
    name: `depthwiseInPlace${exactly([g, caps.relaxed])}${epilogueName(task.epilogue)}`,
    items: g.n * channels,
    reads: [inputAt(0), inputAt(1), ...operandsAt(task.epilogue)],
    writes: [outputAt(0)],
    emit(_, f, at, { lo, hi }) {
      const y = at[at.length - 1];
      const v = f.vars(...VARIABLES);
      const weights = indices(sizeOf(g.kernel)).map((i) => f.local("v128", `w${i}`));
      const acc = indices(VECTORS).map((i) => f.local("v128", `acc${i}`));
      const { perChannel, load } = channelValues(f, task.epilogue);
      // The distance of an element operand from y.
      const element = operands.map((o, i) =>
        o.along === "element" ? f.let("i32", `${o.name}_y`, i32.sub(at[2 + i], y)) : null,
      );
      const e: Emission = {
        ...{ ...k, f, v, weights, acc },
        save: (r, first, lanes) =>
          storeNeighbors(f, caps, task.epilogue, r, {
            address: v.d,
            offset: first * 4,
            lanes,
            step: 1,
            perChannel,
            operandAt: (i) => i32.add(v.d, element[i]!),
          }),
      };
      f.for(v.item, lo, hi, 1, () => {
        f.set(v.channel, i32.rem(v.item, channels));
        f.set(v.w, i32.add(at[1], i32.mul(v.channel, sizeOf(g.kernel) * 4)));
        weights.forEach((weight, i) => f.set(weight, v128.loadSplat(v.w, i * 4)));
        load((i) => i32.add(at[2 + i], i32.mul(v.channel, 4)));
        f.set(v.source, i32.add(at[0], i32.mul(i32.div(v.item, g.to), h * w * 4)));
        f.set(v.dRow, i32.add(y, i32.mul(v.item, height * width * 4)));
        for (const { from, end, taps } of bands) {
          const top = Math.min(...taps.map((j) => coordinate(g, 0, rowTaps, from, j)));
          if (taps.length) f.set(v.sRow, i32.add(v.source, (top * w + leftmost) * 4));
          f.repeat(end - from, "rows", () => {
            emitRow(e, taps);
            f.bump(v.sRow, g.step[0] * w * 4);
            f.bump(v.dRow, width * 4);
          });
        }
      });
    },
  };
}

/** Emits a row of outputs that sees these taps of the first axis: head, bodies, and the rest. */
function emitRow(e: Emission, taps: readonly number[]): void {
  const { f, g, v, vectors, head, bodies } = e;
  const blocks = (own: readonly Vector[], base: number) => {
    for (let i = 0; i < own.length; i += VECTORS)
      emitBlock(e, own.slice(i, i + VECTORS), base, taps);
  };
  f.set(v.s, v.sRow);
  f.set(v.d, v.dRow);
  blocks(vectors.slice(0, head), 0);
  if (head === vectors.length) return;
  const move = (outputs: number) => {
    f.bump(v.s, outputs * g.step[1] * 4);
    f.bump(v.d, outputs * 4);
  };
  const first = head * 4;
  move(first);
  f.for(v.left, 0, bodies, 1, () => {
    emitBlock(e, vectors.slice(head, head + VECTORS), first, taps);
    move(VECTORS * 4);
  });
  // The last vector may begin before a multiple of four: with the pointers one vector back, its
  // offset is not negative.
  move(-4);
  blocks(vectors.slice(head + bodies * VECTORS), first + bodies * VECTORS * 4 - 4);
}

/**
 * Emits some vectors of outputs, Σ over taps of weight · source with masks at the edges; s and d
 * point to output `base` of the row.
 */
function emitBlock(
  e: Emission,
  own: readonly Vector[],
  base: number,
  taps: readonly number[],
): void {
  const { f, g, caps, rowTaps, columnTaps, leftmost, v, weights, acc } = e;
  const [kernelRow] = stridesOf(g.kernel);
  const loads = own.map(() => loader(f, v.s, g.step[1]));
  const top = Math.min(...taps.map((j) => j * rowTaps.delta));
  own.forEach((_, n) => f.set(acc[n], 0));
  for (const j of taps)
    for (const i of indices(columnTaps.count)) {
      const row = rowTaps.tapFirst + j * rowTaps.tapDelta;
      const weight = weights[row * kernelRow + columnTaps.tapFirst + i * columnTaps.tapDelta];
      own.forEach(({ first, seen }, n) => {
        if (!seen[i]) return;
        const column = coordinate(g, 1, columnTaps, first, i) - leftmost - base * g.step[1];
        const x = loads[n]((j * rowTaps.delta - top) * g.source[1] + column);
        const lanes = indices(4).map((lane) => (seen[i] & (1 << lane) ? -1 : 0));
        const masked = seen[i] === ALL ? x : v128.and(x, i32x4.lanes(...lanes));
        f.set(acc[n], madd(caps, masked, weight, acc[n]));
      });
    }
  own.forEach(({ first, lanes }, n) => e.save(acc[n], first - base, lanes));
}

/**
 * Returns what loads four elements `step` (1 or 2) apart, from an offset on. With step 2, two
 * neighboring taps are the even and the odd lanes of the same two vectors.
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
