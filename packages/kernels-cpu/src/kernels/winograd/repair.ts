// Repairs the results of transforms: near the ends of the range of float32 a transformed value may
// overflow although the result does not, and a NaN or an infinity reaches every output of its tile.
// If a result is not finite, its tile is computed again by the definition.

import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { RECORD } from "./tiles.ts";

/** Four tiles that are computed by the definition. All offsets and distances are in bytes. */
export interface Plain {
  /** Source channels, and their distances in the source and in the weights. */
  readonly from: number;
  readonly plane: number;
  readonly wFrom: number;
  /** Offsets of the operands of products; they repeat `lines` times, at these distances. */
  readonly terms: readonly (readonly [x: number, w: number])[];
  readonly lines: number;
  readonly xLine: number;
  readonly wLine: number;
  /**
   * Outputs of a tile, and their distances in the source and in the result; each tile may have
   * other weights.
   */
  readonly rows: number;
  readonly columns: number;
  readonly step: readonly [row: number, column: number];
  readonly into: readonly [tile: number, row: number, column: number];
  readonly wTile: number;
}

/** The function (record, source, weights, into) that computes four tiles. */
export const plainTiles = (m: Module, key: string, t: Plain): Func =>
  m.func(`plain_${key}`, ["record", "source", "weights", "into"], (f) => {
    const [record, source, weights, into] = f.params as [Local, Local, Local, Local];
    const [l, i, j, c, line, s, d, x, w] = f.ints("l", "i", "j", "c", "line", "s", "d", "x", "w");
    const sum = f.local("v128", "sum");
    const part = f.local("v128", "part");
    f.for(l, 0, 4, 1, () => {
      f.if(i32.load(record, RECORD.h), () =>
        f.for(i, 0, t.rows, 1, () => {
          f.set(
            s,
            i32.add(i32.add(source, i32.load(record, RECORD.source)), i32.mul(i, t.step[0])),
          );
          f.set(d, i32.add(into, i32.mul(i, t.into[1])));
          f.for(j, 0, t.columns, 1, () => {
            f.set(x, s);
            f.set(w, weights);
            f.set(sum, 0);
            f.for(c, 0, t.from, 1, () => {
              f.set(part, 0);
              f.for(line, 0, t.lines, 1, () => {
                for (const [a, b] of t.terms)
                  f.set(
                    part,
                    f32x4.add(part, f32x4.mul(v128.loadZero32(x, a), v128.loadZero32(w, b))),
                  );
                f.bump(x, t.xLine);
                f.bump(w, t.wLine);
              });
              f.set(sum, f32x4.add(sum, part));
              f.bump(x, t.plane - t.lines * t.xLine);
              f.bump(w, t.wFrom - t.lines * t.wLine);
            });
            f.storeLane(d, sum, 0);
            f.bump(s, t.step[1]);
            f.bump(d, t.into[2]);
          });
        }),
      );
      f.bump(record, RECORD.bytes);
      f.bump(into, t.into[0]);
      f.bump(weights, t.wTile);
    });
  });

/**
 * The function (dy, x, into, lanes) that sums dy·x over all outputs for a tap, of one output
 * channel and several input channels.
 */
export const plainGradWeight = (
  m: Module,
  key: string,
  sizes: readonly number[],
  dyAt: readonly number[],
  xAt: readonly number[],
  plane: number,
): Func =>
  m.func(`plain_${key}`, ["dy", "x", "into", "lanes"], (f) => {
    const [dy, x, into, lanes] = f.params as [Local, Local, Local, Local];
    const l = f.local("i32", "l");
    const [sum, part] = [f.local("v128", "sum"), f.local("v128", "part")];
    const loop = (axis: number, a: Local, b: Local): void => {
      const [i, p, q] = f.ints(`i${axis}`, `dy${axis}`, `x${axis}`);
      const last = axis === sizes.length - 1;
      f.set(p, a);
      f.set(q, b);
      if (last) f.set(part, 0);
      f.for(i, 0, sizes[axis], 1, () => {
        if (last) f.set(part, f32x4.add(part, f32x4.mul(v128.loadZero32(p), v128.loadZero32(q))));
        else loop(axis + 1, p, q);
        f.bump(p, dyAt[axis] * 4);
        f.bump(q, xAt[axis] * 4);
      });
      if (last) f.set(sum, f32x4.add(sum, part));
    };
    f.for(l, 0, lanes, 1, () => {
      f.set(sum, 0);
      loop(0, dy, x);
      f.storeLane(into, sum, 0);
      f.bump(x, plane * 4);
      f.bump(into, 4);
    });
  });
