// How a convolution falls into tiles for Fourier transforms, which tiles are best, and the way of
// four tiles from the source and to the outputs.

import { readLayout, type Gather, type Phase, type TilePlace, combinations } from "@conv/compiler";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import type { Task, Work } from "../../compile/code.ts";
import { f32x4, i32, v128, type Code, type Local, type Operand } from "../../wasm/asm.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { gemmWork, paddedElements, secondsOf } from "../fitted.ts";
import { columnsPerTile } from "../gemm/blocking.ts";
import { plainTiles } from "../winograd/repair.ts";
import { emitRecord, RECORD } from "../winograd/tiles.ts";
import { LENGTHS } from "./lines.ts";
import { frequencies, lines, loadRows, pitch, storeTiles, type TileSize } from "./transforms.ts";

/**
 * Taps along one axis or two from which transforms are worth a thought: 5×5 takes half as long
 * again as by Winograd's convolutions.
 */
const LEAST_TAPS = [12, 36];
/** Points of a tile at most: four tiles should leave room in the second-level cache. */
const MOST_POINTS = 9216;
/**
 * Each frequency lies in a page of its own: beyond so many, taking and putting them took three
 * times as long.
 */
const MOST_PAGES = 1024;
/** Bytes that transforms of the source, of the weights and of the outputs may take. */
const MOST_BYTES = 2 ** 28;

/** How the outputs are divided into tiles of one size. */
export interface FftTiling {
  readonly g: Gather;
  readonly phase: Phase;
  readonly axes: readonly TilePlace[];
  readonly size: TileSize;
  readonly tiles: number;
  /** One source channel for each group: no sums over channels. */
  readonly single: boolean;
  readonly reversed: boolean;
}

const ONE: TilePlace = { m: 1, n: 1, spacing: 1, tiles: 1, first: 0 };

/** The possible tilings, or the reason why there is none. */
export function tilingsOf(source: Gather): FftTiling[] | string {
  const rank = source.kernel.length;
  const [phase] = source.phases;
  const kernel = phase.taps.map((t) => t.count);
  if (!sizeOf([source.n, source.groups, source.from, source.to, ...source.output]))
    return "has nothing to compute";
  if (source.phases.length > 1 || [...source.step, ...source.outStep].some((s) => s > 1))
    return "takes stride 1";
  const inner = Math.min(2, rank);
  if (kernel[rank - 1] === 1 || kernel.slice(0, -inner).some((k) => k > 1))
    return "takes taps along the last axis, or the last two";
  const flat = inner === 1 || kernel[rank - 2] === 1;
  // With four lines, loading constants takes most of the time: 64 taps took 1.5 ms, plain sums 1.0
  // ms.
  if (flat && source.from === 1)
    return "takes several source channels per group where taps lie along one axis";
  const least = LEAST_TAPS[flat ? 0 : 1];
  if (sizeOf(kernel) < least) return `takes at least ${least} taps, not ${sizeOf(kernel)}`;
  const waysOf = (a: number): TilePlace[] => {
    const { count, first, delta } = phase.taps[a];
    const grid = phase.grid[a];
    if (count === 1) return [{ ...ONE, tiles: grid, first }];
    const spacing = Math.abs(delta);
    const each = Math.ceil(grid / spacing);
    const fitting = LENGTHS.filter((n) => n > count);
    const enough = fitting.find((n) => n - count + 1 >= each) ?? Infinity;
    return fitting
      .filter((n) => n <= enough)
      .map((n) => {
        const m = n - count + 1;
        return {
          m,
          n,
          spacing,
          tiles: spacing * Math.ceil(each / m),
          first: first + Math.min(0, (count - 1) * delta),
        };
      });
  };
  const ways = combinations(phase.taps.map((_, a) => waysOf(a)));
  const result = ways
    .filter((axes) => sizeOf(axes.map((x) => x.n)) <= MOST_POINTS)
    .map((axes): FftTiling => {
      // Tiles reach past the last output, where there must be zeros.
      const padded = source.padded.map((size, a) => {
        const { m, n, spacing, tiles, first } = axes[a];
        return Math.max(size, spacing * (m * Math.ceil(tiles / spacing) - m + n) + first);
      });
      const g = {
        ...source,
        padded: padded.map((size, a) => (axes[a].n > 1 ? size : source.padded[a])),
      };
      return {
        g,
        phase,
        axes,
        size: [axes.at(-2)?.n ?? 1, axes.at(-1)!.n],
        tiles: g.n * sizeOf(axes.map((x) => x.tiles)),
        single: g.from === 1,
        reversed: phase.taps.some((t) => t.count > 1 && t.delta < 0),
      };
    })
    .filter((t) => t.single || bytesOf(t) <= MOST_BYTES);
  return result.length ? result : "has no tile that is large enough and leaves room";
}

