// Gradients of pooling with small windows (3×3 with stride 2, as in AlexNet, ResNet and GoogLeNet),
// computed for each input: first the tap of each window's maximum is stored; then each input sums
// the contributions of the few windows around it. Each piece of work is a plane.
//   dx[i] = Σ over taps of (won[o] = tap) · dy[o], o·stride + tap = i
// Inputs with equal remainders of the stride have the same taps: four of them are summed at once,
// and interleaved when they are stored.

import { gatherGradInput, type Phase } from "@conv/compiler";
import {
  avgPoolGradOp,
  maxPoolGradOp,
  type AvgPoolGeometry,
  type ConvGeometry,
  type PoolGeometry,
} from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  outputAt,
  scratchAt,
  type CpuKernel,
  type Place,
  type Stage,
  type Task,
} from "../../compile/code.ts";
import { f32x4, i32, i32x4, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { storeNeighbors } from "../direct/store.ts";
import { epilogueName } from "../gemm/tile.ts";
import { copyInside, fillRange, padBytes } from "../move/pad.ts";
import { eachCell, storeLanes, streamTime } from "../move/walk.ts";
import { sharesOf } from "./pool.ts";
import { eachOutput, emitArgMax, outputAxes, PADDING, windowsOf, type Windows } from "./window.ts";

export const poolGradGather: CpuKernel<PoolGeometry> = {
  name: "poolGradGather",
  fuses: ["element"],
  ops: [maxPoolGradOp, avgPoolGradOp],
  unsupportedReason({ params }) {
    const g = params;
    return windowsOf(g).unrolled ? null : `unrolls at most 32 taps, not ${sizeOf(g.kernel)}`;
  },
  // Half the traffic of a pass: its writes seldom compete with its reads.
  estimate: (task, caps) => streamTime(task, caps) / 2,
  build(task, caps) {
    const g = task.params;
    const max = task.op === maxPoolGradOp;
    const shares = max ? null : sharesOf(g as AvgPoolGeometry);
    const table = shares instanceof Float32Array ? shares : null;
    return {
      scratch: table ? [{ bytes: table.byteLength, data: table }] : [],
      stages: [
        planes(
          g,
          windowsOf(g, PADDING),
          task,
          caps,
          max ? null : { share: typeof shares === "number" ? shares : scratchAt(0) },
        ),
      ],
    };
  },
};

/** The windows that each input is in, as the gradient of a convolution to its input has them. */
const around = (g: PoolGeometry) =>
  gatherGradInput({ ...g, groups: g.c, ic: g.c, oc: g.c } satisfies ConvGeometry);

const lines = (bytes: number) => Math.ceil(bytes / 64) * 64;

/**
 * `mean` has the weight of each input: a number, or the place of a table with one for each output
 * of a plane; null for maxima.
 */
function planes(
  g: PoolGeometry,
  w: Windows,
  task: Task<PoolGeometry>,
  caps: Caps,
  mean: { share: number | Place } | null,
): Stage {
  const { phases, lo, padded } = around(g);
  const [inPlane, outPlane] = [sizeOf(g.input), sizeOf(g.output)];
  const operands = task.epilogue?.operands ?? [];
  const first = mean ? 1 : 2; // inputs of the op; those of the epilogue follow
  const tabled = typeof mean?.share === "object" ? [mean.share] : [];
  // The memory of the thread: the padded plane of x, then for each window dy and the tap of its
  // maximum, with windows around it that have none.
  const strides = stridesOf(padded);
  const boxBytes = mean || !w.padded ? 0 : lines(padBytes({ ...w.box, planes: 1 }));
  const gridBytes = lines((sizeOf(padded) + 16) * 4);
  const dyAxes = outputAxes(g, w).map(({ size, strides: [x, y] }, a) => ({
    size,
    strides: [x, y, strides[a]],
  }));
  return {
    name: `poolGradGather${exactly([g, task.op.name, caps.relaxed])}${epilogueName(task.epilogue)}`,
    items: w.planes,
    reads: [...Array.from({ length: first + operands.length }, (_, i) => inputAt(i)), ...tabled],
    writes: [outputAt(0)],
    threadScratch: boxBytes + gridBytes * (mean ? 1 : 2),
    emit(_, f, at, { lo: from, hi, threadScratch }) {
      const dx = at.at(-1)!;
      const [item, plane, x, dy, given, d] = f.ints("item", "plane", "x", "dy", "given", "d");
      const grid = f.let("i32", "grid", i32.add(threadScratch, boxBytes));
      const inside = lo.reduce((sum, l, a) => sum + l * strides[a] * 4, 0);
      if (boxBytes) fillRange(f, threadScratch, boxBytes, PADDING);
      f.fill(grid, 0, gridBytes);
      if (!mean) f.fill(i32.add(grid, gridBytes), 255, gridBytes);
      const extra = operands.map((o) => f.local("i32", `${o.name}_dx`));
      f.for(item, from, hi, 1, () => {
        f.set(plane, i32.add(at[0], i32.mul(item, inPlane * 4)));
        if (boxBytes) copyInside(f, w.box, plane, threadScratch);
        f.set(x, boxBytes ? threadScratch : plane);
        f.set(dy, i32.add(at[first - 1], i32.mul(item, outPlane * 4)));
        f.set(given, i32.add(grid, inside));
        const table = tabled.length
          ? [{ at: f.let("i32", "table", at[first + operands.length]), stride: 1, by: 1 }]
          : [];
        const followers = [
          { at: dy, stride: 1, by: 1 },
          { at: given, stride: 2, by: 1 },
          ...(mean ? table : [{ at: x, stride: 0, by: w.step }]),
        ];
        eachOutput(f, w.width, dyAxes, followers, true, ([dyAt, givenAt, otherAt], lanes) => {
          const value = f.let("v128", "dy_", v128.load(dyAt));
          if (mean)
            f.set(
              value,
              f32x4.mul(value, typeof mean.share === "number" ? mean.share : v128.load(otherAt)),
            );
          else storeLanes(f, givenAt, winner(f, w, otherAt, lanes), lanes, gridBytes);
          storeLanes(f, givenAt, value, lanes);
        });
        f.set(d, i32.add(dx, i32.mul(item, inPlane * 4)));
        operands.forEach((_, i) => f.set(extra[i], i32.sub(at[first + i], dx)));
        const put = (to: Local, v: Local, lanes: number, offset: number) => {
          if (lanes > 0)
            storeNeighbors(f, caps, task.epilogue, v, {
              address: to,
              offset,
              lanes: Math.min(4, lanes),
              step: 1,
              operandAt: (i) => i32.add(to, extra[i]),
            });
        };
        inputs(f, g, w, phases, { grid, won: mean ? null : gridBytes, strides, d, put });
      });
    },
  };
}

/**
 * The offset of the tap of each maximum of four windows: the largest of the offsets for which `won`
 * was called, since offsets grow.
 */
function winner(f: Func, w: Windows, p: Local, lanes: number): Local {
  const where = f.local("v128", "where");
  emitArgMax(f, w, p, lanes, (mask, offset) =>
    f.set(
      where,
      mask ? i32x4.max(where, v128.and(mask, i32x4.const(offset))) : i32x4.const(offset),
    ),
  );
  return where;
}

interface Gathered {
  /**
   * Address of dy with windows around it, and bytes from there to the taps of the maxima, if these
   * are needed.
   */
  readonly grid: Local;
  readonly won: number | null;
  readonly strides: readonly number[];
  /** Address of the plane of dx, and the store of the first `lanes` of a vector. */
  readonly d: Local;
  put(to: Local, v: Local, lanes: number, offset: number): void;
}

/** Emits a plane of dx, by rows of inputs that have the same taps along the outer axes. */
function inputs(
  f: Func,
  g: PoolGeometry,
  w: Windows,
  phases: readonly Phase[],
  { grid, won, strides, d, put }: Gathered,
): void {
  const last = g.kernel.length - 1;
  const [step, width] = [g.stride[last], g.input[last]];
  const out = stridesOf(g.input);
  const rows = new Map<string, Phase[]>();
  for (const p of phases) {
    const key = p.origin.slice(0, last).join();
    rows.set(key, [...(rows.get(key) ?? []), p]);
  }
  const [from, into, q, e] = f.ints("from", "into", "q", "e");
  for (const columns of rows.values()) {
    const [{ grid: sizes, origin }] = columns;
    const axes = sizes
      .slice(0, last)
      .map((size, a) => ({ size, strides: [strides[a], g.stride[a] * out[a]] }));
    f.set(from, grid);
    f.set(
      into,
      i32.add(
        d,
        origin.slice(0, last).reduce((sum, o, a) => sum + o * out[a] * 4, 0),
      ),
    );
    const walkers = [from, into].map((at, stride) => ({ at, stride }));
    eachCell(f, axes, walkers, () => {
      f.set(q, from);
      f.set(e, into);
      const part = (count: number) => {
        const sums = sumsOf(f, w, q, columns.slice(0, count), strides, won);
        const [at, lane] = [
          (c: number) => sums[c % step] ?? sums[0],
          (c: number) => Math.floor(c / step),
        ];
        for (let c = 0; c < count; c += 4) {
          const pair = (c: number) =>
            f.let(
              "v128",
              "pair",
              v128.shuffle(at(c), at(c + 1), lane(c), 4 + lane(c + 1), lane(c), 4 + lane(c + 1)),
            );
          if (step === 1) put(e, sums[0], count, 0);
          else if (step === 2)
            put(
              e,
              f.let(
                "v128",
                "columns",
                v128.shuffle(at(c), at(c + 1), ...[0, 4, 1, 5].map((l) => l + c / 2)),
              ),
              count - c,
              c * 4,
            );
          else
            put(
              e,
              f.let("v128", "columns", v128.shuffle(pair(c), pair(c + 2), 0, 1, 4, 5)),
              count - c,
              c * 4,
            );
        }
      };
      f.repeat(Math.floor(width / (4 * step)), "vectors", () => {
        part(4 * step);
        f.bump(q, 16);
        f.bump(e, 16 * step);
      });
      if (width % (4 * step)) part(width % (4 * step));
    });
  }
}

/** The sums of four inputs of each phase; vectors that several of them read are loaded once. */
function sumsOf(
  f: Func,
  w: Windows,
  q: Local,
  phases: readonly Phase[],
  strides: readonly number[],
  won: number | null,
): Local[] {
  const loaded = new Map<number, { given: Local; where: Local | null }>();
  const load = (offset: number) => {
    const known = loaded.get(offset) ?? {
      given: f.let("v128", "given", v128.load(q, offset)),
      where: won === null ? null : f.let("v128", "where", v128.load(q, offset + won)),
    };
    loaded.set(offset, known);
    return known;
  };
  return phases.map(({ taps }) => {
    const sum = f.let("v128", "sum", 0);
    // Offsets of a window in the grid, and of the tap in the source as the windows read it.
    const pairs = taps.reduce<[number, number][]>(
      (all, t, a) =>
        all.flatMap(([offset, tap]) =>
          Array.from({ length: t.count }, (_, j): [number, number] => {
            const own = w.taps[a];
            const seen = own.first + (t.tapFirst + j * t.tapDelta - own.tapFirst) * own.delta;
            return [
              offset + (t.first + j * t.delta) * strides[a] * 4,
              tap + seen * w.strides[a] * 4,
            ];
          }),
        ),
      [[0, 0]],
    );
    for (const [offset, tap] of pairs) {
      const { given, where } = load(offset);
      f.set(
        sum,
        f32x4.add(sum, where ? v128.and(given, i32x4.eq(where, i32x4.const(tap))) : given),
      );
    }
    return sum;
  });
}
