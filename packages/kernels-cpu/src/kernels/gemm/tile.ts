// The matrix product under convolution, its gradients and matmul: y[m, columns] = Σₖ a[m, k] · b[k,
// columns], in register tiles.
//
//            8 columns (two vectors)
//   a: mr  ┌────────┬────────┐      a is packed [block][k][mr], b as panels [tile][k][columns];
//   values │ acc m0 │ acc m0 │      each step of k loads two vectors of b, spreads mr values of a,
//   per k  │  …     │  …     │      and does 2·mr multiply-adds.
//          └────────┴────────┘
//
// Loops, from outside: pieces of work (problem × group of tiles), chunks of k that fit the
// first-level cache, blocks of m, tiles. A kernel supplies how a panel is filled and where its
// columns lie in y.

import { exactly } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import type { Epilogue } from "../../compile/code.ts";
import {
  f32x4,
  get,
  i32,
  v128,
  type Code,
  type Func,
  type Local,
  type Module,
  type Operand,
} from "../../wasm/asm.ts";
import { emitExpr, madd } from "../../wasm/math.ts";

/**
 * Columns per tile: two vectors, or four where the engine joins pairs of vectors into one register
 * of 256 bits (then 6 × 16 tiles keep 12 such sums; a 1×1 convolution ran at 72 GFLOP/s with them,
 * at 48 with 6 × 8, at 57 with 4 × 16, where plain code reached 39).
 */
export const columnsPerTile = ({ simd256 }: Caps): number => (simd256 ? 16 : 8);
/**
 * Words that describe a tile: whether its columns are neighbors in y, offset of the first, how
 * many count, column, offset of each.
 */
const META = { joined: 0, first: 4, lanes: 8, column: 12, offsets: 16 };
const metaBytes = (caps: Caps): number => META.offsets + columnsPerTile(caps) * 4;

/**
 * Rows per tile: at most 6, which with two vectors of b and one of a fill the registers (on the 13
 * layers of the bench 6 rows run at 41–45 GFLOP/s of a peak of 45, 5 rows at 33–43, 4 rows at
 * 31–40), and such that the last block is not much narrower.
 */
export const rowsPerTile = (m: number): number => Math.ceil(m / Math.max(1, Math.ceil(m / 6)));

