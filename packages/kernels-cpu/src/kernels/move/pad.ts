// Copies a source to a larger box with a constant around it, so that no other kernel has to handle
// edges.

import { needsPadding, type Gather } from "@conv/compiler";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import { inputAt, type Draft, type Place, type Stage } from "../../compile/code.ts";
import { f32x4, i32, i32x4, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { eachCell } from "./walk.ts";

export interface PadBox {
  /** Planes, each of which is padded. */
  readonly planes: number;
  readonly source: readonly number[];
  readonly lo: readonly number[];
  readonly padded: readonly number[];
  /** The bits of the constant around the source; 0 if not given. */
  readonly fill?: number | undefined;
}

/** Bytes of the padded copy, with room for a vector past its end. */
export const padBytes = (box: PadBox): number => (box.planes * sizeOf(box.padded) + 16) * 4;

/**
 * The source as kernels read it: the source itself, or a padded copy that an additional stage makes
 * first.
 */
export function paddedSource(box: PadBox, from: Place, code: Draft): Place {
  if (!needsPadding(box)) return from;
  const into = code.room({ bytes: padBytes(box) });
  code.stages.push(padStage(box, from, into));
  return into;
}

/** Input `index` as a gathering kernel reads it. */
export const paddedInput = (
  { n, groups, from, source, lo, padded }: Gather,
  index: number,
  code: Draft,
): Place => paddedSource({ planes: n * groups * from, source, lo, padded }, inputAt(index), code);

/** The stage that makes the copy; each piece of work is a plane. */
export function padStage(box: PadBox, from: Place, into: Place): Stage {
  const fromPlane = sizeOf(box.source) * 4;
  const intoPlane = sizeOf(box.padded) * 4;
  return {
    name: `pad${exactly(box)}`,
    items: box.planes,
    reads: [from],
    writes: [into],
    emit(_, f, [src, dst], { lo, hi }) {
      const [plane, s, d] = f.ints("plane", "s", "d");
      f.for(plane, lo, hi, 1, () => {
        f.set(d, i32.add(dst, i32.mul(plane, intoPlane)));
        fillRange(f, d, intoPlane, box.fill ?? 0);
        f.set(s, i32.add(src, i32.mul(plane, fromPlane)));
        copyInside(f, box, s, d);
      });
    },
  };
}

/**
 * Copies one plane at `s` to its place in the padded plane at `into`, with the even columns of each
 * row before the odd ones if `split`.
 */
export function copyInside(
  f: Func,
  { source, lo, padded }: Pick<PadBox, "source" | "lo" | "padded">,
  s: Local,
  into: Local,
  split = false,
): void {
  const last = source.length - 1;
  const counts = source.map((size, a) => Math.min(size, padded[a] - lo[a]));
  if (counts.some((c) => c <= 0)) return;
  const strides = stridesOf(padded);
  const origin = lo.reduce((sum, l, a) => sum + (split && a === last ? 0 : l * strides[a] * 4), 0);
  const d = f.let("i32", "inside", i32.add(into, origin));
  copyBox(
    f,
    s,
    d,
    counts,
    stridesOf(source),
    strides,
    split
      ? (count) => splitRow(f, s, d, count, lo[last], padded[last] / 2)
      : (count) => copyRow(f, s, d, count),
  );
}

/** Fills `bytes` bytes (a multiple of 4) with one number, given by its bits. */
export function fillRange(f: Func, at: Local, bytes: number, bits: number): void {
  if (bits === 0) return f.fill(at, 0, bytes);
  const value = f.let("v128", "value", i32x4.const(bits));
  const p = f.let("i32", "p", at);
  f.repeat(bytes >> 4, "left", () => {
    f.store(p, value);
    f.bump(p, 16);
  });
  for (let rest = 0; rest < bytes % 16; rest += 4) f.storeLane(p, value, 0, rest);
}

/**
 * Copies a box of `counts` elements; the pointers end where they began. The innermost stride is 1.
 */
export function copyBox(
  f: Func,
  s: Local,
  d: Local,
  counts: readonly number[],
  from: readonly number[],
  into: readonly number[],
  row: (count: number) => void = (count) => copyRow(f, s, d, count),
): void {
  const outer = counts.slice(0, -1).map((size, a) => ({ size, strides: [from[a], into[a]] }));
  const walkers = [s, d].map((at, stride) => ({ at, stride }));
  eachCell(f, outer, walkers, () => row(counts.at(-1)!));
}

/**
 * The position of a column in a row with the even columns first, and the odd ones from `half` on.
 */
export const splitColumn = (column: number, half: number): number =>
  (column % 2) * half + (column >> 1);

/**
 * Copies `count` neighboring elements to columns from `lo` on of a row in halves. The last eight
 * may overlap the eight before.
 */
function splitRow(f: Func, s: Local, d: Local, count: number, lo: number, half: number): void {
  const eight = (s: Local, d: Local, first: number, at: number) => {
    const [x0, x1] = [
      f.let("v128", "x0", v128.load(s, at * 4)),
      f.let("v128", "x1", v128.load(s, at * 4 + 16)),
    ];
    f.store(d, v128.shuffle(x0, x1, 0, 2, 4, 6), splitColumn(first, half) * 4);
    f.store(d, v128.shuffle(x0, x1, 1, 3, 5, 7), splitColumn(first + 1, half) * 4);
  };
  if (count < 8) {
    for (let i = 0; i < count; i++)
      f.storeLane(d, v128.loadZero32(s, i * 4), 0, splitColumn(lo + i, half) * 4);
    return;
  }
  unrolled(f, s, d, count >> 3, 32, 16, (from, into, i) => eight(from, into, lo + i * 8, i * 8));
  if (count % 8) eight(s, d, lo + count - 8, count - 8);
}

/**
 * Copies `count` neighboring elements. The last vector overlaps the previous one, so that no single
 * elements remain.
 */
export function copyRow(f: Func, s: Local, d: Local, count: number): void {
  if (count < 4) {
    for (let i = 0; i < count; i++) f.storeLane(d, v128.loadZero32(s, i * 4), 0, i * 4);
    return;
  }
  unrolled(f, s, d, count >> 2, 16, 16, (from, into, i) =>
    f.store(into, v128.load(from, i * 16), i * 16),
  );
  if (count % 4) f.store(d, v128.load(s, (count - 4) * 4), (count - 4) * 4);
}

/**
 * Calls `body` for pieces 0 … count−1, eight at a time, with pointers and the number of the piece
 * among the eight. Each pointer moves by its bytes for a piece.
 */
function unrolled(
  f: Func,
  s: Local,
  d: Local,
  count: number,
  sBytes: number,
  dBytes: number,
  body: (s: Local, d: Local, i: number) => void,
): void {
  const AT_ONCE = 8;
  const pieces = (s: Local, d: Local, n: number) =>
    Array.from({ length: n }, (_, i) => body(s, d, i));
  if (count <= AT_ONCE) return void pieces(s, d, count);
  const p = f.let("i32", "p", s);
  const q = f.let("i32", "q", d);
  f.repeat(Math.floor(count / AT_ONCE), "pieces", () => {
    pieces(p, q, AT_ONCE);
    f.bump(p, AT_ONCE * sBytes);
    f.bump(q, AT_ONCE * dBytes);
  });
  pieces(p, q, count % AT_ONCE);
}

/**
 * Loads four elements `step` apart from `address + offset`, for the usual steps without single
 * loads. Lanes beyond `lanes` are undefined. It may read up to 7 elements past the last one,
 * whatever the step.
 */
export function loadStepped(
  f: Func,
  address: Local,
  offset: number,
  step: number,
  name: string,
  lanes = 4,
): Local {
  if (step === 1) return f.let("v128", name, v128.load(address, offset));
  if (step === 2)
    return f.let(
      "v128",
      name,
      v128.shuffle(v128.load(address, offset), v128.load(address, offset + 16), 0, 2, 4, 6),
    );
  const v = f.let("v128", name, v128.loadZero32(address, offset));
  for (let lane = 1; lane < lanes; lane++)
    f.set(v, v128.loadLane(address, v, lane, offset + lane * step * 4));
  return v;
}

/** Maximum or sum of the four lanes, in every lane. */
export function acrossLanes(f: Func, v: Local, combine: typeof f32x4.add): void {
  f.set(v, combine(v, v128.shuffle(v, v, 2, 3, 0, 1)));
  f.set(v, combine(v, v128.shuffle(v, v, 1, 0, 3, 2)));
}
