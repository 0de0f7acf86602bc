// Winograd's transforms as code, eight tiles at a time, in two vectors side by side, which an
// engine may join. Each transform goes along w, then along h, with the lines between them in
// `scratch`, [row][column][eight tiles]: a whole tile would not fit the registers.

import { readLayout, type Matrix, type Tiling } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import { i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { transpose4 } from "../gemm/panel.ts";
import { loadStepped } from "../move/pad.ts";
import { RECORD, stepsOf, sumsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";

/** Bytes of one column of eight tiles. */
export const COLUMN = 32;
/** Bytes of a line of a tile's outputs in the patch, where they are before single stores. */
export const patchWidth = ({ w }: Tiling): number => Math.ceil(w.m / 4) * 16;
/** Bytes of scratch that the transforms of eight tiles need. */
export const scratchBytes = ({ h, w }: Tiling): number => h.n * w.n * COLUMN;

/**
 * Where the elements of tiles are: `pointers` returns the addresses of tiles 4q … 4q+3, from which
 * rows and columns have constant distances.
 */
export interface TileSource {
  pointers(q: number): Local[];
  /** Elements from the addresses to the first element, and from one to the next along h and w. */
  readonly first: number;
  readonly stepH: number;
  readonly stepW: number;
}

/**
 * Emits H·d·Wᵀ of eight tiles: `put` stores row i of the present column for each half of the tiles,
 * `next` moves to the next column.
 */
export function transform(
  f: Func,
  caps: Caps,
  [matrixH, matrixW]: readonly [Matrix, Matrix],
  source: TileSource,
  scratch: Local,
  put: (q: number, i: number, x: Local) => void,
  next: () => void,
): void {
  const [rows, columns] = [matrixH[0].length, matrixW.length];
  const i = f.local("i32", "i_");
  const at = f.local("i32", "at_");
  const halves = [0, 1];
  for (const q of halves) {
    const pointers = source.pointers(q);
    f.set(at, scratch);
    f.for(i, 0, rows, 1, () => {
      const line = tileRow(f, pointers, source.first * 4, matrixW[0].length, source.stepW);
      combine(f, caps, matrixW, line).forEach((x, j) => f.store(at, x, j * COLUMN + q * 16));
      for (const p of pointers) f.bump(p, source.stepH * 4);
      f.bump(at, columns * COLUMN);
    });
  }
  f.set(at, scratch);
  f.for(i, 0, columns, 1, () => {
    const half = (q: number) =>
      combine(
        f,
        caps,
        matrixH,
        matrixH[0].map((_, row) =>
          f.let("v128", "x_", v128.load(at, row * columns * COLUMN + q * 16)),
        ),
      );
    sideBySide(caps, half, put);
    next();
    f.bump(at, COLUMN);
  });
}

/**
 * Emits two halves and their stores: together if the engine may join them, else one after the
 * other, which takes fewer registers.
 */
export function sideBySide(
  caps: Caps,
  half: (q: number) => Local[],
  store: (q: number, i: number, x: Local) => void,
): void {
  if (caps.simd256) {
    const [a, b] = [half(0), half(1)];
    a.forEach((x, i) => {
      store(0, i, x);
      store(1, i, b[i]);
    });
  } else for (const q of [0, 1]) half(q).forEach((x, i) => store(q, i, x));
}

/**
 * Emits loads of `count` elements, `step` apart, of each of four tiles: a vector for each column.
 */
function tileRow(
  f: Func,
  pointers: readonly Local[],
  at: number,
  count: number,
  step: number,
): Local[] {
  if (count === 1) {
    const v = f.let("v128", "d", v128.loadZero32(pointers[0], at));
    for (let lane = 1; lane < 4; lane++) f.set(v, v128.loadLane(pointers[lane], v, lane, at));
    return [v];
  }
  return Array.from({ length: Math.ceil(count / 4) }, (_, q) => {
    const lanes = Math.min(4, count - 4 * q);
    return transpose4(
      f,
      pointers.map((p) => loadStepped(f, p, at + q * 16 * step, step, "d", lanes)),
      lanes,
    );
  }).flat();
}

export const INPUT = ["record", "source", "v", "scratch"] as const;

/**
 * Emits the transform of eight tiles, of every channel and plain tap: Bᵀ·d·B to v + point·depth·nr
 * + k·nr. The parameters of the function are `INPUT`.
 */
export function emitInput(f: Func, t: Tiling, caps: Caps, nr: number): void {
  const { g, axes, h, w, depth } = t;
  const { strides, plane } = readLayout(g);
  const { record, source, v, scratch } = f.named(INPUT);
  const plain = sumsOf(axes.map((x, a) => x.plain.map((p) => p * strides[a])));
  const pointers = [0, 1, 2, 3].map((l) => f.local("i32", `p${l}`));
  const [channel, to] = f.ints("channel", "to");
  const pointBytes = depth * nr * 4;
  f.for(channel, 0, g.from, 1, () => {
    for (const first of plain) {
      const tiles: TileSource = {
        pointers(q) {
          pointers.forEach((p, l) =>
            f.set(p, i32.add(source, i32.load(record, (4 * q + l) * RECORD.bytes + RECORD.source))),
          );
          return pointers;
        },
        first,
        ...stepsOf(t, g.step, strides),
      };
      f.set(to, v);
      transform(
        f,
        caps,
        [h.short.bt, w.short.bt],
        tiles,
        scratch,
        (q, i, x) => f.store(to, x, i * w.n * pointBytes + q * 16),
        () => f.bump(to, pointBytes),
      );
      f.bump(v, nr * 4);
    }
    f.bump(source, plane * 4);
  });
}
