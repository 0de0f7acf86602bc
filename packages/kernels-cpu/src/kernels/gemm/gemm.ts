// The matrix product under convolution, its gradients and matmul: y[m, columns] = Σₖ a[m, k] · b[k,
// columns]. Loops, from the outermost: pieces of work (problem × group of tiles), chunks of k that
// fit the first-level cache, blocks of m, tiles (tile.ts). A kernel supplies how a panel of b is
// filled and where its columns are in y.

import type { Caps } from "../../compile/caps.ts";
import { operandsAt, outputAt, type Epilogue, type Place, type Stage } from "../../compile/code.ts";
import { f32x4, i32, v128, type Code, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import {
  blocking,
  CHUNKS,
  gemmSize,
  META,
  metaBytes,
  type Blocking,
  type GemmShape,
} from "./blocking.ts";
import { lineOfTiles, sumsTile } from "./tile.ts";

export interface Gemm extends GemmShape {
  /** Prefix of the generated functions' names; equal names must mean equal code. */
  readonly name: string;
  /** Bytes between rows of y. */
  readonly rowBytes: number;
  readonly epilogue: Epilogue | null;
  /** Byte offset of a problem's part of y. */
  yBase(problem: Local): Code;
  /** Index of a problem's first row among the values per channel. */
  channelBase(problem: Local): Code;
  /** Emits the setup of a tile, once a tile: where its columns are in y, and what `panel` needs. */
  tile(t: TileSetup): void;
  /**
   * Emits the filling of b for `units` units of k from unit `first` on, [k][columns] at `into`;
   * `own` is the address of the tile's record, of `tileBytes` bytes.
   */
  panel(f: Func, p: { first: Local; units: Local; own: Local; into: Local }): void;
}

export interface TileSetup {
  readonly f: Func;
  /** Where the panels come from. */
  readonly source: Local;
  readonly problem: Local;
  /** Columns of a tile. */
  readonly columns: number;
  /** First column of the tile. */
  readonly column: Local;
  /** Address of the tile's record; the first `tileBytes` are free for the kernel. */
  readonly own: Local;
  /** Columns that exist, from `column` on; at most those of a tile. */
  readonly lanes: Local;
  /**
   * Declares that the tile's columns lie one after the other in y, from this byte offset on (all of
   * them).
   */
  joined(offset: Operand): void;
  /**
   * Declares the byte offset of one column; all must be declared unless joined, those past `lanes`
   * anywhere inside y.
   */
  scattered(lane: Operand, offset: Operand): void;
}

/** The stage of a product, from a source of panels and packed rows. */
export const gemmStage = (gemm: Gemm, caps: Caps, source: Place, packed: Place): Stage => ({
  name: gemm.name,
  ...gemmSize(gemm, caps),
  reads: [source, packed, ...operandsAt(gemm.epilogue)],
  writes: [outputAt(0)],
  emit(m, f, [source, a, ...rest], range) {
    const at = { source, a, y: rest.at(-1)!, operands: rest.slice(0, -1) };
    emitProduct({ m, f, g: gemm, caps, at }, range);
  },
});

/** What a product is emitted from and into; `at` has addresses, `operands` of the epilogue. */
interface Product {
  readonly m: Module;
  readonly f: Func;
  readonly g: Gemm;
  readonly caps: Caps;
  readonly at: {
    readonly source: Local;
    readonly a: Local;
    readonly y: Local;
    readonly operands: readonly Local[];
  };
}

/** A product with the locals and the memory that its loops share. */
interface Loops extends Product {
  readonly b: Blocking;
  /** Addresses in the memory of the thread: records of tiles, panels, sums, sums of sums. */
  readonly own: Local;
  readonly panels: Local;
  readonly sums: Local;
  readonly totals: Local | null;
  readonly v: Readonly<Record<(typeof VARIABLES)[number], Local>>;
  /** The kernel's part of a tile's record. */
  readonly record: Local;
  /** The blocks of rows of this piece of work, where pieces of work divide them. */
  readonly rows: Readonly<Record<"part" | "from" | "to", Local>> | null;
  readonly panel: Func;
}

const VARIABLES = [
  ...["item", "problem", "t0", "tn", "t", "first", "block", "tile", "panelAt", "lanes", "column"],
  ...["yBase", "channel", "aAt", "sumAt"],
] as const;

/** Emits the pieces lo … hi−1 of the product. */
function emitProduct(
  product: Product,
  { lo, hi, threadScratch: own }: Readonly<Record<"lo" | "hi" | "threadScratch", Local>>,
): void {
  const { m, f, g, caps, at } = product;
  const b = blocking(g, caps);
  const panels = f.let("i32", "panels", i32.add(own, b.perItem * b.record));
  const sums = f.let("i32", "sums", i32.add(panels, b.perItem * b.panelBytes));
  const totals = b.chunks > CHUNKS ? f.let("i32", "totals", i32.add(sums, b.sumsBytes)) : null;
  if (totals) f.fill(totals, 0, b.sumsBytes);
  const v = f.vars(...VARIABLES);
  const panel = m.func(`${g.name}_panel`, ["first", "units", "own", "into"], (p) => {
    const [first, units, own, into] = p.params as [Local, Local, Local, Local];
    g.panel(p, { first, units, own, into });
  });
  const record = f.local("i32", "record");
  const rows = b.parts > 1 ? f.vars("part", "from", "to") : null;
  const loops: Loops = { ...product, b, own, panels, sums, totals, v, record, rows, panel };
  const groups = Math.ceil(b.tiles / b.perItem);
  f.for(v.item, lo, hi, 1, () => {
    f.set(v.problem, i32.div(v.item, groups * b.parts));
    f.set(v.t0, i32.mul(i32.rem(v.item, groups), b.perItem));
    if (rows) f.set(rows.part, i32.rem(i32.div(v.item, groups), b.parts));
    f.set(v.tn, i32.sub(b.tiles, v.t0));
    f.set(v.tn, i32.min(v.tn, b.perItem));
    f.set(v.yBase, g.yBase(v.problem));
    f.set(v.channel, g.channelBase(v.problem));
    eachTile(loops, () => setUpTile(loops, at.source));
    eachChunk(loops);
  });
}

/** Emits `body` for each tile of a piece of work. */
function eachTile({ f, b, own, panels, v }: Loops, body: () => void): void {
  f.set(v.tile, own);
  f.set(v.panelAt, panels);
  f.for(v.t, 0, v.tn, 1, () => {
    body();
    f.bump(v.tile, b.record);
    f.bump(v.panelAt, b.panelBytes);
  });
}

/** Emits the record of a tile. */
function setUpTile({ f, g, caps, b, v, record }: Loops, source: Local): void {
  f.set(v.column, i32.mul(i32.add(v.t0, v.t), b.nr));
  f.set(v.lanes, i32.sub(g.columns, v.column));
  f.set(v.lanes, i32.min(v.lanes, b.nr));
  f.set(record, i32.add(v.tile, metaBytes(caps)));
  f.storeI32(v.tile, 0, META.joined);
  f.storeI32(v.tile, v.lanes, META.lanes);
  f.storeI32(v.tile, i32.mul(v.column, 4), META.column);
  g.tile({
    f,
    source,
    problem: v.problem,
    columns: b.nr,
    column: v.column,
    lanes: v.lanes,
    own: record,
    joined(offset) {
      f.storeI32(v.tile, 1, META.joined);
      f.storeI32(v.tile, i32.add(v.yBase, offset), META.first);
    },
    scattered: (lane, offset) =>
      f.storeI32(i32.add(v.tile, i32.mul(lane, 4)), i32.add(v.yBase, offset), META.offsets),
  });
}

/** Units of k whose sums are added to those before; the last ones go through the epilogue. */
interface Chunk {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly start: Operand;
  readonly count: Operand;
}

/** Emits the chunks of k: the first, those between, and the last. */
function eachChunk(loops: Loops): void {
  const { f, g, b, sums, totals } = loops;
  if (b.chunks === 1)
    return emitChunk(loops, { isFirst: true, isLast: true, start: 0, count: g.units });
  const last = (b.chunks - 1) * b.kUnits;
  emitChunk(loops, { isFirst: true, isLast: false, start: 0, count: b.kUnits });
  const start = f.local("i32", "start");
  if (b.chunks > 2)
    f.for(start, b.kUnits, last, b.kUnits, () => {
      emitChunk(loops, { isFirst: false, isLast: false, start, count: b.kUnits });
      if (totals)
        f.if(i32.eqz(i32.rem(start, b.kUnits * CHUNKS)), () => moveSums(loops, totals, sums));
    });
  if (totals) moveSums(loops, sums, totals);
  emitChunk(loops, { isFirst: false, isLast: true, start: last, count: g.units - last });
}

/** Emits the addition of all sums at `from` to those at `into`; `from` is zero afterwards. */
function moveSums({ f, b }: Loops, into: Local, from: Local): void {
  const [p, q] = [f.let("i32", "p", from), f.let("i32", "q", into)];
  f.repeat(b.sumsBytes / 16, "vectors", () => {
    f.store(q, f32x4.add(v128.load(q), v128.load(p)));
    f.store(p, 0);
    f.bump(p, 16);
    f.bump(q, 16);
  });
}

/** Emits a chunk: the panels of all tiles, then every block of rows by every tile. */
function emitChunk(loops: Loops, chunk: Chunk): void {
  const { f, g, caps, at, b, sums, v, record, rows, panel } = loops;
  f.set(v.first, chunk.start);
  eachTile(loops, () => {
    f.set(record, i32.add(v.tile, metaBytes(caps)));
    f.call(panel, v.first, chunk.count, record, v.panelAt);
  });
  // The address of a row's part of `a` for this chunk, where `mr` rows are packed together.
  const aFrom = (skipped: number, mr: number) =>
    i32.add(skipped, i32.mul(v.first, g.unit * mr * 4));
  const aOf = (offset: Code) =>
    f.set(v.aAt, i32.add(at.a, i32.add(i32.mul(v.problem, g.m * b.k * 4), offset)));
  aOf(aFrom(0, b.mr));
  f.set(v.sumAt, sums);
  if (rows) {
    const { part, from, to } = rows;
    const perPart = Math.ceil(b.blocks / b.parts);
    f.set(from, i32.mul(part, perPart));
    f.set(to, i32.add(from, perPart));
    f.set(to, i32.min(to, b.blocks));
    f.bump(v.aAt, i32.mul(from, b.k * b.mr * 4));
    f.bump(v.sumAt, i32.mul(from, b.mr * b.nr * 4));
  }
  if (b.blocks)
    f.for(v.block, rows?.from ?? 0, rows?.to ?? b.blocks, 1, () => {
      emitRows(loops, chunk, b.mr, i32.mul(v.block, b.mr));
      f.bump(v.aAt, b.k * b.mr * 4);
      f.bump(v.sumAt, b.mr * b.nr * 4);
    });
  if (!b.tail) return;
  const tail = () => {
    aOf(aFrom(b.blocks * b.mr * b.k * 4, b.tail));
    emitRows(loops, chunk, b.tail, b.blocks * b.mr);
  };
  if (rows) f.if(i32.eq(rows.part, b.parts - 1), tail);
  else tail();
}

/** Emits a block of `mr` rows by all tiles: their sums, or in the last chunk their results. */
function emitRows(loops: Loops, { isFirst, isLast, count }: Chunk, mr: number, row: Operand): void {
  const { m, f, g, caps, at, b, own, panels, sums, v } = loops;
  const k = i32.mul(count, g.unit);
  const more = Number(!isFirst);
  const sumsStep = b.chunks > 1 ? g.m * b.nr * 4 : 0;
  if (!isLast)
    return eachTile(loops, () => {
      const into = i32.add(v.sumAt, i32.mul(v.t, sumsStep));
      f.callNamed(sumsTile(m, caps, mr), { a: v.aAt, b: v.panelAt, k, into, more });
    });
  f.callNamed(
    lineOfTiles(m, g.epilogue, caps, mr),
    {
      a: v.aAt,
      b: panels,
      k,
      more,
      sums: b.chunks > 1 ? v.sumAt : sums,
      tile: own,
      count: v.tn,
      panelBytes: b.panelBytes,
      sumsStep,
      record: b.record,
      row: i32.mul(row, g.rowBytes),
      channel: i32.mul(i32.add(v.channel, row), 4),
      rowBytes: g.rowBytes,
      y: at.y,
    },
    ...at.operands,
  );
}
