// How the matrix product y[m, columns] = Σₖ a[m, k] · b[k, columns] is divided: tiles of registers,
// chunks of k that fit the first-level cache, pieces of work for the threads.

import type { Caps } from "../../compile/caps.ts";

/**
 * Columns of a tile: two vectors, or four where the engine joins pairs of vectors in 256-bit
 * registers (6 × 16 tiles then have 12 joined sums; a 1×1 convolution ran at 72 GFLOP/s with them,
 * at 48 with 6 × 8, at 57 with 4 × 16; code for 128 bits reached 39).
 */
export const columnsPerTile = ({ simd256 }: Caps): number => (simd256 ? 16 : 8);

/**
 * Rows of a tile: at most 6, which fill the registers together with two vectors of b and one of a
 * (on the 13 layers of the benchmark 6 rows run at 41–45 GFLOP/s of a peak of 45, 5 rows at 33–43,
 * 4 rows at 31–40), and such that the last block is not much narrower.
 */
export const rowsPerTile = (m: number): number => Math.ceil(m / Math.max(1, Math.ceil(m / 6)));

/** What decides how a product is divided. */
export interface GemmShape {
  readonly m: number;
  /**
   * Depth of the sum in units of `unit`: chunks of k hold whole units (the taps of one channel,
   * for example).
   */
  readonly units: number;
  readonly unit: number;
  readonly columns: number;
  /** Independent products (groups, batch): each has its own a, and its own place in y. */
  readonly problems: number;
  /** Bytes that the kernel needs in the record of a tile. */
  readonly tileBytes?: number | undefined;
}

export interface Blocking {
  /** Columns and rows of a tile; whole blocks of rows, and the rows of the last block. */
  readonly nr: number;
  readonly mr: number;
  readonly blocks: number;
  readonly tail: number;
  readonly k: number;
  /** Chunks of k, and the units of each. */
  readonly chunks: number;
  readonly kUnits: number;
  readonly tiles: number;
  /** Tiles of a piece of work. */
  readonly perItem: number;
  /** Pieces of work among which the rows of the same tiles are divided. */
  readonly parts: number;
  readonly items: number;
  /** Bytes of a tile's record, of a panel, and of the sums of all rows of a piece's tiles. */
  readonly record: number;
  readonly panelBytes: number;
  readonly sumsBytes: number;
}

/**
 * The words of a tile's record: whether its columns are neighbors in y, the offset of the first,
 * how many count, the first column, the offset of each. The bytes of the kernel follow.
 */
export const META = { joined: 0, first: 4, lanes: 8, column: 12, offsets: 16 };
export const metaBytes = (caps: Caps): number => META.offsets + columnsPerTile(caps) * 4;

/**
 * Terms that are summed before they join the sum of all, so that errors grow with K/128 + 128 and
 * not with K.
 */
export const BLOCK = 128;
/** Chunks of k whose sums join a third level, so that very long sums keep to the bound. */
export const CHUNKS = 16;
/** Floats of a panel: up to 24 KiB of b, beside a block of a, in the first-level cache. */
const PANEL = 6144;
/**
 * Tiles whose panels stay in the second-level cache while a block of `a` passes over them, and the
 * bytes that these may take.
 */
const TILES = 8;
const PANELS = 256 * 1024;

export function blocking(g: GemmShape, caps: Caps): Blocking {
  const nr = columnsPerTile(caps);
  const mr = rowsPerTile(g.m);
  const k = g.units * g.unit;
  const kUnits = Math.max(1, Math.ceil(g.units / Math.max(1, Math.ceil((k * nr) / PANEL))));
  const panelBytes = kUnits * g.unit * nr * 4;
  const tiles = Math.ceil(g.columns / nr);
  // Several tiles share each pass over a, unless the threads would run out of pieces.
  const perItem = Math.max(
    1,
    Math.min(
      TILES,
      Math.floor(PANELS / Math.max(nr * 4, panelBytes)),
      Math.floor((tiles * g.problems) / (4 * caps.threads)),
    ),
  );
  const blocks = Math.floor(g.m / mr);
  const parts =
    perItem === 1 && tiles && blocks > 1
      ? rowParts(tiles * g.problems, Math.min(caps.threads, blocks), g.m)
      : 1;
  return {
    nr,
    mr,
    blocks,
    tail: g.m % mr,
    k,
    chunks: Math.max(1, Math.ceil(g.units / kUnits)),
    kUnits,
    tiles,
    perItem,
    parts,
    items: g.problems * Math.ceil(tiles / perItem) * parts,
    record: metaBytes(caps) + Math.ceil((g.tileBytes ?? 0) / 16) * 16,
    panelBytes,
    sumsBytes: perItem * g.m * nr * 4,
  };
}

/**
 * Threads share few tiles unevenly: two threads take seven tiles as four and three. If the rows are
 * divided too, the shares are equal, but each part fills the panel again, which takes as long as
 * about 6 rows.
 */
function rowParts(tiles: number, threads: number, m: number): number {
  const share = (parts: number) =>
    (Math.ceil((tiles * parts) / threads) / (tiles * parts)) * (1 + (6 * parts) / m);
  return Array.from({ length: threads }, (_, i) => i + 1).reduce((best, parts) =>
    share(parts) < share(best) ? parts : best,
  );
}

/** Pieces of work of the product, and the memory of each thread. */
export function gemmSize(
  g: GemmShape,
  caps: Caps,
): { readonly items: number; readonly threadScratch: number } {
  const b = blocking(g, caps);
  const sums = b.chunks > 1 ? b.sumsBytes * (b.chunks > CHUNKS ? 2 : 1) : b.mr * b.nr * 4;
  return { items: b.items, threadScratch: b.perItem * (b.record + b.panelBytes) + sums };
}
