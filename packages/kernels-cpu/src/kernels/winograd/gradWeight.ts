// The gradient of a convolution to its weight by the same short convolutions: each pair of tiles is
// a convolution with r outputs, the taps, and a kernel m long.
//   dw[oc, c] = Aᵀ[ Σ over tiles of (G·dy[oc, tile]·Gᵀ) ⊙ (Bᵀ·x[c, tile]·B) ]A, F(r, m) for F(m, r)
// Each piece of work computes a block of dw from all tiles, in passes; its sums stay in the
// second-level cache.

import { gradWeightTiling, ROUNDOFF, type Tiling } from "@conv/compiler";
import { convGradWeightOp, type ConvGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  draft,
  inputAt,
  operandsAt,
  outputAt,
  type CpuKernel,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { i32, type Local } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { fitted, LEAST_ROWS, paddedElements } from "../fitted.ts";
import { columnsPerTile, rowsPerTile } from "../gemm/blocking.ts";
import { sumsTile } from "../gemm/tile.ts";
import { paddedInput, paddedSource } from "../move/pad.ts";
import {
  blockOf,
  resultFunc,
  ROWS,
  transformDy,
  transformX,
  type Block,
  type Blocking,
} from "./gradWeightParts.ts";
import { emitRecord, RECORD } from "./tiles.ts";

/** Bytes of sums, and of transformed tiles, that fit the second-level cache of a thread. */
const SUM_BYTES = 768 * 1024;
const TILE_BYTES = 384 * 1024;

const tilingOf = (task: Task<ConvGeometry>, points: number, dims: number): Tiling | string =>
  gradWeightTiling(task.params, points, dims);

/** How dw is divided into blocks of rows (oc) and columns (c), and the tiles into passes. */
function blocking({ g, axes, points, tiles }: Tiling, caps: Caps): Blocking {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(g.to);
  const up = (n: number, unit: number) => Math.ceil(n / unit) * unit;
  const side = Math.sqrt(SUM_BYTES / (points * 4));
  const columns = Math.min(up(g.from, nr), Math.max(nr, Math.floor(side / nr) * nr));
  const columnGroups = Math.ceil(g.from / columns);
  const taps = sizeOf(axes.map((x) => x.plain.length));
  const most = Math.max(mr, Math.floor(SUM_BYTES / (points * 4 * columns) / mr) * mr);
  const wanted = Math.ceil(caps.threads / (g.groups * taps * columnGroups));
  const rowGroups = Math.max(Math.ceil(g.to / most), Math.min(wanted, Math.ceil(g.to / mr)));
  const rows = up(Math.ceil(g.to / rowGroups), mr);
  const pass = Math.min(
    tiles,
    Math.max(8, Math.floor(TILE_BYTES / (points * 4 * (rows + columns)))),
  );
  return { nr, mr, columns, columnGroups, rows, rowGroups: Math.ceil(g.to / rows), taps, pass };
}

const winogradGradWeight = (points: 4 | 6 | 8, dims: 1 | 2): CpuKernel =>
  fitted({
    name: `winogradGradWeight${dims}d${points}`,
    fuses: ["element"],
    roundoff: ROUNDOFF[points],
    ops: [convGradWeightOp],
    unsupportedReason(task) {
      const t = tilingOf(task, points, dims);
      return typeof t === "string" ? t : null;
    },
    work(task, caps) {
      const t = tilingOf(task, points, dims) as Tiling;
      const { g, tiles } = t;
      const b = blocking(t, caps);
      const problems = g.groups * b.taps;
      const blocks = problems * t.points * b.columnGroups * b.rowGroups * (b.rows / b.mr);
      return {
        products: blocks * Math.max(LEAST_ROWS, b.mr) * b.columns * tiles,
        steps: blocks * (b.columns / b.nr) * tiles,
        moved: paddedElements(g) + g.n * g.groups * g.to * sizeOf(g.output),
        // Tiles of x, once for each group of rows; of dy, once for each group of columns, stored in
        // single elements; of dw, once.
        gathered: problems * t.points * tiles * b.rowGroups * g.from,
        transformed: problems * t.points * tiles * b.columnGroups * g.to,
        streamed: 4 * blocks * b.mr * b.columns * Math.ceil(tiles / b.pass),
        tiles: problems * g.from * g.to,
      };
    },
    build(task, caps) {
      const t = tilingOf(task, points, dims) as Tiling;
      const { g } = t;
      const code = draft();
      const x = paddedInput(g, 1, code);
      // dy has zeros where tiles reach past the last output.
      const reach = t.axes.map((a, i) =>
        Math.max(g.output[i], a.n > 1 ? a.spacing * a.m * Math.ceil(a.tiles / a.spacing) : 0),
      );
      const box = {
        planes: g.n * g.groups * g.to,
        source: g.output,
        lo: g.output.map(() => 0),
        padded: reach,
      };
      const dy = paddedSource(box, inputAt(0), code);
      code.stages.push(blockStage(blockOf(t, blocking(t, caps), reach, task, caps), [dy, x]));
      return code;
    },
  });

export const winogradGradWeight2d4: CpuKernel = /* @__PURE__ */ winogradGradWeight(4, 2);
export const winogradGradWeight2d6: CpuKernel = /* @__PURE__ */ winogradGradWeight(6, 2);
export const winogradGradWeight2d8: CpuKernel = /* @__PURE__ */ winogradGradWeight(8, 2);
export const winogradGradWeight1d6: CpuKernel = /* @__PURE__ */ winogradGradWeight(6, 1);
export const winogradGradWeight1d8: CpuKernel = /* @__PURE__ */ winogradGradWeight(8, 1);

const VARIABLES = [
  ...["item", "rest", "row0", "rows", "column0", "columns", "tap", "problem"],
  ...["first", "count", "tile", "record", "i", "point", "block", "panel", "a", "v", "s", "from"],
] as const;

/** A block of dw with what its loops share. */
interface Loops extends Block {
  readonly m: Module;
  readonly f: Func;
  /** Addresses of the tensors, and of the operands of the epilogue. */
  readonly dy: Local;
  readonly x: Local;
  readonly dw: Local;
  readonly pointers: readonly Local[];
  /** Addresses in the memory of the thread: records, tiles of x and dy, sums, scratch. */
  readonly records: Local;
  readonly xAt: Local;
  readonly dyAt: Local;
  readonly sumsAt: Local;
  readonly scratchAt: Local;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
}

function blockStage(k: Block, reads: Stage["reads"]): Stage {
  const { g, b, bytes } = k;
  return {
    name: k.name,
    items: g.groups * b.taps * b.rowGroups * b.columnGroups,
    threadScratch: bytes.records + bytes.x + bytes.dy + bytes.sums + bytes.scratch,
    reads: [...reads, ...operandsAt(k.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi, threadScratch: records }) {
      const [dy, x, ...pointers] = at.slice(0, -1);
      const dw = at.at(-1)!;
      const xAt = f.let("i32", "xAt", i32.add(records, bytes.records));
      const dyAt = f.let("i32", "dyAt", i32.add(xAt, bytes.x));
      const sumsAt = f.let("i32", "sumsAt", i32.add(dyAt, bytes.dy));
      const scratchAt = f.let("i32", "scratch", i32.add(sumsAt, bytes.sums));
      const v = f.vars(...VARIABLES);
      const addresses = { dy, x, dw, pointers, records, xAt, dyAt, sumsAt, scratchAt };
      const loops: Loops = { ...k, m, f, ...addresses, v };
      const [fromX, fromDy, intoDw] = [transformX(m, k), transformDy(m, k), resultFunc(m, k)];
      f.for(v.item, lo, hi, 1, () => {
        locateBlock(loops);
        f.fill(sumsAt, 0, bytes.sums);
        f.for(v.first, 0, k.t.tiles, b.pass, () => {
          emitRecords(loops);
          emitTransforms(loops, fromX, fromDy);
          emitProducts(loops);
        });
        emitResults(loops, intoDw);
      });
    },
  };
}

/** Emits where the block of a piece of work begins, and how many rows and columns it has. */
function locateBlock({ f, g, b, v }: Loops): void {
  f.set(v.column0, i32.mul(i32.rem(v.item, b.columnGroups), b.columns));
  f.set(v.rest, i32.div(v.item, b.columnGroups));
  f.set(v.row0, i32.mul(i32.rem(v.rest, b.rowGroups), b.rows));
  f.set(v.rest, i32.div(v.rest, b.rowGroups));
  f.set(v.tap, i32.rem(v.rest, b.taps));
  f.set(v.problem, i32.div(v.rest, b.taps));
  f.set(v.columns, i32.sub(g.from, v.column0));
  f.set(v.columns, i32.min(v.columns, b.columns));
  f.set(v.rows, i32.sub(g.to, v.row0));
  f.set(v.rows, i32.min(v.rows, b.rows));
}

/** Emits the records of the tiles of a pass. */
function emitRecords({ f, t, b, strides, plane, dyStrides, dyPlane, records, v }: Loops): void {
  f.set(v.count, i32.sub(t.tiles, v.first));
  f.set(v.count, i32.min(v.count, b.pass));
  f.set(v.record, records);
  const dy4 = dyStrides.map((d) => d * 4);
  f.for(v.i, 0, v.count, 1, () => {
    f.set(v.tile, i32.add(v.first, v.i));
    emitRecord(f, t, v.tile, v.record, strides, plane, dy4, dyPlane);
    f.bump(v.record, RECORD.bytes);
  });
}

/** Emits the move of a pointer to the plain tap of the piece of work. */
const toTap = ({ f, v }: Loops, pointer: Local, offsets: readonly number[]) =>
  offsets.forEach(
    (offset, index) => offset && f.if(i32.eq(v.tap, index), () => f.bump(pointer, offset * 4)),
  );

/** Byte offset of the block's first channel: row `row0` of dy, or column `column0` of x. */
const channelOf = ({ v }: Loops, channels: number, first: Local, bytes: number) =>
  i32.mul(i32.add(i32.mul(v.problem, channels), first), bytes);

/** Emits the transforms of a pass: Bᵀ·x·B of its columns, G·dy·Gᵀ of its rows, eight at a time. */
function emitTransforms(loops: Loops, fromX: Func, fromDy: Func): void {
  const { f, g, b, plane, plainX, dyPlane, v, dy, x, records, xAt, dyAt, scratchAt } = loops;
  const { nr, mr, pass } = b;
  f.set(v.from, i32.add(x, channelOf(loops, g.from, v.column0, plane * 4)));
  toTap(loops, v.from, plainX);
  f.for(v.i, 0, v.columns, 8, () => {
    f.set(
      v.v,
      i32.add(xAt, i32.add(i32.mul(i32.div(v.i, nr), pass * nr * 4), i32.mul(i32.rem(v.i, nr), 4))),
    );
    f.callNamed(fromX, {
      record: records,
      count: v.count,
      x: i32.add(v.from, i32.mul(v.i, plane * 4)),
      last: i32.sub(i32.sub(v.columns, 1), v.i),
      v: v.v,
      scratch: scratchAt,
    });
  });
  f.set(v.from, i32.add(dy, channelOf(loops, g.to, v.row0, dyPlane * 4)));
  // Eight rows at a time may end past the last row, which is then written again.
  const target = (l: number) => {
    const row = l
      ? i32.select(i32.lt(i32.add(v.i, l), v.rows), i32.add(v.i, l), i32.sub(v.rows, 1))
      : i32.add(v.i, 0);
    return i32.add(
      dyAt,
      i32.add(i32.mul(i32.div(row, mr), pass * mr * 4), i32.mul(i32.rem(row, mr), 4)),
    );
  };
  f.for(v.i, 0, v.rows, 8, () =>
    f.callNamed(
      fromDy,
      {
        record: records,
        count: v.count,
        dy: i32.add(v.from, i32.mul(v.i, dyPlane * 4)),
        last: i32.sub(i32.sub(v.rows, 1), v.i),
        scratch: scratchAt,
      },
      ...ROWS.map((_, l) => target(l)),
    ),
  );
}

/**
 * Emits the sums of a pass: at each point, rows of dy times columns of x, summed over its tiles.
 */
function emitProducts({ m, f, t, b, caps, xAt, dyAt, sumsAt, v }: Loops): void {
  const { nr, mr, rows, columns, pass } = b;
  f.for(v.point, 0, t.points, 1, () => {
    f.set(v.a, i32.add(dyAt, i32.mul(v.point, rows * pass * 4)));
    f.set(v.s, i32.add(sumsAt, i32.mul(v.point, rows * columns * 4)));
    f.for(v.block, 0, rows / mr, 1, () => {
      f.set(v.v, i32.add(xAt, i32.mul(v.point, columns * pass * 4)));
      f.for(v.panel, 0, columns / nr, 1, () => {
        f.callNamed(sumsTile(m, caps, mr), { a: v.a, b: v.v, k: v.count, into: v.s, more: 1 });
        f.bump(v.v, pass * nr * 4);
        f.bump(v.s, mr * nr * 4);
      });
      f.bump(v.a, pass * mr * 4);
    });
  });
}

/** Emits the results of a block, Aᵀ·s·A of the sums s of each row and column. */
function emitResults(loops: Loops, intoDw: Func): void {
  const { f, g, b, taps, plane, plainX, plainW, dyPlane, dy, x, dw, pointers, sumsAt, v } = loops;
  const { nr, mr } = b;
  f.set(
    v.v,
    i32.mul(
      i32.add(i32.mul(i32.add(i32.mul(v.problem, g.to), v.row0), g.from), v.column0),
      taps * 4,
    ),
  );
  toTap(loops, v.v, plainW);
  const { row, dyRow, xColumn } = f.vars("row", "dyRow", "xColumn");
  f.set(dyRow, i32.add(dy, channelOf(loops, g.to, v.row0, dyPlane * 4)));
  f.set(xColumn, i32.add(x, channelOf(loops, g.from, v.column0, plane * 4)));
  toTap(loops, xColumn, plainX);
  f.for(row, 0, v.rows, 1, () => {
    f.for(v.i, 0, v.columns, 4, () => {
      f.set(v.s, i32.mul(i32.div(row, mr), b.columns * mr * 4));
      f.bump(
        v.s,
        i32.add(
          i32.mul(i32.div(v.i, nr), mr * nr * 4),
          i32.add(i32.mul(i32.rem(row, mr), nr * 4), i32.mul(i32.rem(v.i, nr), 4)),
        ),
      );
      f.set(v.from, i32.add(v.v, i32.mul(v.i, taps * 4)));
      f.set(v.rest, i32.sub(v.columns, v.i));
      f.set(v.rest, i32.min(v.rest, 4));
      f.callNamed(
        intoDw,
        {
          sums: i32.add(sumsAt, v.s),
          lanes: v.rest,
          dw: i32.add(dw, v.from),
          dy: dyRow,
          x: i32.add(xColumn, i32.mul(v.i, plane * 4)),
        },
        ...pointers.map((p) => i32.add(p, v.from)),
      );
    });
    f.bump(v.v, g.from * taps * 4);
    f.bump(dyRow, dyPlane * 4);
  });
}
