// Winograd's transforms as code: four tiles of the source, of one channel after the other, and four tiles of products to the output.

import type { Caps } from "../caps.ts";
import type { Task } from "../code.ts";
import { i32, v128, type Func, type Local, type Operand } from "../wasm/asm.ts";
import { loadStepped } from "./pad.ts";
import { transpose4 } from "./panel.ts";
import { storeNeighbours } from "./store.ts";
import { combine, type Matrix } from "./toomCook.ts";
import { RECORD, type Tiling } from "./winogradTiles.ts";

/** The transform of four tiles, of every channel and plain tap: Bᵀ·d·B to v + point·depth·nr + k·nr. */
export function emitInput(f: Func, t: Tiling, caps: Caps, nr: number, strides: readonly number[], plane: number): void {
  const { g, axes, h, w, depth } = t;
  const [record, source, v] = f.params as [Local, Local, Local];
  const pointers = Array.from({ length: 4 }, (_, l) => f.let("i32", `p${l}`, i32.add(source, i32.load(record, l * RECORD.bytes + RECORD.source))));
  const rank = axes.length;
  const stepH = rank > 1 ? g.step[rank - 2] * h.spacing * strides[rank - 2] : 0;
  const stepW = g.step[rank - 1] * w.spacing;
  const plain = axes.reduce<number[]>((offsets, x, a) => offsets.flatMap((o) => x.plain.map((p) => o + p * strides[a])), [0]);
  const channel = f.local("i32", "channel");
  f.for(channel, 0, g.from, 1, () => {
    for (const offset of plain) {
      const row = (i: number) => tileRow(f, pointers, (offset + i * stepH) * 4, w.n, stepW);
      transform(f, caps, h.short.bt, w.short.bt, row, (i, j, x) => f.store(v, x, (i * w.n + j) * depth * nr * 4));
      f.bump(v, nr * 4);
    }
    for (const p of pointers) f.bump(p, plane * 4);
  });
}

/** Emits H·d·Wᵀ of four tiles d at once: `row` loads one of their rows, a vector per column; `put` gets the result point by point. */
export function transform(
  f: Func,
  caps: Caps,
  matrixH: Matrix,
  matrixW: Matrix,
  row: (i: number) => Local[],
  put: (i: number, j: number, x: Local) => void,
): void {
  const rows = matrixH[0].map((_, i) => combine(f, caps, matrixW, row(i)));
  matrixW.forEach((_, j) =>
    combine(
      f,
      caps,
      matrixH,
      rows.map((r) => r[j]),
    ).forEach((x, i) => put(i, j, x)),
  );
}

/** `count` elements, `step` apart, of each of four tiles: a vector per column. */
export function tileRow(f: Func, pointers: readonly Local[], at: number, count: number, step: number): Local[] {
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

/** The way back of four tiles, for `rows` output channels: Aᵀ·M·A, the epilogue, and the stores that are inside the output. */
export function emitOutput(
  f: Func,
  t: Tiling,
  task: Task,
  caps: Caps,
  nr: number,
  rowsInChunk: number,
  out4: readonly number[],
  outPlane: number,
): void {
  const { g, h, w } = t;
  const [record, sums, rows, y, patch, ...pointers] = f.params as [Local, Local, Local, Local, Local, ...Local[]];
  const rank = g.kernel.length;
  const operands = task.epilogue?.operands ?? [];
  const stepH = rank > 1 ? g.outStep[rank - 2] * h.spacing * out4[rank - 2] : 0;
  const stepW = g.outStep[rank - 1] * w.spacing;
  const load = (l: number, field: number) => i32.load(record, l * RECORD.bytes + field);
  const targets = [0, 1, 2, 3].map((l) => f.let("i32", `t${l}`, load(l, RECORD.target)));
  const whole = f.let("i32", "whole", 1);
  for (let l = 0; l < 4; l++) {
    f.set(whole, i32.and(whole, i32.eq(load(l, RECORD.h), h.m)));
    f.set(whole, i32.and(whole, i32.eq(load(l, RECORD.w), w.m)));
  }
  const perChannel = new Map(operands.filter((o) => o.along === "channel").map((o) => [o.name, f.local("v128", `${o.name}_c`)]));
  const row = f.local("i32", "row");
  f.for(row, 0, rows as Operand, 1, () => {
    const half = Array.from({ length: w.n }, (_, j) => {
      const column = Array.from({ length: h.n }, (_, i) => f.let("v128", "m", v128.load(sums, (i * w.n + j) * rowsInChunk * nr * 4)));
      return h.n > 1 ? combine(f, caps, h.short.at, column) : column;
    });
    operands.forEach((o, i) => o.along === "channel" && f.set(perChannel.get(o.name)!, v128.loadSplat(pointers[i])));
    // [row of the tile][four of its columns][tile]
    const tiles = Array.from({ length: h.m }, (_, i) => {
      const line = half.map((column) => column[i]);
      const outputs = w.n > 1 ? combine(f, caps, w.short.at, line) : line;
      return Array.from({ length: Math.ceil(w.m / 4) }, (_, p) => {
        const some = outputs.slice(4 * p, 4 * p + 4);
        return transpose4(
          f,
          Array.from({ length: 4 }, (_, k) => some[k] ?? some[0]),
          4,
        );
      });
    });
    const save = (r: Local, target: Local, offset: number, lanes: number) =>
      storeNeighbours(f, caps, task.epilogue, r, {
        address: i32.add(y, target),
        offset,
        lanes,
        step: stepW,
        perChannel,
        beside: (i) => i32.add(pointers[i], target),
      });
    f.if(
      whole,
      () => {
        for (let l = 0; l < 4; l++)
          tiles.forEach((line, i) => line.forEach((v, p) => save(v[l], targets[l], i * stepH + p * 16 * stepW, Math.min(4, w.m - 4 * p))));
      },
      () => {
        const width = Math.ceil(w.m / 4) * 16;
        tiles.forEach((line, i) => line.forEach((v, p) => v.forEach((x, l) => f.store(patch, x, (l * h.m + i) * width + p * 16))));
        const [l, i, j, at, from, to, line] = f.ints("l", "i", "j", "at", "from", "to", "line");
        const value = f.local("v128", "value");
        f.set(at, record);
        f.set(line, patch);
        f.for(l, 0, 4, 1, () => {
          f.for(i, 0, i32.load(at, RECORD.h), 1, () => {
            f.set(from, i32.add(line, i32.mul(i, width)));
            f.set(to, i32.add(i32.load(at, RECORD.target), i32.mul(i, stepH)));
            f.for(j, 0, i32.load(at, RECORD.w), 1, () => {
              f.set(value, v128.loadZero32(from));
              save(value, to, 0, 1);
              f.bump(from, 4);
              f.bump(to, stepW * 4);
            });
          });
          f.bump(at, RECORD.bytes);
          f.bump(line, h.m * width);
        });
      },
    );
    f.bump(sums, nr * 4);
    f.bump(y, outPlane * 4);
    operands.forEach((o, i) => f.bump(pointers[i], o.along === "channel" ? 4 : outPlane * 4));
  });
}