const bytesOf = ({ g, size, tiles }: FftTiling): number =>
  4 * g.groups * frequencies(size) * (2 * g.from * g.to + (tiles + 12) * (3 * g.from + 2 * g.to));

export function workOf({ g, size, tiles, single }: FftTiling, caps: Caps): Required<Work> {
  const work = {
    products: 0,
    steps: 0,
    moved: paddedElements(g),
    gathered: 0,
    transformed: 0,
    streamed: 0,
    tiles: 0,
  };
  const points = sizeOf(size);
  const count = frequencies(size);
  // Points count once for each halving.
  const levels = points * Math.log2(points);
  if (single) {
    const quads = Math.ceil((g.groups * g.to) / 4);
    const lanes = 4 * quads * tiles;
    return {
      ...work,
      transformed: 2 * lanes * levels,
      products: 4 * lanes * count,
      streamed: 32 * quads * count,
      tiles: quads * tiles,
    };
  }
  const quads = Math.ceil(tiles / 4);
  const product = gemmWork(caps, g.groups * count, g.to, 2 * g.from, 1);
  const vectors = quads / (columnsPerTile(caps) / 4);
  return {
    ...work,
    products: 2 * product.products * vectors,
    steps: 2 * product.steps * Math.ceil(vectors),
    transformed: g.groups * quads * 4 * levels * (g.from + g.to),
    gathered: g.groups * quads * 4 * count * (3 * g.from + 2 * g.to) * (count > MOST_PAGES ? 3 : 1),
    streamed: 8 * g.groups * count * g.from * g.to,
    tiles: 2 * product.tiles * Math.ceil(vectors),
  };
}

const total = (t: FftTiling, caps: Caps) => secondsOf("fft", workOf(t, caps), caps);
/** The tiling with the least estimate. */
export const tilingOf = (ways: readonly FftTiling[], caps: Caps): FftTiling =>
  ways.reduce((best, t) => (total(t, caps) < total(best, caps) ? t : best));

export const nameOf = (stage: string, { g, size }: FftTiling, caps: Caps) =>
  `${stage}${exactly([g, size, caps])}`;

/** Emits the transforms of four tiles of the source at `tile`: `cell` stores the numbers. */
export function toFrequencies(
  m: Module,
  f: Func,
  t: FftTiling,
  caps: Caps,
  tile: Local,
  pointers: readonly Local[],
  strides: readonly number[],
): void {
  const { size, axes } = t;
  const stepH = size[0] > 1 ? axes.at(-2)!.spacing * strides.at(-2)! : 0;
  loadRows(f, pointers, tile, size, {
    rows: size[0],
    width: size[1],
    stepH,
    stepW: axes.at(-1)!.spacing,
  });
  lines(m, f, caps, tile, size, "rows", false);
  lines(m, f, caps, tile, size, "columns", false);
}

/** Where the first tap of output channel 0 of group 0 is in the weights, in elements. */
export const firstTap = ({ g, phase }: FftTiling): number =>
  phase.taps.reduce((sum, t, a) => sum + t.tapFirst * stridesOf(g.kernel)[a], 0);

