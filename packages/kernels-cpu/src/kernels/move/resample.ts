// A constant sparse matrix along one axis: select, flips, padding that repeats the input,
// interpolation.
//   y[…, j, …] = Σ w·x[…, i, …] over the taps (i, w) of row j
//   rows of at least four neighbors   whole vectors of one row of x, with a table of taps
//   runs of a row stay together       copies of the runs
// anything else four outputs at a time, with a table of their elements: loaded
//                                     from four neighbors by a shuffle if possible, else one by one

import { resampleOp, type ResampleParams, type Tap } from "@conv/ops";
import { exactly, sizeOf } from "@conv/tensor";
import { inputAt, outputAt, scratchAt, type CpuCode, type CpuKernel } from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { copyRow } from "./pad.ts";
import { storeLanes, streamTime } from "./walk.ts";

/**
 * Runs that are shorter on average are copied one element at a time; up to this many are unrolled.
 */
const RUN = 4;
const RUNS = 32;

export const resample: CpuKernel<ResampleParams> = {
  name: "resample",
  ops: [resampleOp],
  // A table costs about a nanosecond for each tap and vector, or four if the elements of a vector
  // are loaded one by one.
  estimate(task, caps) {
    const { axis, rows } = task.params;
    const inner = sizeOf(task.inputs[0].shape.slice(axis + 1));
    const taps =
      rows.reduce((sum, row) => sum + row.length, 0) * sizeOf(task.inputs[0].shape.slice(0, axis));
    return (
      streamTime(task, caps) +
      (inner < 4 ? taps * inner : taps * Math.ceil(inner / 4)) * (1e-9 / caps.threads)
    );
  },
  build({ params, inputs: [{ shape }] }) {
    const { axis, rows } = params;
    const inner = sizeOf(shape.slice(axis + 1));
    const outer = sizeOf(shape.slice(0, axis));
    if (inner >= 4) return byRows(outer, shape[axis], inner, rows);
    // Few neighbors: each becomes an element of a longer axis.
    const single = rows.flatMap((row) =>
      Array.from({ length: inner }, (_, r) => row.map(([i, w]): Tap => [i * inner + r, w])),
    );
    const runs = runsOf(single);
    return runs && runs.length <= RUNS && single.length >= runs.length * RUN
      ? byRuns(outer, shape[axis] * inner, single.length, runs)
      : byLanes(outer, shape[axis] * inner, single);
  },
};

const isMove = (rows: readonly (readonly Tap[])[]) =>
  rows.every((row) => row.length === 1 && row[0][1] === 1);

/**
 * Row by row of y: the table has taps (offset in bytes, weight), and for each row how many taps it
 * has and where.
 */
