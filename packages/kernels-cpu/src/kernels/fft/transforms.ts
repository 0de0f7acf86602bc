// Two-dimensional real Fourier transforms of four tiles at a time, in place in a thread's memory,
// [row][column][tile]: rows, then columns, forth; columns, then rows, back. The lines of both are
// real (fftLines.ts), so that A and B, transforms of the real and the imaginary parts of a column,
// give the column's own at ±k: A[k] + i·B[k] and conj A[k] + i·conj B[k].

import type { Caps } from "../../compile/caps.ts";
import type { Task } from "../../compile/code.ts";
import { f32x4, i32, v128, type Code, type Local } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { transpose4 } from "../gemm/panel.ts";
import { loadStepped } from "../move/pad.ts";
import { RECORD } from "../winograd/tiles.ts";
import { linesFunc, type Complex } from "./lines.ts";

/** Rows and columns of a tile; a row is all of it if there is one axis. */
export type TileSize = readonly [h: number, w: number];

/**
 * Numbers with a real and an imaginary part that make up a tile's transform: those that follow from
 * others are left out.
 */
export const frequencies = ([h, w]: TileSize): number => (h === 1 ? w / 2 + 1 : (h * w) / 2 + 2);
/**
 * Bytes from row to row: a cache line more than it takes, or columns of 64 rows would meet in a few
 * sets of the first-level cache.
 */
export const pitch = ([h, w]: TileSize): number => w * 16 + (h > 1 ? 64 : 0);
export const tileBytes = (size: TileSize): number => size[0] * pitch(size);

/** Emits the transform of all lines along one axis. */
export function lines(
  m: Module,
  f: Func,
  caps: Caps,
  at: Local,
  size: TileSize,
  axis: "rows" | "columns",
  back: boolean,
  count?: number,
): void {
  const [h, w] = size;
  if (axis === "columns" && h === 1) return;
  const [n, stride, all, step] =
    axis === "rows" ? [w, 16, h, pitch(size)] : [h, pitch(size), w, 16];
  f.call(linesFunc(m, caps, n, stride, back), at, count ?? all, step);
}

/**
 * Emits the loading of `count` rows of `width` from four addresses, which end moved past the rows;
 * backwards in both directions if `reversed`.
 */
export function loadRows(
  f: Func,
  pointers: readonly Local[],
  tile: Local,
  size: TileSize,
  {
    rows,
    width,
    stepH,
    stepW,
    reversed = false,
  }: { rows: number; width: number; stepH: number; stepW: number; reversed?: boolean | undefined },
): void {
  const [row, d] = f.ints("row", "d");
  f.set(d, i32.add(tile, reversed ? (rows - 1) * pitch(size) : 0));
  f.for(row, 0, rows, 1, () => {
    for (let j = 0; j < width; j += 4) {
      const lanes = Math.min(4, width - j);
      const four = pointers.map((p) => loadStepped(f, p, j * stepW * 4, stepW, "x", lanes));
      transpose4(f, four, lanes).forEach((v, i) =>
        f.store(d, v, (reversed ? width - 1 - j - i : j + i) * 16),
      );
    }
    for (const p of pointers) f.bump(p, stepH * 4);
    f.bump(d, reversed ? -pitch(size) : pitch(size));
  });
}

/**
 * Emits a walk over the tile's numbers, in cells of two by two: `cell` gets the one or more
 * frequencies that a cell holds, a factor that is 2 where the way back gives twice what went forth,
 * and gives what they become: nothing, or what is put in their place.
 */