export interface Gemm {
  /** Prefix of the generated functions' names; equal names must mean equal code. */
  readonly name: string;
  readonly m: number;
  /**
   * Depth of the sum in units of `unit`: chunks of k hold whole units (the taps of one channel,
   * say).
   */
  readonly units: number;
  readonly unit: number;
  readonly columns: number;
  /** Independent products (groups, batch): each has its own a, and its own place in y. */
  readonly problems: number;
  /** Bytes between rows of y. */
  readonly rowBytes: number;
  readonly epilogue: Epilogue | null;
  /** Byte offset of a problem's part of y. */
  yBase(problem: Local): Code;
  /** Index of a problem's first row among the values per channel. */
  channelBase(problem: Local): Code;
  /**
   * Emits the setup of a tile (once a tile): where its columns lie in y, and whatever `panel` needs
   * of it.
   */
  tile(t: TileSetup): void;
  /**
   * Emits the filling of b for `units` units of k from unit `first` on, [k][columns] at `into`;
   * `own` is the tile's record.
   */
  panel(f: Func, p: { first: Local; units: Local; own: Local; into: Local }): void;
  /** Bytes for what `tile` saves for `panel`, in each tile's own record (pointer `own`). */
  readonly tileBytes?: number | undefined;
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

interface Blocking {
  readonly mr: number;
  readonly blocks: number;
  readonly tail: number;
  readonly kUnits: number;
  readonly chunks: number;
  readonly tiles: number;
  readonly perItem: number;
  /** Parts in which the rows are divided among pieces of work of the same tiles. */
  readonly parts: number;
  readonly items: number;
  readonly record: number;
}

/**
 * Terms that are summed before they join the sum of all, so that errors grow with K/128 + 128 and
 * not with K.
 */
export const BLOCK = 128;
/** Chunks of k whose sums join a third level, so that very long sums keep to the bound. */
const CHUNKS = 16;
/** Floats of a panel: up to 24 KiB of b, beside a block of a, in the first-level cache. */
const PANEL = 6144;
/**
 * Tiles whose panels stay in the second-level cache while a block of `a` passes over them, and the
 * bytes that these may take.
 */
const TILES = 8;
const PANELS = 256 * 1024;

/** What decides how a product is cut. */
export type GemmShape = Pick<Gemm, "m" | "units" | "unit" | "columns" | "problems" | "tileBytes">;

function blocking(g: GemmShape, caps: Caps): Blocking {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(g.m);
  const k = g.units * g.unit;
  const kUnits = Math.max(1, Math.ceil(g.units / Math.max(1, Math.ceil((k * nr) / PANEL))));
  const tiles = Math.ceil(g.columns / nr);
  // Several tiles share each pass over a, unless the threads would run out of pieces.
  const perItem = Math.max(
    1,
    Math.min(
      TILES,
      Math.floor(PANELS / (Math.max(1, kUnits * g.unit) * nr * 4)),
      Math.floor((tiles * g.problems) / (4 * caps.threads)),
    ),
  );
  const blocks = Math.floor(g.m / mr);
  const parts =
    perItem === 1 && tiles && blocks > 1
      ? rowParts(tiles * g.problems, Math.min(caps.threads, blocks), g.m)
      : 1;
  return {
    mr,
    blocks,
    tail: g.m % mr,
    kUnits,
    chunks: Math.max(1, Math.ceil(g.units / kUnits)),
    tiles,
    perItem,
    parts,
    items: g.problems * Math.ceil(tiles / perItem) * parts,
    record: metaBytes(caps) + Math.ceil((g.tileBytes ?? 0) / 16) * 16,
  };
}

/**
 * Few tiles are shared unevenly by threads: seven by two as four and three. Divided by rows too
 * they come out even, but each part fills the panel again, which takes what some 6 rows take.
 */
function rowParts(tiles: number, threads: number, m: number): number {
  const share = (parts: number) =>
    (Math.ceil((tiles * parts) / threads) / (tiles * parts)) * (1 + (6 * parts) / m);
  return Array.from({ length: threads }, (_, i) => i + 1).reduce((best, parts) =>
    share(parts) < share(best) ? parts : best,
  );
}

/** Pieces of work and memory per thread of the product. */
export function gemmSize(g: GemmShape, caps: Caps): { items: number; threadScratch: number } {
  const b = blocking(g, caps);
  const column = columnsPerTile(caps) * 4;
  const sums =
    b.chunks > 1 ? b.perItem * g.m * column * (b.chunks > CHUNKS ? 2 : 1) : b.mr * column;
  return {
    items: b.items,
    threadScratch: b.perItem * (b.record + b.kUnits * g.unit * column) + sums,
  };
}

/**
 * Emits the product: pieces lo … hi−1. `source`, `a` and `y` are addresses, `operands` those of the
 * epilogue's operands, `own` the thread's memory.
 */
export function emitGemm(
  m: Module,
  f: Func,
  g: Gemm,
  caps: Caps,
  at: { source: Local; a: Local; y: Local; operands: readonly Local[] },
  { lo, hi, threadScratch: own }: { lo: Local; hi: Local; threadScratch: Local },
): void {
  const b = blocking(g, caps);
  const nr = columnsPerTile(caps);
  const k = g.units * g.unit;
  const panelBytes = b.kUnits * g.unit * nr * 4;
  const panels = f.let("i32", "panels", i32.add(own, b.perItem * b.record));
  const sums = f.let("i32", "sums", i32.add(panels, b.perItem * panelBytes));
  const sumsBytes = b.perItem * g.m * nr * 4;
  const totals = b.chunks > CHUNKS ? f.let("i32", "totals", i32.add(sums, sumsBytes)) : null;
  if (totals) f.fill(totals, 0, sumsBytes);
  /** Adds all of `from` to `into` and leaves zeros. */
  const join = (into: Local, from: Local) => {
    const [p, q] = [f.let("i32", "p", from), f.let("i32", "q", into)];
    f.repeat(sumsBytes / 16, "vectors", () => {
      f.store(q, f32x4.add(v128.load(q), v128.load(p)));
      f.store(p, 0);
      f.bump(p, 16);
      f.bump(q, 16);
    });
  };
  const groups = Math.ceil(b.tiles / b.perItem);
  const [item, problem, t0, tn, t, first, block, tile, panelAt, lanes, column] = f.ints(
    "item",
    "problem",
    "t0",
    "tn",
    "t",
    "first",
    "block",
    "tile",
    "panelAt",
    "lanes",
    "column",
  );
  const [yBase, channel, aAt, sumAt] = f.ints("yBase", "channel", "aAt", "sumAt");

  const panel = m.func(`${g.name}_panel`, ["first", "units", "own", "into"], (p) => {
    const [first, units, own, into] = p.params as [Local, Local, Local, Local];
    g.panel(p, { first, units, own, into });
  });

  const eachTile = (body: () => void) => {
    f.set(tile, own);
    f.set(panelAt, panels);
    f.for(t, 0, tn as Operand, 1, () => {
      body();
      f.bump(tile, b.record);
      f.bump(panelAt, panelBytes);
    });
  };
  const record = { own: f.local("i32", "record") };
  const perPart = Math.ceil(b.blocks / b.parts);
  const rowsOf =
    b.parts > 1
      ? { part: f.local("i32", "part"), from: f.local("i32", "from"), to: f.local("i32", "to") }
      : null;

  f.for(item, lo, hi, 1, () => {
    f.set(problem, i32.div(item, groups * b.parts));
    f.set(t0, i32.mul(i32.rem(item, groups), b.perItem));
    if (rowsOf) f.set(rowsOf.part, i32.rem(i32.div(item, groups), b.parts));
    f.set(tn, i32.sub(b.tiles, t0));
    f.set(tn, i32.min(tn, b.perItem));
    f.set(yBase, g.yBase(problem));
    f.set(channel, g.channelBase(problem));
    eachTile(() => {
      f.set(column, i32.mul(i32.add(t0, t), nr));
      f.set(lanes, i32.sub(g.columns, column));
      f.set(lanes, i32.min(lanes, nr));
      f.set(record.own, i32.add(tile, metaBytes(caps)));
      f.storeI32(tile, 0, META.joined);
      f.storeI32(tile, lanes, META.lanes);
      f.storeI32(tile, i32.mul(column, 4), META.column);
      g.tile({
        f,
        source: at.source,
        problem,
        columns: nr,
        column,
        lanes,
        own: record.own,
        joined(offset) {
          f.storeI32(tile, 1, META.joined);
          f.storeI32(tile, i32.add(yBase, offset), META.first);
        },
        scattered: (lane, offset) =>
          f.storeI32(i32.add(tile, i32.mul(lane, 4)), i32.add(yBase, offset), META.offsets),
      });
    });
    const chunk = (isFirst: boolean, isLast: boolean, start: Operand, count: Operand) => {
      f.set(first, start);
      eachTile(() => {
        f.set(record.own, i32.add(tile, metaBytes(caps)));
        f.call(panel, first, count, record.own, panelAt);
      });
      f.set(
        aAt,
        i32.add(at.a, i32.add(i32.mul(problem, g.m * k * 4), i32.mul(first, g.unit * b.mr * 4))),
      );
      f.set(sumAt, sums);
      const rows = (mr: number, row: Operand) => {
        const kCount = i32.mul(count, g.unit);
        const sumsStep = b.chunks > 1 ? g.m * nr * 4 : 0;
        if (isLast) {
          const place = [
            i32.mul(row, g.rowBytes),
            i32.mul(i32.add(channel, row), 4),
            g.rowBytes,
            at.y,
            ...at.operands,
          ];
          f.call(
            lineOfTiles(m, g, caps, mr),
            aAt,
            panels,
            kCount,
            Number(!isFirst),
            b.chunks > 1 ? sumAt : sums,
            own,
            tn,
            panelBytes,
            sumsStep,
            b.record,
            ...place,
          );
        } else
          eachTile(() =>
            f.call(
              sumsTile(m, caps, mr),
              aAt,
              panelAt,
              kCount,
              i32.add(sumAt, i32.mul(t, sumsStep)),
              Number(!isFirst),
            ),
          );
      };
      if (rowsOf) {
        const { part, from, to } = rowsOf;
        f.set(from, i32.mul(part, perPart));
        f.set(to, i32.add(from, perPart));
        f.set(to, i32.min(to, b.blocks));
        f.bump(aAt, i32.mul(from, k * b.mr * 4));
        f.bump(sumAt, i32.mul(from, b.mr * nr * 4));
      }
      if (b.blocks)
        f.for(block, rowsOf?.from ?? 0, rowsOf?.to ?? b.blocks, 1, () => {
          rows(b.mr, i32.mul(block, b.mr));
          f.bump(aAt, k * b.mr * 4);
          f.bump(sumAt, b.mr * nr * 4);
        });
      if (!b.tail) return;
      const rest = () => {
        f.set(
          aAt,
          i32.add(
            at.a,
            i32.add(
              i32.mul(problem, g.m * k * 4),
              i32.add(b.blocks * b.mr * k * 4, i32.mul(first, g.unit * b.tail * 4)),
            ),
          ),
        );
        rows(b.tail, b.blocks * b.mr);
      };
      if (rowsOf) f.if(i32.eq(rowsOf.part, b.parts - 1), rest);
      else rest();
    };
    if (b.chunks === 1) chunk(true, true, 0, g.units);
    else {
      const last = (b.chunks - 1) * b.kUnits;
      chunk(true, false, 0, b.kUnits);
      const start = f.local("i32", "start");
      if (b.chunks > 2)
        f.for(start, b.kUnits, last, b.kUnits, () => {
          chunk(false, false, start, b.kUnits);
          if (totals) f.if(i32.eqz(i32.rem(start, b.kUnits * CHUNKS)), () => join(totals, sums));
        });
      if (totals) join(sums, totals);
      chunk(false, true, last, g.units - last);
    }
  });
}

const nameOf = (mr: number, columns: number) => `tile${mr}x${columns}`;

/**
 * A function of (a, b, k, into, more) that writes the sums of one tile over k steps: [mr][columns].
 * If `more`, what is there is added. With fewer `vectors` only the first columns of each row are
 * made.
 */
export function sumsTile(
  m: Module,
  caps: Caps,
  mr: number,
  vectors = columnsPerTile(caps) / 4,
): Func {
  const nv = columnsPerTile(caps) / 4;
  return m.func(`${nameOf(mr, vectors * 4)}_sums`, ["a", "b", "k", "into", "more"], (f) => {
    const [a, b, k, into, more] = f.params;
    const at = (i: number) => (Math.floor(i / vectors) * nv + (i % vectors)) * 16;
    accumulate(f, caps, mr, vectors, { a, b, k, into, more }, at).forEach((v, i) =>
      f.store(into, v, at(i)),
    );
  });
}

/**
 * Emits Σ a[r]·b over k steps, for the first `vectors` vectors of b; a and b are moved past them.
 * The sums of blocks are gathered at `into`; if `more`, what is there is added.
 */
function accumulate(
  f: Func,
  caps: Caps,
  mr: number,
  vectors: number,
  { a, b, k, into, more }: Record<"a" | "b" | "k" | "into" | "more", Local>,
  at: (i: number) => number,
): Local[] {
  const columns = columnsPerTile(caps);
  const acc = Array.from({ length: mr * vectors }, (_, i) =>
    f.let("v128", `acc${Math.floor(i / vectors)}_${i % vectors}`, 0),
  );
  const bv = Array.from({ length: vectors }, (_, i) => f.local("v128", `b${i}`));
  const av = f.local("v128", "a_");
  const steps = (count: number) => {
    for (let u = 0; u < count; u++) {
      bv.forEach((v, i) => f.set(v, v128.load(b, u * columns * 4 + i * 16)));
      for (let r = 0; r < mr; r++) {
        f.set(av, v128.loadSplat(a, (u * mr + r) * 4));
        for (let i = 0; i < vectors; i++)
          f.set(acc[r * vectors + i], madd(caps, av, bv[i], acc[r * vectors + i]));
      }
    }
    f.bump(a, count * mr * 4);
    f.bump(b, count * columns * 4);
  };
  const UNROLL = 4;
  const [left, n, i, some] = f.ints("left", "n", "i", "some");
  f.set(left, k);
  f.set(some, more);
  const gathered = () =>
    f.if(some, () => acc.forEach((v, j) => f.set(v, f32x4.add(v, v128.load(into, at(j))))));
  f.loop(() => {
    f.set(n, i32.min(left, BLOCK));
    f.for(i, UNROLL - 1, n, UNROLL, () => steps(UNROLL));
    f.for(i, 0, i32.and(n, UNROLL - 1), 1, () => steps(1));
    f.bump(left, i32.sub(0, n));
    f.if(left, () => {
      gathered();
      acc.forEach((v, j) => f.store(into, v, at(j)));
      acc.forEach((v) => f.set(v, 0));
      f.set(some, 1);
    });
    f.brIf(left, 0);
  });
  gathered();
  return acc;
}

const placeParams = (g: Gemm) => [
  "row",
  "channel",
  "rowBytes",
  "y",
  ...(g.epilogue?.operands ?? []).map((o) => o.name),
];

/**
 * The inner function of a last chunk: one block of rows by `count` tiles. Where a tile's columns
 * are neighbors in y: the sums, the epilogue, whole vectors stored. Products of every shape share
 * it: networks are made of less code, which is compiled well the sooner.
 */
function lineOfTiles(m: Module, g: Gemm, caps: Caps, mr: number): Func {
  const nv = columnsPerTile(caps) / 4;
  const params = [
    "a",
    "b",
    "k",
    "more",
    "sums",
    "tile",
    "count",
    "panelBytes",
    "sumsStep",
    "record",
    ...placeParams(g),
  ];
  return m.func(`${nameOf(mr, nv * 4)}${epilogueName(g.epilogue)}`, params, (f) => {
    const [
      a,
      b,
      k,
      more,
      sums,
      tile,
      count,
      panelBytes,
      sumsStep,
      record,
      row,
      channel,
      rowBytes,
      y,
      ...pointers
    ] = f.params;
    const [aAt, bAt, at, to] = f.ints("aAt", "bAt", "at", "to");
    // Beside an exp the engine joins nothing: there the sums go through memory.
    const apart = caps.simd256 && /"(exp|log|tanh)"/.test(JSON.stringify(g.epilogue));
    const sum = (vectors: number) => f.call(sumsTile(m, caps, mr, vectors), a, b, k, sums, more);
    const joined = () => {
      f.set(aAt, a);
      f.set(bAt, b);
      if (apart) sum(nv);
      const acc = apart
        ? []
        : accumulate(f, caps, mr, nv, { a: aAt, b: bAt, k, into: sums, more }, (i) => i * 16);
      f.set(at, i32.add(row, i32.load(tile, META.first)));
      const finish = epilogue(f, g, caps, { tile, channel, pointers }, (operand, i) =>
        v128.load(i32.add(operand, at), i * 16),
      );
      for (let r = 0; r < mr; r++) {
        if (r) f.bump(at, rowBytes);
        // Neighbors are stored one after the other from one address: so the engine sees that they
        // are pairs.
        const line = Array.from(
          { length: nv },
          (_, i) => acc[r * nv + i] ?? f.let("v128", "sum", v128.load(sums, (r * nv + i) * 16)),
        );
        line.forEach((v, i) => finish(v, r, i));
        f.set(to, i32.add(y, at));
        line.forEach((v, i) => f.store(to, v, i * 16));
      }
    };
    const scattered = () => {
      f.if(
        i32.le(i32.load(tile, META.lanes), nv * 2),
        () => sum(nv / 2),
        () => sum(nv),
      );
      f.call(scatterTile(m, g, caps, mr), sums, tile, row, channel, rowBytes, y, ...pointers);
    };
    f.loop(() => {
      f.if(i32.load(tile, META.joined), joined, scattered);
      f.bump(tile, record);
      f.bump(b, panelBytes);
      f.bump(sums, sumsStep);
      f.bump(count, -1);
      f.brIf(count, 0);
    });
  });
}

/**
 * The end of a tile whose columns lie anywhere in y: sums from memory, the epilogue, single lanes
 * stored.
 */
function scatterTile(m: Module, g: Gemm, caps: Caps, mr: number): Func {
  const nv = columnsPerTile(caps) / 4;
  return m.func(
    `scatter${mr}x${nv * 4}${epilogueName(g.epilogue)}`,
    ["sums", "tile", ...placeParams(g)],
    (f) => {
      const [sums, tile, row, channel, rowBytes, y, ...pointers] = f.params;
      const lanes = f.let("i32", "lanes", i32.load(tile, META.lanes));
      const v = f.local("v128", "v");
      f.block(() => {
        for (let i = 0; i < nv; i++) {
          if (i) f.brIf(i32.le(lanes, i * 4), 0);
          const offsets = [0, 1, 2, 3].map((l) =>
            f.let("i32", `o${l}`, i32.add(row, i32.load(tile, META.offsets + (i * 4 + l) * 4))),
          );
          const finish = epilogue(f, g, caps, { tile, channel, pointers }, (at) => {
            const gathered = f.local("v128", "gathered");
            offsets.forEach((o, l) => f.set(gathered, v128.loadLane(i32.add(at, o), gathered, l)));
            return get(gathered);
          });
          for (let r = 0; r < mr; r++) {
            if (r) for (const o of offsets) f.bump(o, rowBytes);
            f.set(v, v128.load(sums, (r * nv + i) * 16));
            finish(v, r, i);
            f.storeLane(i32.add(y, offsets[0]), v, 0);
            f.block(() => {
              for (let l = 1; l < 4; l++) {
                f.brIf(i32.le(lanes, i * 4 + l), 0);
                f.storeLane(i32.add(y, offsets[l]), v, l);
              }
            });
          }
        }
      });
    },
  );
}

/**
 * What applies the epilogue to vector `i` of row `r`; `read` loads an operand that has a value for
 * each element of the row at hand.
 */
function epilogue(
  f: Func,
  g: Gemm,
  caps: Caps,
  { tile, channel, pointers }: { tile: Local; channel: Local; pointers: readonly Local[] },
  read: (pointer: Local, i: number) => Code,
): (v: Local, r: number, i: number) => void {
  const loaded = new Map<string, Local>();
  const once = (key: string, code: () => Code) => {
    const known = loaded.get(key) ?? f.let("v128", key, code());
    loaded.set(key, known);
    return known;
  };
  return (v, r, i) => {
    if (!g.epilogue) return;
    const values: Record<string, Operand> = { r: v };
    g.epilogue.operands.forEach(({ name, along }, j) => {
      const at = pointers[j];
      if (along === "channel")
        values[name] = once(`${name}_row${r}`, () => v128.loadSplat(i32.add(at, channel), r * 4));
      else if (along === "column")
        values[name] = once(`${name}_column${i}`, () =>
          v128.load(i32.add(at, i32.load(tile, META.column)), i * 16),
        );
      else values[name] = f.let("v128", name, read(at, i));
    });
    f.set(v, emitExpr(f, caps, g.epilogue.f, values));
  };
}

/** An epilogue's text, for names: equal text, equal code. */
export const epilogueName = (e: Epilogue | null): string => (e ? exactly(e) : "");
