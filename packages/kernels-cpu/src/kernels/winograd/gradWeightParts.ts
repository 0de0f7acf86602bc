// The parts of Winograd's gradient to the weight that are functions: the transforms of tiles of x
// and dy, and the results of a block of dw.

import { readLayout, shortConvolution, type TileAxis, type Tiling } from "@conv/compiler";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import type { Task } from "../../compile/code.ts";
import { f32x4, i32, v128, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { emitExpr } from "../elementwise/expr.ts";
import { epilogueName } from "../gemm/tile.ts";
import { plainGradWeight } from "./repair.ts";
import { RECORD, stepsOf, sumsOf } from "./tiles.ts";
import { combine } from "./toomCook.ts";
import { scratchBytes, transform, type TileSource } from "./transforms.ts";

export interface Blocking {
  /** Columns and rows of a register tile. */
  readonly nr: number;
  readonly mr: number;
  /** Columns (c) and rows (oc) of a block, and the blocks along each. */
  readonly columns: number;
  readonly columnGroups: number;
  readonly rows: number;
  readonly rowGroups: number;
  /** Taps that no short convolution covers: each has blocks of its own. */
  readonly taps: number;
  /** Tiles of a pass. */
  readonly pass: number;
}

export type Block = ReturnType<typeof blockOf>;

/** What the code of a block needs to know; `reach` is the shape of dy with zeros for all tiles. */
export function blockOf(
  t: Tiling,
  b: Blocking,
  reach: readonly number[],
  { epilogue }: Task,
  caps: Caps,
) {
  const { g, axes, h, w, points } = t;
  const { strides, plane } = readLayout(g);
  const kernelStrides = stridesOf(g.kernel);
  const id = exactly([g, reach, h.n, w.n, caps]);
  const along = (x: TileAxis) => shortConvolution(x.n - x.m + 1, x.m);
  return {
    t,
    g,
    b,
    caps,
    epilogue,
    id,
    name: `winogradGradWeight_${id}${epilogueName(epilogue)}`,
    strides,
    plane,
    dyStrides: stridesOf(reach),
    dyPlane: sizeOf(reach),
    kernelStrides,
    taps: sizeOf(g.kernel),
    /** Where each plain tap is, in x and in dw. */
    plainX: sumsOf(axes.map((x, a) => x.plain.map((p) => p * strides[a]))),
    plainW: sumsOf(axes.map((x, a) => (x.n > 1 ? [0] : x.taps.map(([k]) => k * kernelStrides[a])))),
    shortH: along(h),
    shortW: along(w),
    /**
     * x and dy: [point][panel or block][tile of the pass][column or row]; sums:
     * [point][block][panel][row][column].
     */
    bytes: {
      records: b.pass * RECORD.bytes,
      x: points * b.columns * b.pass * 4,
      dy: points * b.rows * b.pass * 4,
      sums: points * b.rows * b.columns * 4,
      scratch: scratchBytes(t),
    },
  };
}

/** The channels from `base` on, at most `last` further, that tiles are transformed of. */
interface Channels {
  /** Word of a tile's record that holds its offset. */
  readonly field: number;
  readonly record: Local;
  readonly count: Local;
  readonly base: Local;
  readonly last: Local;
  readonly channelBytes: number;
}

/** Emits `body` for each tile of a pass, with pointers to four of its eight channels at a time. */
function eachTile(
  p: Func,
  { field, record, count, base, last, channelBytes }: Channels,
  body: (pointers: TileSource["pointers"]) => void,
): void {
  const channels = Array.from({ length: 8 }, (_, l) =>
    p.let(
      "i32",
      `c${l}`,
      i32.add(base, i32.mul(i32.select(i32.lt(last, l), last, l), channelBytes)),
    ),
  );
  const pointers = [0, 1, 2, 3].map((l) => p.local("i32", `p${l}`));
  const { tile, offset } = p.vars("tile", "offset");
  p.for(tile, 0, count, 1, () => {
    p.set(offset, i32.load(record, field));
    body((q) => {
      pointers.forEach((d, l) => p.set(d, i32.add(channels[4 * q + l], offset)));
      return pointers;
    });
    p.bump(record, RECORD.bytes);
  });
}

const X = ["record", "count", "x", "last", "v", "scratch"] as const;

/** The function that stores Bᵀ·x·B of eight channels of each tile: [point][panel][tile][column]. */
export const transformX = (m: Module, k: Block): Func =>
  m.func(`winogradGradWeightX_${k.id}`, X, (p) => {
    const { t, b, g, plane, strides } = k;
    const { x: base, v, scratch, ...rest } = p.named(X);
    const pointBytes = b.columns * b.pass * 4;
    const channels = { ...rest, base, field: RECORD.source, channelBytes: plane * 4 };
    eachTile(p, channels, (pointers) => {
      transform(
        p,
        k.caps,
        [k.shortH.bt, k.shortW.bt],
        { pointers, first: 0, ...stepsOf(t, g.step, strides) },
        scratch,
        (q, i, c) => p.store(v, c, i * t.w.n * pointBytes + q * 16),
        () => p.bump(v, pointBytes),
      );
      p.bump(v, b.nr * 4 - t.w.n * pointBytes);
    });
  });

/** The addresses of eight rows. */
export const ROWS: readonly string[] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];
const DY = ["record", "count", "dy", "last", "scratch"] as const;

