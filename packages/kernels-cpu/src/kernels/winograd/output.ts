// The outputs of Winograd's short convolutions, eight tiles at a time: Aᵀ·M·A, the epilogue, and
// the stores.

import type { Tiling } from "@conv/compiler";
import type { Caps } from "../../compile/caps.ts";
import type { Epilogue } from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func } from "../../wasm/module.ts";
import { channelValues, storeNeighbors } from "../direct/store.ts";
import { transpose4 } from "../gemm/panel.ts";
import { RECORD, stepsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";
import { COLUMN, patchWidth, sideBySide } from "./transforms.ts";

export interface Outputs {
  readonly t: Tiling;
  readonly epilogue: Epilogue | null;
  readonly caps: Caps;
  /** The function that computes four tiles by the definition (repair.ts). */
  readonly plain: Func;
  /** Columns of a register tile, and bytes between the points of M. */
  readonly nr: number;
  readonly pointBytes: number;
  /** Bytes between neighbors of the output along each axis, and elements of a channel. */
  readonly out4: readonly number[];
  readonly outPlane: number;
}

/** The parameters of the function; the operands of the epilogue follow. */
export const OUTPUT = [
  ...["record", "m", "rows", "y", "patch", "scratch", "source", "weights"],
] as const;

const VARIABLES = ["row", "i", "at", "from", "q", "tiles", "whole", "line"] as const;

/** The outputs with what the parts of their code share. */
interface Emission extends Outputs {
  readonly f: Func;
  readonly p: Readonly<Record<(typeof OUTPUT)[number], Local>>;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
  /** Where the outputs of four tiles begin in y. */
  readonly targets: readonly Local[];
  /** Sums of squares, one for each half of the tiles: additions to one sum would wait. */
  readonly checks: readonly Local[];
  /** Whether a value is not finite, or so large that the transform along w may overflow. */
  readonly bad: Local;
  /** Bytes between outputs of a tile along h, and elements along w. */
  readonly stepH: number;
  readonly stepW: number;
  /** Emits the store of `lanes` neighbors at an offset from `target`, through the epilogue. */
  save(r: Local, target: Local, offset: number, lanes: number): void;
}

/** Emits the outputs of eight tiles for `rows` output channels. */
export function emitOutput(f: Func, o: Outputs): void {
  const { t, epilogue, caps, nr, out4, outPlane } = o;
  const p = f.named(OUTPUT);
  const pointers = f.params.slice(OUTPUT.length);
  const { perChannel, load } = channelValues(f, epilogue);
  const steps = stepsOf(t, t.g.outStep, out4);
  const targets = [0, 1, 2, 3].map((l) => f.local("i32", `t${l}`));
  const v = f.vars(...VARIABLES);
  const checks = [0, 1].map((half) => f.local("v128", `check${half}`));
  const bad = f.local("i32", "bad");
  const e: Emission = {
    ...{ ...o, ...steps, f, p, v, targets, checks, bad },
    save: (r, target, offset, lanes) =>
      storeNeighbors(f, caps, epilogue, r, {
        address: i32.add(p.y, target),
        offset,
        lanes,
        step: steps.stepW,
        perChannel,
        operandAt: (i) => i32.add(pointers[i], target),
      }),
  };
  f.for(v.row, 0, p.rows, 1, () => {
    emitAlongH(e);
    load((j) => pointers[j]);
    f.set(v.tiles, p.record);
    f.for(v.q, 0, 2, 1, () => emitAlongW(e));
    f.bump(p.m, nr * 4);
    f.bump(p.y, outPlane * 4);
    f.bump(p.weights, t.g.wTo * 4);
    epilogue?.operands.forEach((x, j) =>
      f.bump(pointers[j], x.along === "channel" ? 4 : outPlane * 4),
    );
  });
}

/**
 * Emits Aᵀ·M to `scratch`, both halves of the tiles side by side. All points of a tile contribute
 * to its first or its last line: the squares of these lines tell whether one of them is bad.
 */
function emitAlongH({ f, t: { h, w }, caps, pointBytes, p, v, checks, bad }: Emission): void {
  for (const check of checks) f.set(check, 0);
  f.set(v.at, p.scratch);
  f.set(v.from, p.m);
  f.for(v.i, 0, w.n, 1, () => {
    const half = (q: number) =>
      combine(
        f,
        caps,
        h.short.at,
        Array.from({ length: h.n }, (_, r) =>
          f.let("v128", "m", v128.load(v.from, r * w.n * pointBytes + q * 16)),
        ),
      );
    sideBySide(caps, half, (q, r, x) => {
      f.store(v.at, x, r * w.n * COLUMN + q * 16);
      if (r % (h.m - 1 || 1) === 0) f.set(checks[q], madd(caps, x, x, checks[q]));
    });
    f.bump(v.from, pointBytes);
    f.bump(v.at, COLUMN);
  });
  f.set(checks[0], f32x4.add(checks[0], checks[1]));
  f.set(bad, v128.anyTrue(f32x4.sub(checks[0], checks[0])));
}

/**
 * Emits (Aᵀ·M)·A of four tiles, row by row: to y where all outputs of the tiles exist, else to the
 * patch, and from there one by one.
 */
function emitAlongW(e: Emission): void {
  const { f, t, caps, p, v, targets, bad, stepH, stepW } = e;
  const { h, w } = t;
  const width = patchWidth(t);
  const field = (l: number, of: number) => i32.load(v.tiles, l * RECORD.bytes + of);
  f.set(v.whole, i32.eqz(bad));
  targets.forEach((target, l) => {
    f.set(target, field(l, RECORD.target));
    const full = i32.and(i32.eq(field(l, RECORD.h), h.m), i32.eq(field(l, RECORD.w), w.m));
    f.set(v.whole, i32.and(v.whole, full));
  });
  f.set(v.at, i32.add(p.scratch, i32.mul(v.q, 16)));
  f.set(v.line, p.patch);
  f.for(v.i, 0, h.m, 1, () => {
    const outputs = combine(
      f,
      caps,
      w.short.at,
      Array.from({ length: w.n }, (_, j) => f.let("v128", "m", v128.load(v.at, j * COLUMN))),
    );
    // [four of the columns][tile]
    const parts = Array.from({ length: Math.ceil(w.m / 4) }, (_, part) => {
      const some = outputs.slice(4 * part, 4 * part + 4);
      return transpose4(
        f,
        [0, 1, 2, 3].map((k) => some[k] ?? some[0]),
      );
    });
    f.if(
      v.whole,
      () =>
        targets.forEach((target, l) => {
          parts.forEach((columns, part) =>
            e.save(columns[l], target, part * 16 * stepW, Math.min(4, w.m - 4 * part)),
          );
          f.bump(target, stepH);
        }),
      () =>
        parts.forEach((columns, part) =>
          columns.forEach((x, l) => f.store(v.line, x, l * h.m * width + part * 16)),
        ),
    );
    f.bump(v.line, width);
    f.bump(v.at, w.n * COLUMN);
  });
  f.if(i32.eqz(v.whole), () => emitPatch(e));
  f.bump(v.tiles, 4 * RECORD.bytes);
}

/** Emits the stores of the outputs of four tiles that exist, from the patch. */
function emitPatch({ f, t, p, v, plain, bad, stepH, stepW, save }: Emission): void {
  const width = patchWidth(t);
  const { l, j, to } = f.vars("l", "j", "to");
  const value = f.local("v128", "value");
  f.set(v.line, p.patch);
  f.if(bad, () => f.call(plain, v.tiles, p.source, p.weights, p.patch));
  f.for(l, 0, 4, 1, () => {
    f.for(v.i, 0, i32.load(v.tiles, RECORD.h), 1, () => {
      f.set(v.from, i32.add(v.line, i32.mul(v.i, width)));
      f.set(to, i32.add(i32.load(v.tiles, RECORD.target), i32.mul(v.i, stepH)));
      f.for(j, 0, i32.load(v.tiles, RECORD.w), 1, () => {
        f.set(value, v128.loadZero32(v.from));
        save(value, to, 0, 1);
        f.bump(v.from, 4);
        f.bump(to, stepW * 4);
      });
    });
    f.bump(v.tiles, RECORD.bytes);
    f.bump(v.line, t.h.m * width);
  });
  f.bump(v.tiles, -4 * RECORD.bytes);
}