function byRows(
  outer: number,
  size: number,
  inner: number,
  given: readonly (readonly Tap[])[],
): CpuCode {
  const weighted = !isMove(given);
  // If each row has one or two taps, as in interpolation, all rows get two (one tap becomes two
  // halves), and both are computed at once.
  const paired = weighted && given.every((row) => row.length === 1 || row.length === 2);
  const rows = paired
    ? given.map((row) =>
        row.length === 2 ? row : [row[0], row[0]].map(([i, w]): Tap => [i, w / 2]),
      )
    : given;
  const table = new DataView(new ArrayBuffer(8 * (rows.length + rows.flat().length)));
  let next = 8 * rows.length;
  rows.forEach((row, j) => {
    table.setInt32(8 * j, row.length, true);
    table.setInt32(8 * j + 4, next, true);
    for (const [i, w] of row) {
      table.setInt32(next, i * inner * 4, true);
      table.setFloat32(next + 4, w, true);
      next += 8;
    }
  });
  const stage = {
    name: `mixRows${exactly([size, inner, rows.length, weighted, paired])}`,
    items: outer * rows.length,
    reads: [inputAt(0), scratchAt(0)],
    writes: [outputAt(0)],
    emit(
      _: unknown,
      f: Func,
      [x, taps, y]: readonly Local[],
      { lo, hi }: { lo: Local; hi: Local },
    ) {
      const [item, tap, from, s, other, d, left] = f.ints(
        "item",
        "tap",
        "from",
        "s",
        "other",
        "d",
        "left",
      );
      const [w, w2, v] = ["w", "w2", "v"].map((name) => f.local("v128", name));
      const next = () => {
        f.set(s, i32.add(from, i32.load(tap)));
        if (weighted) f.set(w, v128.loadSplat(tap, 4));
      };
      f.for(item, lo, hi, 1, () => {
        f.set(tap, i32.add(taps, i32.mul(i32.rem(item, rows.length), 8)));
        f.set(left, i32.load(tap));
        f.set(tap, i32.add(taps, i32.load(tap, 4)));
        f.set(from, i32.add(x, i32.mul(i32.div(item, rows.length), size * inner * 4)));
        f.set(d, i32.add(y, i32.mul(item, inner * 4)));
        if (!weighted) {
          next();
          return copyRow(f, s, d, inner);
        }
        const all = (value: () => void, sources = [s]) =>
          along(f, sources, d, inner, (lanes) => {
            value();
            storeLanes(f, d, v, lanes);
          });
        if (paired) {
          next();
          f.set(other, i32.add(from, i32.load(tap, 8)));
          f.set(w2, v128.loadSplat(tap, 12));
          return all(
            () => f.set(v, f32x4.add(f32x4.mul(w, v128.load(s)), f32x4.mul(w2, v128.load(other)))),
            [s, other],
          );
        }
        f.if(
          left,
          () => {
            next();
            all(() => f.set(v, f32x4.mul(w, v128.load(s))));
            f.bump(left, -1);
            f.if(left, () =>
              f.loop(() => {
                f.bump(tap, 8);
                next();
                all(() => f.set(v, f32x4.add(v128.load(d), f32x4.mul(w, v128.load(s)))));
                f.bump(left, -1);
                f.brIf(left, 0);
              }),
            );
          },
          () => f.fill(d, 0, inner * 4),
        );
      });
    },
  };
  return {
    scratch: [{ bytes: table.byteLength, data: new Int32Array(table.buffer) }],
    stages: [stage],
  };
}

/**
 * Loops over `count` elements, a vector at a time. The target ends where it began; the sources are
 * undefined afterwards.
 */
function along(
  f: Func,
  sources: readonly Local[],
  d: Local,
  count: number,
  body: (lanes: number) => void,
): void {
  f.repeat(count >> 2, "vectors", () => {
    body(4);
    for (const p of [...sources, d]) f.bump(p, 16);
  });
  if (count % 4) body(count % 4);
  f.bump(d, -(count >> 2) * 16);
}

interface Run {
  readonly from: number;
  readonly into: number;
  readonly count: number;
}

/**
 * Rows with one tap of weight 1 each, as the fewest runs of neighbors; null if there are others.
 */
function runsOf(rows: readonly (readonly Tap[])[]): Run[] | null {
  if (!isMove(rows)) return null;
  const runs: { from: number; into: number; count: number }[] = [];
  rows.forEach(([[from]], into) => {
    const last = runs.at(-1);
    if (last && last.from + last.count === from) last.count++;
    else runs.push({ from, into, count: 1 });
  });
  return runs;
}

function byRuns(outer: number, size: number, count: number, runs: readonly Run[]): CpuCode {
  const stage = {
    name: `mixRuns${exactly([size, count, runs])}`,
    items: outer,
    reads: [inputAt(0)],
    writes: [outputAt(0)],
    emit(_: unknown, f: Func, [x, y]: readonly Local[], { lo, hi }: { lo: Local; hi: Local }) {
      const [item, from, into, s, d] = f.ints("item", "from", "into", "s", "d");
      f.for(item, lo, hi, 1, () => {
        f.set(from, i32.add(x, i32.mul(item, size * 4)));
        f.set(into, i32.add(y, i32.mul(item, count * 4)));
        for (const run of runs) {
          f.set(s, i32.add(from, run.from * 4));
          f.set(d, i32.add(into, run.into * 4));
          copyRow(f, s, d, run.count);
        }
      });
    },
  };
  return { scratch: [], stages: [stage] };
}

