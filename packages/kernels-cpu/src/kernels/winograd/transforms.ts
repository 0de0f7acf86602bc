// Winograd's transforms as code, eight tiles at a time: two vectors side by side, which engines
// that join pairs make one. Each goes along w, then along h, with the lines between in `scratch`,
// [row][column][eight tiles]: all of a tile at once would not fit the registers.

import type { Matrix, Tiling } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import type { Task } from "../../compile/code.ts";
import { f32x4, i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func } from "../../wasm/module.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { transpose4 } from "../gemm/panel.ts";
import { loadStepped } from "../move/pad.ts";
import { RECORD, stepsOf, sumsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";

/** Bytes of one column of eight tiles, and of the scratch that transforms of such tiles need. */
const COLUMN = 32;
/** Bytes of a line of a tile's outputs, where they wait for their places. */
export const patchWidth = ({ w }: Tiling): number => Math.ceil(w.m / 4) * 16;
export const scratchBytes = ({ h, w }: Tiling): number => h.n * w.n * COLUMN;

/**
 * Where the elements of tiles are: `pointers` gives the addresses of tiles 4q … 4q+3, from which
 * rows and columns lie at constant distances.
 */
export interface TileSource {
  pointers(q: number): Local[];
  /** Elements from the addresses to the first element, and from one to the next along h and w. */
  readonly first: number;
  readonly stepH: number;
  readonly stepW: number;
}

/**
 * Emits H·d·Wᵀ of eight tiles: `put` gets row i of the column at hand for each half; `next` moves
 * on to the next column.
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
 * Two halves computed and stored: neighbors next to each other if the engine may join them, else
 * one after the other, which takes fewer registers.
 */
function sideBySide(
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

/** `count` elements, `step` apart, of each of four tiles: a vector per column. */
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

/**
 * The transform of eight tiles, of every channel and plain tap: Bᵀ·d·B to v + point·depth·nr +
 * k·nr.
 */
export function emitInput(
  f: Func,
  t: Tiling,
  caps: Caps,
  nr: number,
  strides: readonly number[],
  plane: number,
): void {
  const { g, axes, h, w, depth } = t;
  const [record, source, v, scratch] = f.params;
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

/**
 * The way back of eight tiles, for `rows` output channels: Aᵀ·M·A, the epilogue, and the stores
 * that are inside the output.
 */
export function emitOutput(
  f: Func,
  t: Tiling,
  task: Task,
  caps: Caps,
  plain: Func,
  nr: number,
  rowsInChunk: number,
  out4: readonly number[],
  outPlane: number,
): void {
  const { g, h, w } = t;
  const [record, sums, rows, y, patch, scratch, source, weights, ...pointers] = f.params;
  const operands = task.epilogue?.operands ?? [];
  const { stepH, stepW } = stepsOf(t, g.outStep, out4);
  const pointBytes = rowsInChunk * nr * 4;
  const { perChannel, load } = channelValues(f, task.epilogue);
  const save = (r: Local, target: Local, offset: number, lanes: number) =>
    storeNeighbors(f, caps, task.epilogue, r, {
      address: i32.add(y, target),
      offset,
      lanes,
      step: stepW,
      perChannel,
      operandAt: (i) => i32.add(pointers[i], target),
    });
  const targets = [0, 1, 2, 3].map((l) => f.local("i32", `t${l}`));
  const [row, i, at, from, q, tiles, whole, line] = f.ints(
    "row",
    "i",
    "at",
    "from",
    "q",
    "tiles",
    "whole",
    "line",
  );
  const width = patchWidth(t);
  // One for each half: additions to one would wait for each other.
  const checks = [0, 1].map((half) => f.local("v128", `check${half}`));
  const bad = f.local("i32", "bad");
  f.for(row, 0, rows as Operand, 1, () => {
    // Along h, both halves side by side. All points of a tile have a part in its first line or its
    // last: squares of these tell whether one of them is not finite, or so large that the way along
    // w may overflow.
    for (const check of checks) f.set(check, 0);
    f.set(at, scratch);
    f.set(from, sums);
    f.for(i, 0, w.n, 1, () => {
      const half = (q: number) =>
        combine(
          f,
          caps,
          h.short.at,
          Array.from({ length: h.n }, (_, r) =>
            f.let("v128", "m", v128.load(from, r * w.n * pointBytes + q * 16)),
          ),
        );
      sideBySide(caps, half, (q, r, x) => {
        f.store(at, x, r * w.n * COLUMN + q * 16);
        if (r % (h.m - 1 || 1) === 0) f.set(checks[q], madd(caps, x, x, checks[q]));
      });
      f.bump(from, pointBytes);
      f.bump(at, COLUMN);
    });
    f.set(checks[0], f32x4.add(checks[0], checks[1]));
    f.set(bad, v128.anyTrue(f32x4.sub(checks[0], checks[0])));
    load((j) => pointers[j]);
    // Along w, four tiles after the other, each row of theirs to its place.
    f.set(tiles, record);
    f.for(q, 0, 2, 1, () => {
      const field = (l: number, of: number) => i32.load(tiles, l * RECORD.bytes + of);
      f.set(whole, i32.eqz(bad));
      targets.forEach((target, l) => {
        f.set(target, field(l, RECORD.target));
        f.set(
          whole,
          i32.and(whole, i32.and(i32.eq(field(l, RECORD.h), h.m), i32.eq(field(l, RECORD.w), w.m))),
        );
      });
      f.set(at, i32.add(scratch, i32.mul(q, 16)));
      f.set(line, patch);
      f.for(i, 0, h.m, 1, () => {
        const outputs = combine(
          f,
          caps,
          w.short.at,
          Array.from({ length: w.n }, (_, j) => f.let("v128", "m", v128.load(at, j * COLUMN))),
        );
        // [four of the columns][tile]
        const parts = Array.from({ length: Math.ceil(w.m / 4) }, (_, p) => {
          const some = outputs.slice(4 * p, 4 * p + 4);
          return transpose4(
            f,
            [0, 1, 2, 3].map((k) => some[k] ?? some[0]),
          );
        });
        f.if(
          whole,
          () =>
            targets.forEach((target, l) => {
              parts.forEach((v, p) => save(v[l], target, p * 16 * stepW, Math.min(4, w.m - 4 * p)));
              f.bump(target, stepH);
            }),
          () =>
            parts.forEach((v, p) =>
              v.forEach((x, l) => f.store(line, x, l * h.m * width + p * 16)),
            ),
        );
        f.bump(line, width);
        f.bump(at, w.n * COLUMN);
      });
      f.if(i32.eqz(whole), () => {
        const [l, j, to] = f.ints("l", "j", "to");
        const value = f.local("v128", "value");
        f.set(line, patch);
        f.if(bad, () => f.call(plain, tiles, source, weights, patch));
        f.for(l, 0, 4, 1, () => {
          f.for(i, 0, i32.load(tiles, RECORD.h), 1, () => {
            f.set(from, i32.add(line, i32.mul(i, width)));
            f.set(to, i32.add(i32.load(tiles, RECORD.target), i32.mul(i, stepH)));
            f.for(j, 0, i32.load(tiles, RECORD.w), 1, () => {
              f.set(value, v128.loadZero32(from));
              save(value, to, 0, 1);
              f.bump(from, 4);
              f.bump(to, stepW * 4);
            });
          });
          f.bump(tiles, RECORD.bytes);
          f.bump(line, h.m * width);
        });
        f.bump(tiles, -4 * RECORD.bytes);
      });
      f.bump(tiles, 4 * RECORD.bytes);
    });
    f.bump(sums, nr * 4);
    f.bump(y, outPlane * 4);
    f.bump(weights, g.wTo * 4);
    operands.forEach((o, j) => f.bump(pointers[j], o.along === "channel" ? 4 : outPlane * 4));
  });
}
