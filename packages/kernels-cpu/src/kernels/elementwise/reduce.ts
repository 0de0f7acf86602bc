// Sums and maxima over any axes. Neighboring axes are merged, so that kept and reduced axes
// alternate:
//
//   innermost reduced:  y[o] = Σ over rows Σ over the run        vectors along the run
//   innermost kept:     y[o, k…k+15] = Σ over rows x[row, k…]    vectors across outputs
//
// Long sums go through partial sums of at most BLOCK terms, so that errors grow with n/BLOCK +
// BLOCK and not with n. If there are few outputs, the longest axis is divided, and a second stage
// reduces the parts: the division depends on the shape only, so results do not depend on the number
// of threads.

import { mergeAxes, type Axis, countOf } from "@conv/compiler";
import { broadcastStrides, maxOp, sumOp, type ReduceParams } from "@conv/ops";
import { exactly, sizeOf, stridesOf, type Op } from "@conv/tensor";
import {
  inputAt,
  outputAt,
  scratchAt,
  type CpuCode,
  type CpuKernel,
  type Place,
  type Stage,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { BLOCK } from "../gemm/blocking.ts";
import { acrossLanes } from "../move/pad.ts";
import {
  counted,
  eachCell,
  inParts,
  keepLanes,
  locate,
  partAt,
  storeLanes,
  streamTime,
} from "../move/walk.ts";

interface Combination {
  readonly op: Op<ReduceParams>;
  readonly name: string;
  readonly identity: number;
  readonly join: typeof f32x4.add;
  /** The factor of the results; 1 if absent. */
  readonly scale?: number | undefined;
}
const combinations: readonly Combination[] = [
  { op: sumOp, name: sumOp.name, identity: 0, join: f32x4.add },
  { op: maxOp, name: maxOp.name, identity: -Infinity, join: f32x4.max },
];

/** Independent accumulators of a run: an addition takes 4 cycles. */
const RUN_VECTORS = 4;
/** Vectors across outputs: 16 floats are a cache line. */
const ROW_VECTORS = 4;
/**
 * A reduction is divided until it has this many pieces, or until they are small: a piece of 4096
 * elements takes about a microsecond, as long as a barrier.
 */
const PIECES = 16;
const PIECE = 4096;

export const reduce: CpuKernel<ReduceParams> = {
  name: "reduce",
  ops: [sumOp, maxOp],
  estimate: streamTime,
  build(task) {
    const { axes } = task.params;
    const how = combinations.find((c) => c.op === task.op)!;
    const { shape } = task.inputs[0];
    if (sizeOf(shape) === 0) return nothing(how, sizeOf(task.outputs[0].shape));
    return reduction(
      how,
      shape,
      shape.map((size, a) => (axes.includes(a) ? 1 : size)),
    );
  },
};

/** Σ x over the axes, times `scale`: means. */
export function scaledSum(
  shape: readonly number[],
  axes: readonly number[],
  scale: number,
): CpuCode {
  const [sum] = combinations;
  return reduction(
    { ...sum, scale },
    shape,
    shape.map((size, a) => (axes.includes(a) ? 1 : size)),
  );
}

/** Over an empty axis: the identity everywhere. */
function nothing(how: Combination, outputs: number): CpuCode {
  return {
    scratch: [],
    stages: [
      {
        name: `${how.name}_of_nothing`,
        items: Math.ceil(outputs / 4),
        reads: [],
        writes: [outputAt(0)],
        emit(_, f, [y], { lo, hi }) {
          const item = f.local("i32", "item");
          f.for(item, lo, hi, 1, () => f.store(i32.add(y, i32.mul(item, 16)), how.identity));
        },
      },
    ],
  };
}

/** Axes by kind; `strides` are of x, then of y. */
interface Walk {
  readonly kept: readonly Axis[];
  readonly reduced: readonly Axis[];
  readonly outputs: number;
  /** Whether the innermost axis is reduced. */
  readonly runs: boolean;
}

function walkOf(shape: readonly number[], rows: readonly number[]): Walk {
  const axes = mergeAxes(shape, [stridesOf(shape), broadcastStrides(rows, shape)]);
  const kept = axes.filter((a) => a.strides[1] !== 0);
  return {
    kept,
    reduced: axes.filter((a) => a.strides[1] === 0),
    outputs: countOf(kept),
    runs: axes.at(-1)!.strides[1] === 0,
  };
}

function reduction(how: Combination, shape: readonly number[], rows: readonly number[]): CpuCode {
  const walk = walkOf(shape, rows);
  const wanted = Math.min(
    Math.ceil(PIECES / piecesOf(walk)),
    Math.floor(sizeOf(shape) / (piecesOf(walk) * PIECE)),
  );
  if (wanted <= 1)
    return { scratch: [], stages: [stage(how, walk, null, inputAt(0), outputAt(0))] };
  const long = walk.reduced.findIndex((a) => a.size >= wanted);
  const axis =
    long >= 0 ? long : walk.reduced.indexOf(walk.reduced.toSorted((a, b) => b.size - a.size)[0]);
  const size = walk.reduced[axis].size;
  const whole = Math.ceil(size / wanted);
  // A run is divided between cache lines.
  const length = walk.runs && axis === walk.reduced.length - 1 ? Math.ceil(whole / 16) * 16 : whole;
  const parts = Math.ceil(size / length);
  const partial = [parts, walk.outputs];
  return {
    scratch: [{ bytes: sizeOf(partial) * 4 }],
    stages: [
      stage({ ...how, scale: undefined }, walk, { axis, length, parts }, inputAt(0), scratchAt(0)),
      stage(how, walkOf(partial, [1, walk.outputs]), null, scratchAt(0), outputAt(0)),
    ],
  };
}

/** Independent pieces of work: outputs, or groups of neighboring outputs. */
const piecesOf = ({ kept, outputs, runs }: Walk): number =>
  runs ? outputs : countOf(kept.slice(0, -1)) * Math.ceil(kept.at(-1)!.size / (ROW_VECTORS * 4));

/** How a reduced axis is divided; part p writes outputs from p·outputs on. */
interface Cut {
  readonly axis: number;
  readonly length: number;
  readonly parts: number;
}

function stage(how: Combination, walk: Walk, cut: Cut | null, from: Place, into: Place): Stage {
  const pieces = piecesOf(walk);
  const { kept, reduced, outputs, runs } = walk;
  return {
    name: `${how.name}${exactly([walk, cut, how.scale])}`,
    items: pieces * (cut?.parts ?? 1),
    reads: [from],
    writes: [into],
    emit(_, f, [x, y], { lo, hi }) {
      const [item, part, piece, group, p, q] = f.ints("item", "part", "piece", "group", "p", "q");
      const scaled = (v: Local) => how.scale !== undefined && f.set(v, f32x4.mul(v, how.scale));
      const withReduced = (axes: readonly Axis[]) => {
        if (runs) {
          locate(f, piece, kept, [{ at: p, base: p, stride: 0 }]);
          f.bump(q, i32.mul(piece, 4));
          const total = sumRuns(f, how, axes, p);
          acrossLanes(f, total, how.join);
          scaled(total);
          f.storeLane(q, total, 0);
          return;
        }
        const row = kept.at(-1)!;
        const groups = Math.ceil(row.size / (ROW_VECTORS * 4));
        f.set(group, i32.rem(piece, groups));
        locate(f, i32.div(piece, groups), kept.slice(0, -1), [
          { at: p, base: p, stride: 0 },
          { at: q, base: q, stride: 1 },
        ]);
        f.bump(p, i32.mul(group, ROW_VECTORS * 16));
        f.bump(q, i32.mul(group, ROW_VECTORS * 16));
        const columns = (count: number) => {
          const totals = sumRows(f, how, axes, p, Math.ceil(count / 4));
          totals.forEach(scaled);
          totals.forEach((v, i) => storeLanes(f, q, v, Math.min(4, count - i * 4), i * 16));
        };
        partAt(f, group, row.size, ROW_VECTORS * 4, columns);
      };
      f.for(item, lo, hi, 1, () => {
        f.set(p, x);
        f.set(q, y);
        if (!cut) {
          f.set(piece, item);
          return withReduced(reduced);
        }
        const { axis, length } = cut;
        const { size, strides } = reduced[axis];
        f.set(part, i32.div(item, pieces));
        f.set(piece, i32.rem(item, pieces));
        f.bump(p, i32.mul(part, length * strides[0] * 4));
        f.bump(q, i32.mul(part, outputs * 4));
        partAt(f, part, size, length, (to) =>
          withReduced(reduced.with(axis, { size: to, strides })),
        );
      });
    },
  };
}

/**
 * All elements under the reduced axes, of which the innermost is contiguous from p on: a vector
 * whose lanes are not combined yet.
 */
function sumRuns(
  f: Func,
  { identity, join }: Combination,
  reduced: readonly Axis[],
  p: Local,
): Local {
  const { size } = reduced.at(-1)!;
  const total = f.let("v128", "total", identity);
  const run = f.local("i32", "run");
  const outer = reduced.slice(0, -1);
  const level = join === f32x4.add && countOf(outer) > BLOCK ? counted(f, [total]) : null;
  eachCell(f, outer, [{ at: p, stride: 0 }], () => {
    f.set(run, p);
    inParts(f, size, BLOCK * RUN_VECTORS * 4, (count) => {
      const width = Math.max(1, Math.min(RUN_VECTORS, count >> 2));
      const rounds = Math.floor(count / (width * 4));
      const tail = (v: number) => keepLanes(v128.load(run, v * 16), count % 4, identity);
      const acc = Array.from({ length: width }, (_, v) =>
        f.let("v128", `acc${v}`, count < 4 ? tail(0) : v128.load(run, v * 16)),
      );
      f.bump(run, width * 16);
      f.repeat(rounds - 1, "rounds", () => {
        acc.forEach((a, v) => f.set(a, join(a, v128.load(run, v * 16))));
        f.bump(run, width * 16);
      });
      const left = Math.max(0, (count >> 2) - rounds * width);
      for (let v = 0; v < left; v++) f.set(acc[v], join(acc[v], v128.load(run, v * 16)));
      if (count % 4 && count >= 4) f.set(acc.at(-1)!, join(acc.at(-1)!, tail(left)));
      f.bump(run, left * 16);
      f.set(total, join(total, tree(f, acc, join)));
    });
    level?.add(1);
  });
  level?.finish();
  return total;
}

function tree(f: Func, acc: readonly Local[], join: Combination["join"]): Local {
  for (let step = 1; step < acc.length; step *= 2)
    for (let v = 0; v + step < acc.length; v += step * 2)
      f.set(acc[v], join(acc[v], acc[v + step]));
  return acc[0];
}

/** Sums of `vectors` neighboring vectors of outputs. */
function sumRows(
  f: Func,
  { identity, join }: Combination,
  reduced: readonly Axis[],
  p: Local,
  vectors: number,
): Local[] {
  const { size, strides } = reduced.at(-1) ?? { size: 1, strides: [0] };
  const totals = Array.from({ length: vectors }, (_, v) => f.let("v128", `total${v}`, identity));
  const acc = totals.map((_, v) => f.local("v128", `acc${v}`));
  const row = f.local("i32", "row");
  const outer = reduced.slice(0, -1);
  const level = join === f32x4.add && countOf(outer) > BLOCK ? counted(f, totals) : null;
  eachCell(f, outer, [{ at: p, stride: 0 }], () => {
    f.set(row, p);
    inParts(f, size, BLOCK, (count) => {
      acc.forEach((a, v) => f.set(a, v128.load(row, v * 16)));
      f.repeat(count - 1, "rows", () => {
        f.bump(row, strides[0] * 4);
        acc.forEach((a, v) => f.set(a, join(a, v128.load(row, v * 16))));
      });
      f.bump(row, strides[0] * 4);
      totals.forEach((t, v) => f.set(t, join(t, acc[v])));
    });
    level?.add(1);
  });
  level?.finish();
  return totals;
}