/** Four outputs at a time, summed tap by tap. */
function byLanes(outer: number, size: number, rows: readonly (readonly Tap[])[]): CpuCode {
  const most = Math.max(...rows.map((row) => row.length));
  const ragged = rows.some((row) => row.length < most);
  const weighted = rows.some((row) => row.some(([, w]) => w !== 1));
  const groups = Array.from({ length: Math.ceil(rows.length / 4) }, (_, i) =>
    rows.slice(i * 4, i * 4 + 4),
  );
  const near = groups.every((group) =>
    Array.from({ length: most }, (_, t) => reach(group, t)).every(
      ([first, last]) => last - first < 4,
    ),
  );
  // of a tap of four outputs
  const bytes = (near ? 32 : 16) + (weighted || (ragged && !near) ? 16 : 0);
  const table = new DataView(new ArrayBuffer(groups.length * most * bytes));
  groups.forEach((group, i) => {
    for (let t = 0; t < most; t++)
      (near ? describeNear : describeEach)(table, (i * most + t) * bytes, group, t, size, bytes);
  });
  const stage = {
    name: `mixLanes${exactly([size, rows.length, most, weighted, ragged, near])}`,
    items: outer,
    reads: [inputAt(0), scratchAt(0)],
    writes: [outputAt(0)],
    emit(
      _: unknown,
      f: Func,
      [x, taps, y]: readonly Local[],
      { lo, hi }: { lo: Local; hi: Local },
    ) {
      const [item, from, d, tap] = f.ints("item", "from", "d", "tap");
      const [v, sum, w] = ["v", "sum", "w"].map((name) => f.local("v128", name));
      const some = (lanes: number) => {
        if (most === 0) f.set(sum, 0);
        for (let t = 0; t < most; t++) {
          const at = t * bytes;
          if (near)
            f.set(
              v,
              v128.swizzle(v128.load(i32.add(from, i32.load(tap, at))), v128.load(tap, at + 16)),
            );
          else
            for (let l = 0; l < lanes; l++) {
              const address = i32.add(from, i32.load(tap, at + l * 4));
              f.set(v, l ? v128.loadLane(address, v, l) : v128.loadZero32(address));
            }
          if (weighted || (ragged && !near)) {
            f.set(w, v128.load(tap, at + bytes - 16));
            // A missing tap adds 0, even if its element is infinite.
            f.set(v, f32x4.mul(ragged && !near ? v128.and(v, f32x4.ne(w, 0)) : v, w));
          }
          f.set(sum, t ? f32x4.add(sum, v) : v);
        }
        storeLanes(f, d, sum, lanes);
      };
      f.for(item, lo, hi, 1, () => {
        f.set(from, i32.add(x, i32.mul(item, size * 4)));
        f.set(d, i32.add(y, i32.mul(item, rows.length * 4)));
        f.set(tap, taps);
        f.repeat(rows.length >> 2, "groups", () => {
          some(4);
          f.bump(d, 16);
          f.bump(tap, most * bytes);
        });
        if (rows.length % 4) some(rows.length % 4);
      });
    },
  };
  return {
    scratch: [{ bytes: table.byteLength, data: new Int32Array(table.buffer) }],
    stages: [stage],
  };
}

/** The least and the largest index that tap `t` of a group has. */
function reach(group: readonly (readonly Tap[])[], t: number): [number, number] {
  const indices = group.flatMap((row) => (row.length > t ? [row[t][0]] : []));
  return indices.length ? [Math.min(...indices), Math.max(...indices)] : [0, 0];
}

/**
 * Four neighbors that contain all elements of tap `t` of the group: their offset, the shuffle of
 * their bytes (0 for missing taps), and the weights.
 */
function describeNear(
  table: DataView,
  at: number,
  group: readonly (readonly Tap[])[],
  t: number,
  size: number,
  bytes: number,
): void {
  const first = Math.max(0, Math.min(reach(group, t)[0], size - 4));
  table.setInt32(at, first * 4, true);
  for (let l = 0; l < 4; l++) {
    const tap = group[l]?.[t];
    for (let byte = 0; byte < 4; byte++)
      table.setUint8(at + 16 + l * 4 + byte, tap ? (tap[0] - first) * 4 + byte : 255);
    if (tap && bytes > 32) table.setFloat32(at + 32 + l * 4, tap[1], true);
  }
}

/**
 * The offset of each element of tap `t` of the group, and the weights; a missing tap has weight 0.
 */
function describeEach(
  table: DataView,
  at: number,
  group: readonly (readonly Tap[])[],
  t: number,
  _size: number,
  bytes: number,
): void {
  group.forEach((row, l) => {
    if (row.length <= t) return;
    table.setInt32(at + l * 4, row[t][0] * 4, true);
    if (bytes > 16) table.setFloat32(at + 16 + l * 4, row[t][1], true);
  });
}
