// What all kernels of pooling share: where windows are in the source, rows of outputs in vectors,
// and which tap of a window is the maximum.

import { needsPadding, readings, readLayout, type Axis, type AxisTaps } from "@conv/compiler";
import type { PoolGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import { f32x4, i32, i32x4, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { eachTap } from "../gemm/igemm.ts";
import { loadStepped, type PadBox } from "../move/pad.ts";
import { eachCell, type Walker } from "../move/walk.ts";

/** The source as the windows read it: padded, if any window reaches outside it. */
export interface Windows {
  readonly planes: number;
  readonly padded: boolean;
  readonly box: PadBox;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly plane: number;
  readonly taps: readonly AxisTaps[];
  /** Elements between neighboring outputs of a row. */
  readonly step: number;
  readonly width: number;
  /** Up to 32 taps are unrolled. */
  readonly unrolled: boolean;
}

export function windowsOf(g: PoolGeometry, fill = 0): Windows {
  const axes = readings(g);
  const taps = axes.map((x) => x.taps);
  const source = { source: g.input, lo: axes.map((x) => x.lo), padded: axes.map((x) => x.padded) };
  const rank = g.kernel.length;
  return {
    planes: g.n * g.c,
    padded: needsPadding(source),
    box: { ...source, planes: g.n * g.c, fill },
    ...readLayout(source),
    taps,
    step: g.stride[rank - 1],
    width: g.output[rank - 1],
    unrolled: sizeOf(taps.map((t) => t.count)) <= 32,
  };
}

/** Axes of the outputs but the last; strides are of the source, of y, and of y within its plane. */
export function outputAxes(g: PoolGeometry, w: Windows): Axis[] {
  const y = stridesOf(g.output);
  return g.output
    .slice(0, -1)
    .map((size, a) => ({ size, strides: [g.stride[a] * w.strides[a], y[a], y[a]] }));
}

/** A pointer that follows the outputs: it moves by `by` elements for each output of a row. */
export interface Follower extends Walker {
  readonly by: number;
}

/**
 * Loops over every cell of the axes, and in each along a row of outputs, four at a time, with a
 * pointer for each follower. The last vector overlaps the previous one if outputs may be computed
 * `again`, else it has fewer lanes.
 */
export function eachOutput(
  f: Func,
  width: number,
  axes: readonly Axis[],
  followers: readonly Omit<Follower, "base">[],
  again: boolean,
  body: (along: readonly Local[], lanes: number) => void,
): void {
  const along = followers.map(({ at }) => f.local("i32", at.name.replace("at_", "along_")));
  const move = (outputs: number) =>
    along.forEach((p, i) => f.bump(p, outputs * followers[i].by * 4));
  eachCell(f, axes, followers, () => {
    along.forEach((p, i) => f.set(p, followers[i].at));
    f.repeat(width >> 2, "vectors", () => {
      body(along, 4);
      move(4);
    });
    const tail = width % 4;
    if (!tail) return;
    if (!again || width < 4) return body(along, tail);
    move(tail - 4);
    body(along, 4);
  });
}

/** The bits of −Infinity: the padding for maxima if only their values are needed. */
export const LEAST = 0xff800000;

/**
 * The padding for maxima if their places are needed: a NaN that no arithmetic gives, so that it
 * differs from −Infinity and from any other NaN.
 */
export const PADDING = 0x7fdeadbe;

/**
 * The maximum of each of four windows from p on, NaN if a window has a NaN. The padding is {@link
 * LEAST}.
 */
export function emitMax(f: Func, w: Windows, p: Local, lanes: number): Local {
  const best = f.let("v128", "best", -Infinity);
  const nan = f.let("v128", "nan", 0);
  eachTap(f, w.taps, w.strides, [p], (offsets) => {
    const load = tapsOf(f, w, p, lanes, offsets);
    for (const offset of offsets) {
      const x = load(offset);
      f.set(best, f32x4.pmax(best, x));
      f.set(nan, v128.or(nan, f32x4.ne(x, x)));
    }
  });
  f.set(best, v128.or(best, nan));
  return best;
}

/**
 * Finds the maximum of each of four windows from p on, as the reference does: the first element
 * inside the source, unless a later one is larger or NaN. `won` is called with each tap's offset,
 * and after the first tap with the mask of the windows whose maximum it is so far. The padding is
 * {@link PADDING}.
 */
export function emitArgMax(
  f: Func,
  w: Windows,
  p: Local,
  lanes: number,
  won: (mask: Local | null, offset: number) => void,
): void {
  const best = f.local("v128", "best");
  const mask = f.local("v128", "mask");
  const nothing = () => i32x4.eq(best, i32x4.const(PADDING));
  const step = (x: Local, offset: number, unsure: boolean) => {
    const nan = w.padded
      ? v128.andnot(f32x4.ne(x, x), i32x4.eq(x, i32x4.const(PADDING)))
      : f32x4.ne(x, x);
    f.set(mask, v128.or(f32x4.gt(x, best), nan));
    if (unsure) f.set(mask, v128.or(mask, nothing()));
    f.set(best, v128.bitselect(x, best, mask));
    won(mask, offset);
  };
  if (!w.unrolled) {
    f.set(best, i32x4.const(PADDING));
    eachTap(f, w.taps, w.strides, [p], (offsets) => {
      const load = tapsOf(f, w, p, lanes, offsets);
      offsets.forEach((offset) => step(load(offset), offset, true));
    });
    return;
  }
  // After the tap that is at or past the low padding along every axis, each window has an element.
  const first = w.taps.map((t, a) => Math.ceil((w.box.lo[a] - t.first) / t.delta));
  const sure = first.every((k, a) => k < w.taps[a].count)
    ? first.reduce((at, k, a) => at * w.taps[a].count + k, 0)
    : Infinity;
  eachTap(f, w.taps, w.strides, [p], (offsets) => {
    const [offset, ...rest] = offsets;
    const loaded = new Map<number, Loaded>();
    f.set(best, tapsOf(f, w, p, lanes, offsets, loaded)(offset));
    won(null, offset);
    const go = (untilSure: number) => () => {
      const load = tapsOf(f, w, p, lanes, offsets, new Map(loaded));
      rest.forEach((o, i) => step(load(o), o, i < untilSure));
    };
    if (w.padded && sure > 0) f.if(v128.anyTrue(nothing()), go(sure), go(0));
    else go(0)();
  });
}

/** The maximum of each of four windows from p on (see {@link emitArgMax}): its offset from p. */
export function emitWinner(f: Func, w: Windows, p: Local, lanes: number): Local {
  const where = f.local("v128", "where");
  const start = w.unrolled ? null : f.let("i32", "start", p);
  emitArgMax(f, w, p, lanes, (mask, offset) => {
    const here = start ? i32x4.splat(i32.add(i32.sub(p, start), offset)) : i32x4.const(offset);
    f.set(where, mask ? v128.bitselect(here, where, mask) : here);
  });
  return where;
}

interface Loaded {
  readonly even: Local;
  readonly pair: readonly [Local, Local];
}

/**
 * Loads the elements of a tap in four windows. If windows are two apart, neighboring taps are the
 * even and the odd elements of the same two vectors.
 */
export function tapsOf(
  f: Func,
  w: Windows,
  p: Local,
  lanes: number,
  offsets: readonly number[],
  known: Map<number, Loaded> = new Map(),
): (offset: number) => Local {
  return (offset) => {
    if (w.step !== 2) return loadStepped(f, p, offset, w.step, "x", lanes);
    const left = known.get(offset - 4);
    if (left) return f.let("v128", "x", v128.shuffle(...left.pair, 1, 3, 5, 7));
    const next = known.get(offset - 8);
    if (next && !offsets.includes(offset + 4))
      return f.let(
        "v128",
        "x",
        v128.shuffle(next.even, v128.loadZero32(p, offset + 24), 1, 2, 3, 4),
      );
    const pair = [
      f.let("v128", "x0", v128.load(p, offset)),
      f.let("v128", "x1", v128.load(p, offset + 16)),
    ] as const;
    const even = f.let("v128", "x", v128.shuffle(...pair, 0, 2, 4, 6));
    known.set(offset, { even, pair });
    return even;
  };
}
