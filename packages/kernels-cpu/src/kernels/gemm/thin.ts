// Products with few columns: y[r, p] = Σₖ wide[r, k] · thin[p, k], many rows r, few p. The wide
// side is read once, where it is stored: packing it or filling panels of eight columns would take
// longer than the product.
//   k contiguous in wide (dot):    4 rows by up to 3 columns, vectors along k, whose lanes are
//                                  summed at the end
//   r contiguous in wide (spread): up to 12 vectors of rows by up to 3 columns, each thin value in
//                                  all four lanes

import { exactly } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  operandsAt,
  outputAt,
  scratchAt,
  type CpuCode,
  type Epilogue,
  type Place,
  type Stage,
  type Work,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func, Module } from "../../wasm/module.ts";
import { storeNeighbors } from "../direct/store.ts";
import { inBlocks, partAt } from "../move/walk.ts";

/** Where an element is: the sum of its strides, in elements. Columns p may be anywhere. */
interface Lie {
  readonly problem: number;
  readonly at: readonly number[];
}

export interface Thin {
  /** Independent products (groups, batch). */
  readonly problems: number;
  readonly rows: number;
  readonly depth: number;
  /** One of `row` and `k` is 1. */
  readonly wide: { readonly problem: number; readonly row: number; readonly k: number };
  /** `k` is 1 if that of `wide` is. */
  readonly thin: Lie & { readonly k: number };
  readonly y: Lie & { readonly row: number };
  /** Operands of the epilogue with one value for each row (`row` 1) or for each column. */
  readonly operand: Lie & { readonly row: 0 | 1 };
  readonly epilogue: Epilogue | null;
}

/** The most columns: with more of them panels of eight are faster. */
export const MOST_COLUMNS = 12;
/**
 * Columns that are summed together: with 4 rows, the 12 sums, 3 vectors and a row fit 16 registers.
 */
const TOGETHER = 3;
const VECTORS = 12;

/** Columns in equal parts of at most three, as [first, end]. */
function parts(columns: number): [number, number][] {
  const size = Math.ceil(columns / Math.ceil(columns / TOGETHER));
  return Array.from({ length: Math.ceil(columns / size) }, (_, i) => [
    i * size,
    Math.min(columns, (i + 1) * size),
  ]);
}

/**
 * Rows of a piece of work: 4, whose sums across lanes are one vector, or equal parts of the vectors
 * of rows that fit the registers.
 */
function blockRows(t: Thin): number {
  if (t.wide.k === 1) return 4;
  const vectors = Math.ceil(t.rows / 4);
  const most = Math.floor(VECTORS / (parts(t.y.at.length)[0][1] || 1));
  return 4 * Math.ceil(vectors / Math.ceil(vectors / most));
}

/** Few sums wait for one another; the wide side is read from memory once. */
export function thinWork(t: Thin, columns: Columns | null): Work {
  const wide = t.problems * t.rows * t.depth;
  return {
    products: wide * t.y.at.length,
    steps: (wide / 4) * parts(t.y.at.length).length,
    // Rows of the wide side that are not contiguous are read again for each part of the columns.
    streamed: 4 * wide * (t.wide.k === 1 ? 1 : parts(t.y.at.length).length),
    gathered: columns ? t.problems * t.depth * t.y.at.length : 0,
    tiles: (t.problems * t.rows) / blockRows(t),
  };
}

/**
 * The stages of the product of inputs `sides`; columns are gathered if they are given, or if k is
 * not contiguous on both sides.
 */
export function thinCode(
  t: Thin,
  caps: Caps,
  sides: { wide: number; thin: number },
  columns: Columns | null = null,
): CpuCode {
  const [wide, thin] = [inputAt(sides.wide), inputAt(sides.thin)];
  const from =
    columns ??
    (t.wide.k === 1 && t.thin.k !== 1
      ? {
          problems: t.problems,
          channels: t.depth,
          problem: t.thin.problem,
          channel: t.thin.k,
          offsets: t.thin.at.map((at) => [at]),
        }
      : null);
  if (!from) return { scratch: [], stages: [thinStage(t, caps, wide, thin)] };
  const size = t.y.at.length * t.depth;
  const gathered: Thin = {
    ...t,
    thin: { problem: size, at: t.y.at.map((_, p) => p * t.depth), k: 1 },
  };
  return {
    scratch: [{ bytes: (t.problems * size + 16) * 4 }],
    stages: [columnsStage(from, thin, scratchAt(0)), thinStage(gathered, caps, wide, scratchAt(0))],
  };
}