export function eachCell(
  f: Func,
  tile: Local,
  size: TileSize,
  mode: "forth" | "back" | "both",
  cell: (count: number, factor: 1 | 2, from: readonly Complex[]) => readonly Complex[],
): void {
  const [at, k, j] = f.ints("at", "k", "j");
  const [h, w] = size;
  const below = h > 1;
  const offsets = below ? [0, 16, pitch(size), pitch(size) + 16] : [0, 16];
  const v = (code: Code) => f.let("v128", "c", code);
  const { add, sub } = f32x4;
  const visit = (kind: "corner" | "top" | "left" | "inner") => {
    const [a, b, c, d] = mode === "back" ? [] : offsets.map((o) => v(v128.load(at, o)));
    const from = (): Complex[] => {
      if (kind === "corner") return (below ? [a, b, c, d] : [a, b]).map((x) => [x, null]);
      if (!below) return [[a, b]];
      if (kind === "top")
        return [
          [a, b],
          [c, d],
        ];
      if (kind === "left")
        return [
          [a, c],
          [b, d],
        ];
      return [
        [v(sub(a, d)), v(add(c, b))],
        [v(add(a, d)), v(sub(b, c))],
      ];
    };
    const count = kind === "corner" ? (below ? 4 : 2) : below ? 2 : 1;
    const result = cell(count, kind === "inner" ? 2 : 1, mode === "back" ? [] : from());
    if (mode !== "forth") {
      const [[xr, xi], [yr, yi] = []] = result;
      const put = (values: readonly (Local | Code | null | undefined)[]) =>
        values.forEach((x, i) => x && f.store(at, x, offsets[i]));
      if (kind === "corner") put(result.map(([re]) => re));
      else if (kind === "top") put([xr, xi, yr, yi]);
      else if (kind === "left") put([xr, yr, xi, yi]);
      else put([add(xr, yr!), add(xi!, yi!), sub(xi!, yi!), sub(yr!, xr)]);
    }
    f.bump(at, 32);
  };
  f.set(at, tile);
  visit("corner");
  f.for(j, 1, w / 2, 1, () => visit("top"));
  if (!below) return;
  f.for(k, 1, h / 2, 1, () => {
    f.bump(at, 2 * pitch(size) - w * 16);
    visit("left");
    f.for(j, 1, w / 2, 1, () => visit("inner"));
  });
}

/**
 * Emits the storing of the first m rows and columns of four tiles as far as they exist, behind the
 * epilogue; rows are transposed on the way.
 */
export function storeTiles(
  f: Func,
  task: Task,
  caps: Caps,
  {
    tile,
    record,
    y,
    pointers,
  }: { tile: Local; record: Local; y: Local; pointers: readonly Local[] },
  {
    size,
    m: [mh, mw],
    stepH,
    stepW,
    laneChannels,
  }: { size: TileSize; m: TileSize; stepH: number; stepW: number; laneChannels: number },
): void {
  const { perChannel, load } = channelValues(f, task.epilogue);
  const [i, l, left, from, to, row, r] = f.ints("i", "l", "left", "from", "to", "row", "r");
  const value = f.local("v128", "value");
  f.set(row, tile);
  f.for(i, 0, mh, 1, () => {
    for (let j = 0; j < mw; j += 4)
      transpose4(
        f,
        [0, 1, 2, 3].map((k) => f.let("v128", "x", v128.load(row, (j + k) * 16))),
      ).forEach((v, k) => f.store(row, v, (j + k) * 16));
    f.set(r, record);
    f.for(l, 0, 4, 1, () => {
      f.if(i32.lt(i, i32.load(r, RECORD.h)), () => {
        load((p) => i32.add(pointers[p], i32.mul(l, laneChannels * 4)));
        f.set(from, i32.add(row, i32.mul(l, 16)));
        f.set(to, i32.add(i32.load(r, RECORD.target), i32.mul(i, stepH * 4)));
        const save = (lanes: number) => {
          f.set(value, (lanes === 4 ? v128.load : v128.loadZero32)(from));
          storeNeighbors(f, caps, task.epilogue, value, {
            address: i32.add(y, to),
            offset: 0,
            lanes,
            step: stepW,
            perChannel,
            operandAt: (p) => i32.add(pointers[p], to),
          });
          f.bump(to, lanes * stepW * 4);
        };
        f.for(left, 0, i32.shr(i32.load(r, RECORD.w), 2), 1, () => {
          save(4);
          f.bump(from, 64);
        });
        f.for(left, 0, i32.and(i32.load(r, RECORD.w), 3), 1, () => {
          save(1);
          f.bump(from, 4);
        });
      });
      f.bump(r, RECORD.bytes);
    });
    f.bump(row, pitch(size));
  });
}
