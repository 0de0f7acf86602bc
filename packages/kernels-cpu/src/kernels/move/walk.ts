// Loops over strided boxes: outer axes are divided into pieces of work, inner axes become loops
// that move pointers.

import type { Axis } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import type { Task } from "../../compile/code.ts";
import { f32x4, i32, v128, i32x4, type Code, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { BLOCK } from "../gemm/blocking.ts";

/** Seconds for work bound by memory: 8 GB/s from the outer caches on one core. */
export const streamTime = (task: Task, { threads }: Caps): number =>
  (task.cost.bytesRead + task.cost.bytesWritten) / 8e9 / threads + 1e-6;

/** A pointer that loops move: where it starts, and which of the strides of each axis moves it. */
export interface Walker {
  readonly at: Local;
  readonly base: Operand;
  readonly stride: number;
}

/** Sets the pointers to cell `item` of the axes, the last of which varies fastest. */
export function locate(
  f: Func,
  item: Operand,
  axes: readonly Axis[],
  walkers: readonly Walker[],
): void {
  for (const w of walkers) f.set(w.at, w.base);
  if (axes.length === 0) return;
  const rest = f.let("i32", "rest", item);
  const coordinate = f.local("i32", "coordinate");
  for (let a = axes.length - 1; a >= 0; a--) {
    f.set(coordinate, a ? i32.rem(rest, axes[a].size) : rest);
    if (a) f.set(rest, i32.div(rest, axes[a].size));
    for (const w of walkers)
      if (axes[a].strides[w.stride])
        f.bump(w.at, i32.mul(coordinate, axes[a].strides[w.stride] * 4));
  }
}

/**
 * Loops over every cell of the axes, the last of which varies fastest. The pointers follow, and end
 * where they began.
 */
export function eachCell(
  f: Func,
  axes: readonly Axis[],
  walkers: readonly Omit<Walker, "base">[],
  body: () => void,
): void {
  if (axes.length === 0) return body();
  const [axis, ...inner] = axes;
  const move = (steps: number) =>
    walkers.forEach((w) => f.bump(w.at, steps * axis.strides[w.stride] * 4));
  if (axis.size < 1) return;
  f.repeat(axis.size, "cells", () => {
    eachCell(f, inner, walkers, body);
    if (axis.size > 1) move(1);
  });
  if (axis.size > 1) move(-axis.size);
}

/**
 * Calls `body` with a constant count for each part of 0 … total−1: whole parts of `size` in a loop,
 * then the rest.
 */
export function inParts(f: Func, total: number, size: number, body: (count: number) => void): void {
  f.repeat(Math.floor(total / size), "parts", () => body(size));
  if (total % size) body(total % size);
}

/**
 * Sums in two levels: `flush` moves the sums to totals, `finish` moves the totals back. They emit
 * no code unless they are called.
 */
export function totalsOf(
  f: Func,
  sums: readonly Local[],
): { flush: () => void; finish: () => void } {
  const totals = sums.map((_, i) => f.let("v128", `total${i}`, 0));
  return {
    flush: () =>
      sums.forEach((s, i) => {
        f.set(totals[i], f32x4.add(totals[i], s));
        f.set(s, 0);
      }),
    finish: () => sums.forEach((s, i) => f.set(s, f32x4.add(totals[i], s))),
  };
}

/**
 * Sums that count their terms: `add` gets the number of terms that each sum has taken since the
 * last call.
 */
export function counted(
  f: Func,
  sums: readonly Local[],
): { add: (terms: number) => void; finish: () => void } {
  const { flush, finish } = totalsOf(f, sums);
  const done = f.let("i32", "done", 0);
  return {
    finish,
    add(terms) {
      f.bump(done, terms);
      f.if(i32.lt(BLOCK - 1, done), () => {
        flush();
        f.set(done, 0);
      });
    },
  };
}

/**
 * Emits `count` rounds, each of which adds `terms` terms to each sum, in blocks; `rounds` is called
 * with a number of rounds.
 */
export function inBlocks(
  f: Func,
  sums: readonly Local[],
  count: number,
  terms: number,
  rounds: (count: Operand) => void,
): void {
  const size = Math.max(1, Math.floor(BLOCK / terms));
  if (count <= size) return rounds(count);
  const { flush, finish } = totalsOf(f, sums);
  const left = f.let("i32", "blocks", count);
  const n = f.local("i32", "rounds");
  f.loop(() => {
    f.set(n, i32.min(left, size));
    rounds(n);
    flush();
    f.bump(left, i32.sub(0, n));
    f.brIf(left, 0);
  });
  finish();
}

/**
 * Calls `body` with the constant count of one part of 0 … total−1: `size`, or the rest in the last
 * part.
 */
export function partAt(
  f: Func,
  part: Operand,
  total: number,
  size: number,
  body: (count: number) => void,
): void {
  const [whole, rest] = [Math.floor(total / size), total % size];
  if (!rest) body(size);
  else if (!whole) body(rest);
  else
    f.if(
      i32.lt(part, whole),
      () => body(size),
      () => body(rest),
    );
}

/** All ones in the first `lanes` lanes. */
export const laneMask = (lanes: number): Code =>
  i32x4.lanes(...[0, 1, 2, 3].map((l) => (l < lanes ? -1 : 0)));

/** The first `lanes` lanes of a vector, the others filled with one number. */
export const keepLanes = (v: Operand, lanes: number, other: number): Code =>
  other === 0 ? v128.and(v, laneMask(lanes)) : v128.bitselect(v, other, laneMask(lanes));

/** Stores the first `lanes` lanes. */
export function storeLanes(f: Func, address: Operand, v: Local, lanes: number, offset = 0): void {
  if (lanes >= 4) return f.store(address, v, offset);
  for (let l = 0; l < lanes; l++) f.storeLane(address, v, l, offset + l * 4);
}