function thinStage(t: Thin, caps: Caps, wide: Place, thin: Place): Stage {
  const name = `thin${exactly([t, caps.relaxed])}`;
  const size = blockRows(t);
  const blocks = Math.ceil(t.rows / size);
  return {
    name,
    items: t.problems * blocks,
    reads: [wide, thin, ...operandsAt(t.epilogue)],
    writes: [outputAt(0)],
    emit(m, f, at, { lo, hi }) {
      const [item, problem, first, w, x, offset, value] = f.ints(
        "item",
        "problem",
        "first",
        "w",
        "x",
        "offset",
        "value",
      );
      f.for(item, lo, hi, 1, () => {
        f.set(problem, i32.div(item, blocks));
        f.set(first, i32.mul(i32.rem(item, blocks), size));
        const locate = (stride: number, row: number) =>
          i32.add(i32.mul(problem, stride * 4), i32.mul(first, row * 4));
        f.set(w, i32.add(at[0], locate(t.wide.problem, t.wide.row)));
        f.set(x, i32.add(at[1], i32.mul(problem, t.thin.problem * 4)));
        f.set(offset, locate(t.y.problem, t.y.row));
        f.set(value, locate(t.operand.problem, t.operand.row));
        partAt(f, i32.rem(item, blocks), t.rows, size, (rows) => {
          for (const [from, end] of parts(t.y.at.length))
            f.call(
              tile(m, t, caps, name, rows, from, end),
              w,
              x,
              offset,
              value,
              at[at.length - 1],
              ...at.slice(2, -1),
            );
        });
      });
    },
  };
}

/** A tile: `rows` rows by the columns from … end−1, over all of k. */
function tile(
  m: Module,
  t: Thin,
  caps: Caps,
  name: string,
  rows: number,
  from: number,
  end: number,
): Func {
  const operands = t.epilogue?.operands ?? [];
  return m.func(
    `${name}_${rows}x${from}_${end}`,
    ["w", "x", "offset", "value", "y", ...operands.map((o) => o.name)],
    (f) => {
      const [w, x, offset, value, y, ...pointers] = f.params;
      const columns = t.thin.at.slice(from, end).map((at) => at * 4);
      const sums = (t.wide.k === 1 ? dot : spread)(f, t, caps, rows, columns, w, x);
      const perRow = new Map<string, Local>();
      const address = f.let("i32", "address", i32.add(y, offset));
      sums.forEach((vectors, c) =>
        vectors.forEach((r, v) => {
          operands.forEach(({ name, along }, i) => {
            if (along === "element") return;
            const place = i32.add(pointers[i], value);
            const at = (t.operand.at[from + c] + (t.operand.row ? v * 4 : 0)) * 4;
            perRow.set(
              name,
              f.let("v128", name, t.operand.row ? v128.load(place, at) : v128.loadSplat(place, at)),
            );
          });
          storeNeighbors(f, caps, t.epilogue, r, {
            address,
            offset: (t.y.at[from + c] + v * 4 * t.y.row) * 4,
            lanes: Math.min(4, rows - v * 4),
            step: t.y.row,
            perChannel: perRow,
            operandAt: (i) => i32.add(pointers[i], offset),
          });
        }),
      );
    },
  );
}

type Sums = (
  f: Func,
  t: Thin,
  caps: Caps,
  rows: number,
  columns: readonly number[],
  w: Local,
  x: Local,
) => Local[][];

/**
 * Vectors along k. If there are few sums, several steps of k have separate sums, so that a sum need
 * not wait for the previous step.
 */
const dot: Sums = (f, t, caps, rows, columns, w, x) => {
  const steps = rows * columns.length <= 4 ? 4 : rows * columns.length < 8 ? 2 : 1;
  const acc = Array.from({ length: steps }, () =>
    columns.map(() => Array.from({ length: rows }, () => f.let("v128", "acc", 0))),
  );
  const xs = columns.map(() => f.local("v128", "x_"));
  const row = f.local("v128", "row");
  const step = (u: number, load: (into: Local, from: Local, offset: number) => void) => {
    columns.forEach((at, c) => load(xs[c], x, at + u * 16));
    for (let r = 0; r < rows; r++) {
      load(row, w, r * t.wide.row * 4 + u * 16);
      acc[u].forEach((own, c) => f.set(own[r], madd(caps, row, xs[c], own[r])));
    }
  };
  const vectors = (count: number) => {
    for (let u = 0; u < count; u++)
      step(u, (into, from, offset) => f.set(into, v128.load(from, offset)));
    f.bump(w, count * 16);
    f.bump(x, count * 16);
  };
  const k = f.local("i32", "k");
  inBlocks(f, acc.flat(2), Math.floor(t.depth / (4 * steps)), 1, (count) =>
    f.for(k, 0, count, 1, () => vectors(steps)),
  );
  vectors((t.depth >> 2) % steps);
  const lanes = t.depth % 4;
  if (lanes)
    step(0, (into, from, offset) => {
      f.set(into, v128.loadZero32(from, offset));
      for (let lane = 1; lane < lanes; lane++)
        f.set(into, v128.loadLane(from, into, lane, offset + lane * 4));
    });
  for (const more of acc.slice(1))
    more.forEach((own, c) =>
      own.forEach((v, r) => f.set(acc[0][c][r], f32x4.add(acc[0][c][r], v))),
    );
  return acc[0].map((own) => [acrossRows(f, own)]);
};