/** The function that stores G·dy·Gᵀ of eight channels of each tile: [point][block][tile][row]. */
export const transformDy = (m: Module, k: Block): Func =>
  m.func(`winogradGradWeightDy_${k.id}`, [...DY, ...ROWS], (p) => {
    const { t, b, g, dyPlane, dyStrides } = k;
    const { dy: base, scratch, ...rest } = p.named(DY);
    const into = p.params.slice(DY.length);
    const pointBytes = b.rows * b.pass * 4;
    const channels = { ...rest, base, field: RECORD.target, channelBytes: dyPlane * 4 };
    eachTile(p, channels, (pointers) => {
      transform(
        p,
        k.caps,
        [k.shortH.g, k.shortW.g],
        { pointers, first: 0, ...stepsOf(t, g.outStep, dyStrides) },
        scratch,
        (q, i, c) =>
          [0, 1, 2, 3].forEach((l) => p.storeLane(into[4 * q + l], c, l, i * t.w.n * pointBytes)),
        () => into.forEach((d) => p.bump(d, pointBytes)),
      );
      for (const d of into) p.bump(d, b.mr * 4 - t.w.n * pointBytes);
    });
  });

/** The function that sums dy·x by the definition, for one tap. */
const plainOf = (m: Module, { id, g, strides, plane, dyStrides, dyPlane }: Block): Func =>
  plainGradWeight(
    m,
    id,
    [g.n, ...g.output],
    [g.groups * g.to * dyPlane, ...dyStrides],
    [g.groups * g.from * plane, ...strides.map((s, a) => s * g.step[a])],
    plane,
  );

/** A result of a block: four columns, with its byte offsets in dw and x. */
interface Result {
  readonly value: Local;
  readonly dw: number;
  readonly x: number;
}

/** Emits Aᵀ·s·A of the sums s of four columns: one result for each tap. */
function emitTaps(p: Func, k: Block, sums: Local): Result[] {
  const { t, g, b, caps, shortH, shortW, strides, kernelStrides } = k;
  const { h, w, axes } = t;
  const rank = axes.length;
  const load = (i: number, j: number) =>
    p.let("v128", "s_", v128.load(sums, (i * w.n + j) * b.rows * b.columns * 4));
  const columns = shortW.bt.map((_, j) =>
    combine(
      p,
      caps,
      shortH.at,
      shortH.bt.map((__, i) => load(i, j)),
    ),
  );
  const tapOf = (x: TileAxis, i: number, axis: number) =>
    x.n > 1 ? x.taps[0][i] * kernelStrides[axis] : 0;
  const { stepH, stepW } = stepsOf(t, g.step, strides);
  return shortH.at.flatMap((_, i) =>
    combine(
      p,
      caps,
      shortW.at,
      columns.map((c) => c[i]),
    ).map((value, j) => ({
      value,
      dw: (tapOf(h, i, rank - 2) + tapOf(w, j, rank - 1)) * 4,
      x: (i * stepH + j * stepW) * 4,
    })),
  );
}

const RESULT = ["sums", "lanes", "dw", "dy", "x"] as const;

/**
 * The function that stores the taps of four columns of dw: Aᵀ·s·A of their sums s, summed by the
 * definition where a result is not finite, and then the epilogue.
 */
export function resultFunc(m: Module, k: Block): Func {
  const plain = plainOf(m, k);
  const operands = k.epilogue?.operands ?? [];
  return m.func(`${k.name}_out`, [...RESULT, ...operands.map((o) => o.name)], (p) => {
    const { sums, lanes, dw, dy, x } = p.named(RESULT);
    const pointers = p.params.slice(RESULT.length);
    const results = emitTaps(p, k, sums);
    const check = p.let("v128", "check", 0);
    for (const { value } of results) p.set(check, f32x4.add(check, f32x4.mul(value, value)));
    const first = k.t.axes.reduce((sum, axis, a) => sum + axis.first * k.strides[a] * 4, 0);
    p.if(v128.anyTrue(f32x4.sub(check, check)), () => {
      for (const { value, x: offset } of results) {
        p.call(plain, dy, i32.add(x, first + offset), sums, lanes);
        p.set(value, v128.load(sums));
      }
    });
    p.block(() => {
      for (let lane = 0; lane < 4; lane++) {
        if (lane) p.brIf(i32.le(lanes, lane), 0);
        for (const { value, dw: offset } of results) {
          const at = lane * k.taps * 4 + offset;
          const r = p.let("v128", "r", v128.shuffle(value, value, lane, lane, lane, lane));
          const values: Record<string, Operand> = { r };
          operands.forEach(
            (o, i) => (values[o.name] = p.let("v128", o.name, v128.loadZero32(pointers[i], at))),
          );
          const result = k.epilogue ? emitExpr(p, k.caps, k.epilogue.f, values) : r;
          p.storeLane(dw, result, 0, at);
        }
      }
    });
  });
}
