// Copies a strided box to another: transpose, broadcastTo, slice and concat are such copies. Bits
// are moved, whatever the type.
//
//   both sides contiguous along the inner axis      vectors; long rows are divided
//   source constant along the inner axis            a vector filled once
//   source contiguous along another axis            4×4 blocks transposed in registers
//   anything else                                   lane by lane

import { mergeAxes, type Axis, type Box, countOf } from "@conv/compiler";
import { exactly, sizeOf } from "@conv/tensor";
import type { Place, Stage } from "../../compile/code.ts";
import { i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { copyRow, loadStepped } from "./pad.ts";
import { eachCell, locate, partAt, storeLanes, type Walker } from "./walk.ts";

/**
 * Longer rows are divided if there are fewer than PIECES of them; 16 KiB are copied in a
 * microsecond, about the time of a barrier.
 */
const ROW = 4096;
const PIECES = 16;
/** The least elements of a piece of work: finding its place takes a few nanoseconds. */
const PIECE = 256;
/** Columns of a strip: all elements of a cache line of the source are used before the next line. */
const STRIP = 16;

/** Index of strides in the merged axes. */
const [INTO, FROM] = [0, 1];

/** The stage that copies the box. `disjointFromPrevious` as in {@link Stage}. */
export function copyStage(
  box: Box,
  source: Place,
  target: Place,
  disjointFromPrevious = false,
): Stage {
  const axes = mergeAxes(box.shape, [box.into.strides, box.from.strides]);
  const inner = axes.at(-1)!;
  const turn = axes.findIndex((a) => a.strides[FROM] === 1 && a !== inner && a.size >= 4);
  const turns = turn >= 0 && inner.strides[INTO] === 1 && inner.size >= 4;
  const { items, emit } = turns ? turned(axes, turn) : rows(axes);
  const empty = sizeOf(box.shape) === 0;
  return {
    name: `copy${exactly([axes, box.from.base, box.into.base, empty])}`,
    items: empty ? 0 : items,
    reads: [source],
    writes: [target],
    disjointFromPrevious,
    emit(_, f, [from, into], { lo, hi }) {
      if (empty) return;
      f.bump(from, (box.from.base ?? 0) * 4);
      f.bump(into, (box.into.base ?? 0) * 4);
      const s: Walker = { at: f.local("i32", "s"), base: from, stride: FROM };
      const d: Walker = { at: f.local("i32", "d"), base: into, stride: INTO };
      const item = f.local("i32", "item");
      f.for(item, lo, hi, 1, () => emit(f, item, s, d));
    },
  };
}

interface Pieces {
  readonly items: number;
  emit(f: Func, item: Local, s: Walker, d: Walker): void;
}

/** Row by row, along the inner axis. */
function rows(axes: readonly Axis[]): Pieces {
  const inner = axes.at(-1)!;
  const outer = axes.slice(0, -1);
  const loops: Axis[] = [];
  while (
    outer.length &&
    inner.size * countOf(loops) < PIECE &&
    countOf(outer.slice(0, -1)) >= PIECES
  )
    loops.unshift(outer.pop()!);
  const parts = loops.length
    ? 1
    : Math.ceil(
        inner.size / Math.max(ROW, Math.ceil((inner.size * countOf(outer)) / PIECES / 16) * 16),
      );
  const length = Math.ceil(inner.size / parts / 16) * 16;
  const count = Math.ceil(inner.size / length);
  return {
    items: countOf(outer) * count,
    emit(f, item, s, d) {
      const [to, by] = [inner.strides[INTO], inner.strides[FROM]];
      if (count === 1) {
        locate(f, item, outer, [s, d]);
        return eachCell(f, loops, [s, d], () => row(f, s.at, d.at, inner.size, by, to));
      }
      const part = f.let("i32", "part", i32.rem(item, count));
      locate(f, i32.div(item, count), outer, [s, d]);
      f.bump(s.at, i32.mul(part, length * by * 4));
      f.bump(d.at, i32.mul(part, length * to * 4));
      partAt(f, part, inner.size, length, (elements) => row(f, s.at, d.at, elements, by, to));
    },
  };
}

/** Copies `count` elements, `by` apart in the source and `to` apart in the target. */
function row(f: Func, s: Local, d: Local, count: number, by: number, to: number): void {
  if (by === 1 && to === 1) return copyRow(f, s, d, count);
  const q = f.let("i32", "q", d);
  if (by === 0 && to === 1) {
    const v = f.let("v128", "v", v128.loadSplat(s));
    f.repeat(count >> 2, "vectors", () => {
      f.store(q, v);
      f.bump(q, 16);
    });
    return count % 4 ? storeLanes(f, q, v, count % 4) : undefined;
  }
  const p = f.let("i32", "p", s);
  const some = (lanes: number) => {
    const v = loadStepped(f, p, 0, by, "v", lanes);
    if (to === 1) return storeLanes(f, q, v, lanes);
    for (let l = 0; l < lanes; l++) f.storeLane(q, v, l, l * to * 4);
  };
  f.repeat(count >> 2, "vectors", () => {
    some(4);
    f.bump(p, 16 * by);
    f.bump(q, 16 * to);
  });
  if (count % 4) some(count % 4);
}

/**
 * In 4×4 blocks: loaded along axis `turn`, where the source is contiguous, stored along the inner
 * axis, where the target is.
 */
function turned(axes: readonly Axis[], turn: number): Pieces {
  const inner = axes.at(-1)!;
  const across = axes[turn];
  const outer = axes.filter((a) => a !== inner && a !== across);
  const strips = Math.ceil(across.size / STRIP);
  return {
    items: countOf(outer) * strips,
    emit(f, item, s, d) {
      const strip = f.let("i32", "strip", i32.rem(item, strips));
      locate(f, i32.div(item, strips), outer, [s, d]);
      f.bump(s.at, i32.mul(strip, STRIP * 4));
      f.bump(d.at, i32.mul(strip, STRIP * across.strides[INTO] * 4));
      partAt(f, strip, across.size, STRIP, (columns) => {
        // The last block of columns, and of rows, overlaps the one before.
        const back = Math.max(0, 4 - columns);
        f.bump(s.at, -back * 4);
        f.bump(d.at, -back * across.strides[INTO] * 4);
        const starts = Array.from({ length: Math.ceil(columns / 4) }, (_, i) =>
          Math.min(i * 4, columns + back - 4),
        );
        const move = (by: number) => {
          f.bump(s.at, by * inner.strides[FROM] * 4);
          f.bump(d.at, by * 4);
        };
        const blocks = () =>
          starts.forEach((start) =>
            block(f, s.at, d.at, start, inner.strides[FROM] * 4, across.strides[INTO] * 4),
          );
        f.repeat(inner.size >> 2, "blocks", () => {
          blocks();
          move(4);
        });
        if (inner.size % 4) {
          move((inner.size % 4) - 4);
          blocks();
        }
      });
    },
  };
}

/** Loads 4 rows of 4 from column `start` on, stores 4 columns. */
function block(
  f: Func,
  s: Local,
  d: Local,
  start: number,
  fromBytes: number,
  intoBytes: number,
): void {
  const r = [0, 1, 2, 3].map((i) =>
    f.let("v128", `r${i}`, v128.load(s, start * 4 + i * fromBytes)),
  );
  const [a, b] = [r[0], r[2]].map((v, i) =>
    f.let("v128", "low", v128.shuffle(v, r[2 * i + 1], 0, 4, 1, 5)),
  );
  const [c, e] = [r[0], r[2]].map((v, i) =>
    f.let("v128", "high", v128.shuffle(v, r[2 * i + 1], 2, 6, 3, 7)),
  );
  const columns = [
    v128.shuffle(a, b, 0, 1, 4, 5),
    v128.shuffle(a, b, 2, 3, 6, 7),
    v128.shuffle(c, e, 0, 1, 4, 5),
    v128.shuffle(c, e, 2, 3, 6, 7),
  ];
  columns.forEach((v, i) => f.store(d, v, (start + i) * intoBytes));
}