/** The sum of each of up to four vectors, as one vector. */
function acrossRows(f: Func, [a, b = a, c = a, d = b]: readonly Local[]): Local {
  const halves = (p: Local, q: Local) =>
    f.let(
      "v128",
      "halves",
      f32x4.add(v128.shuffle(p, q, 0, 1, 4, 5), v128.shuffle(p, q, 2, 3, 6, 7)),
    );
  const ab = halves(a, b);
  const cd = c === a ? ab : halves(c, d);
  return f.let(
    "v128",
    "sums",
    f32x4.add(v128.shuffle(ab, cd, 0, 2, 4, 6), v128.shuffle(ab, cd, 1, 3, 5, 7)),
  );
}

/** Vectors along the rows. Elements that the last vector reads past the rows are not stored. */
const spread: Sums = (f, t, caps, rows, columns, w, x) => {
  const acc = columns.map(() =>
    Array.from({ length: Math.ceil(rows / 4) }, () => f.let("v128", "acc", 0)),
  );
  const xs = columns.map(() => f.local("v128", "x_"));
  const row = f.local("v128", "row");
  const steps = (count: number) => {
    for (let u = 0; u < count; u++) {
      columns.forEach((at, c) => f.set(xs[c], v128.loadSplat(x, at + u * t.thin.k * 4)));
      acc[0].forEach((_, v) => {
        f.set(row, v128.load(w, u * t.wide.k * 4 + v * 16));
        acc.forEach((own, c) => f.set(own[v], madd(caps, row, xs[c], own[v])));
      });
    }
    f.bump(w, count * t.wide.k * 4);
    f.bump(x, count * t.thin.k * 4);
  };
  const UNROLL = 4;
  const k = f.local("i32", "k");
  inBlocks(f, acc.flat(), Math.floor(t.depth / UNROLL), UNROLL, (count) =>
    f.for(k, 0, count, 1, () => steps(UNROLL)),
  );
  steps(t.depth % UNROLL);
  return acc;
};

/**
 * Where columns are gathered from: element (channel, column, tap) is at the sum of its strides and
 * its offset; null stands for zero.
 */
export interface Columns {
  readonly problems: number;
  readonly channels: number;
  readonly problem: number;
  readonly channel: number;
  /** [column][tap] */
  readonly offsets: readonly (readonly (number | null)[])[];
}

/**
 * The stage that gathers columns: [problem][column][channel][tap]; each piece of work is a channel.
 */
function columnsStage(c: Columns, from: Place, into: Place): Stage {
  const taps = c.offsets[0].length;
  const depth = c.channels * taps;
  return {
    name: `columns${exactly(c)}`,
    items: c.problems * c.channels,
    reads: [from],
    writes: [into],
    emit(_, f, [source, target], { lo, hi }) {
      const [item, problem, channel, s, d] = f.ints("item", "problem", "channel", "s", "d");
      f.for(item, lo, hi, 1, () => {
        f.set(problem, i32.div(item, c.channels));
        f.set(channel, i32.rem(item, c.channels));
        f.set(
          s,
          i32.add(
            source,
            i32.add(i32.mul(problem, c.problem * 4), i32.mul(channel, c.channel * 4)),
          ),
        );
        f.set(
          d,
          i32.add(
            target,
            i32.add(i32.mul(problem, c.offsets.length * depth * 4), i32.mul(channel, taps * 4)),
          ),
        );
        c.offsets.forEach((own, p) =>
          own.forEach((offset, tap) =>
            f.storeLane(
              d,
              offset === null ? 0 : v128.loadZero32(s, offset * 4),
              0,
              (p * depth + tap) * 4,
            ),
          ),
        );
      });
    },
  };
}