/** The function that computes the four tiles of a record by the definition, in place. */
function plainOf(m: Module, t: FftTiling, caps: Caps): Func {
  const { g, axes, size, phase, single, reversed } = t;
  const { strides, plane } = readLayout(g);
  const [h, w] = [phase.taps.at(-2)?.count ?? 1, phase.taps.at(-1)!.count];
  const [stepH, stepW] = [
    4 * (axes.at(-2)?.spacing ?? 0) * (strides.at(-2) ?? 0),
    4 * axes.at(-1)!.spacing,
  ];
  const line = 4 * (stridesOf(g.kernel).at(-2) ?? 0);
  return plainTiles(m, nameOf("fft", t, caps), {
    from: g.from,
    plane: plane * 4,
    wFrom: g.wFrom * 4,
    terms: Array.from({ length: w }, (_, k) => [
      k * stepW,
      reversed ? (h - 1) * line + (w - 1 - k) * 4 : k * 4,
    ]),
    lines: h,
    xLine: stepH,
    wLine: reversed ? -line : line,
    rows: axes.at(-2)?.m ?? 1,
    columns: axes.at(-1)!.m,
    step: [stepH, stepW],
    into: [4, pitch(size), 16],
    wTile: single ? g.wTo * 4 : 0,
  });
}

/** Emits the inverse transform, and the stores. */
export function fromFrequencies(
  m: Module,
  f: Func,
  t: FftTiling,
  task: Task,
  caps: Caps,
  at: {
    tile: Local;
    record: Local;
    y: Local;
    pointers: readonly Local[];
    source: Operand;
    weights: Operand;
  },
): void {
  const { size, axes, g, single } = t;
  const out = stridesOf(g.output);
  const outputs: TileSize = [axes.at(-2)?.m ?? 1, axes.at(-1)!.m];
  lines(m, f, caps, at.tile, size, "columns", true);
  lines(m, f, caps, at.tile, size, "rows", true, outputs[0]);
  // A value that is not finite, or near the end of the range, is in every element of a row: squares
  // find both.
  const [check, row, i] = [
    f.let("v128", "check", 0),
    f.let("i32", "checked", at.tile),
    f.local("i32", "i"),
  ];
  f.for(i, 0, outputs[0], 1, () => {
    f.set(check, f32x4.add(check, f32x4.mul(v128.load(row), v128.load(row))));
    f.bump(row, pitch(size));
  });
  f.if(v128.anyTrue(f32x4.sub(check, check)), () =>
    f.call(plainOf(m, t, caps), at.record, at.source, at.weights, at.tile),
  );
  const stepH = size[0] > 1 ? axes.at(-2)!.spacing * out.at(-2)! : 0;
  storeTiles(f, task, caps, at, {
    size,
    m: outputs,
    stepH,
    stepW: axes.at(-1)!.spacing,
    laneChannels: Number(single),
  });
}

/**
 * Emits the records of four lanes: the tiles from `tile` on, or four channels of it from `channel`
 * on. Lanes that do not exist store nothing.
 */
export function emitRecords(
  f: Func,
  t: FftTiling,
  tile: Local,
  channel: Local | null,
  record: Local,
): void {
  const { g } = t;
  const { strides, plane } = readLayout(g);
  const [l, c, at] = f.ints("l", "c", "at");
  f.set(at, record);
  const outPlane = sizeOf(g.output);
  const out4 = stridesOf(g.output).map((s) => s * 4);
  f.for(l, 0, 4, 1, () => {
    const place = (count: number) => {
      f.set(c, i32.add(channel ?? tile, l));
      f.set(c, i32.min(c, count - 1));
    };
    if (!channel) place(t.tiles);
    emitRecord(f, t, channel ? tile : c, at, strides, plane, out4, outPlane);
    const count = channel ? g.groups * g.to : t.tiles;
    if (channel) {
      place(count);
      const move = (field: number, by: Code) =>
        f.storeI32(at, i32.add(i32.load(at, field), by), field);
      move(RECORD.source, i32.mul(i32.div(c, g.to), plane * 4));
      move(RECORD.target, i32.mul(c, outPlane * 4));
    }
    f.if(i32.ne(i32.add(channel ?? tile, l), c), () => f.storeI32(at, 0, RECORD.h));
    f.bump(at, RECORD.bytes);
  });
}

export const pointersTo = (f: Func, record: Local, source: Local | Code) =>
  [0, 1, 2, 3].map((l) =>
    f.let("i32", `p${l}`, i32.add(source, i32.load(record, l * RECORD.bytes + RECORD.source))),
  );
