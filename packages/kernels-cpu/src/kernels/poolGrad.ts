// Gradients of pools: each dy goes to the input that won its window, or is shared out over its window. One piece of work is a plane.
//
//   windows side by side:  every input belongs to one window at most, so four dy become whole rows of dx by masks and shuffles
//   any others:            the winners of four windows are found at once, then each lane is added to dx on its own

import { avgPoolGradOp, maxPoolGradOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
import type { Axis } from "@conv/ops/plan";
import { exactly, stridesOf } from "@conv/tensor";
import { inputAt, outputAt, scratchAt, type CpuCode, type CpuKernel, type Place, type Scratch, type Stage } from "../code.ts";
import { f32, f32x4, i32, i32x4, v128, type Func, type Local, type Operand } from "../wasm/asm.ts";
import { eachTap } from "./igemm.ts";
import { copyBox, padBytes } from "./pad.ts";
import { average as mean, sharesOf } from "./pool.ts";
import { eachCell, keepLanes, locate, streamTime } from "./walk.ts";
import { eachVector, emitArgMax, outputAxes, paddedSource, PADDING, volume, windowsOf, type Windows } from "./window.ts";

export const poolGrad: CpuKernel = {
  name: "poolGrad",
  declines: ({ op }) => (op === maxPoolGradOp || op === avgPoolGradOp ? null : "does the gradient of pooling"),
  estimate: streamTime,
  build: ({ op, params }) => (op === maxPoolGradOp ? maximum(params as PoolGeometry) : average(params as AvgPoolGeometry)),
};

/** Whether no input is in two windows, nor any window outside. */
export const sideBySide = (g: PoolGeometry, w: Windows): boolean =>
  !w.padded && w.unrolled && g.kernel.every((k, a) => k <= g.stride[a] && (g.dilation[a] === 1 || k === 1));

function maximum(g: PoolGeometry): CpuCode {
  const w = windowsOf(g, PADDING);
  const scratch: Scratch[] = [];
  const stages: Stage[] = [];
  const x = paddedSource(w, inputAt(0), scratch, stages);
  const disjoint = sideBySide(g, w);
  stages.push(
    planes("maxPoolGrad", g, w, [x], [inputAt(1)], !disjoint && w.padded, disjoint, (f, { p: [p], dy: [dy], d, lanes }) => {
      const where = f.local("v128", "where");
      const start = f.let("i32", "start", p);
      emitArgMax(f, w, p, lanes, (mask, offset) => {
        const here = w.unrolled ? i32x4.const(offset) : i32x4.splat(i32.add(i32.sub(p, start), offset));
        f.set(where, mask ? v128.bitselect(here, where, mask) : here);
      });
      const given = f.let("v128", "given", v128.load(dy));
      if (disjoint) return spread(f, w, d, lanes, (offset) => v128.and(given, i32x4.eq(where, i32x4.const(offset))));
      const to = f.local("i32", "to");
      for (let lane = 0; lane < lanes; lane++) {
        f.set(to, i32.add(d, i32x4.lane(where, lane)));
        f.storeF32(to, f32.add(f32.load(to, lane * w.step * 4), f32x4.lane(given, lane)), lane * w.step * 4);
      }
    }),
  );
  return { scratch, stages };
}

function average(g: AvgPoolGeometry): CpuCode {
  const w = windowsOf(g);
  const shares = sharesOf(g);
  // At stride 1 it is a mean again, of dy.
  if (typeof shares === "number" && g.stride.every((s) => s === 1)) {
    const around = (pad: readonly number[]) => pad.map((p, a) => (g.kernel[a] - 1) * g.dilation[a] - p);
    return mean({ ...g, input: g.output, output: g.input, padLo: around(g.padLo), padHi: around(g.padHi), countIncludePad: true });
  }
  const scratch: Scratch[] = [];
  const tables: Place[] = typeof shares === "number" ? [] : [scratchAt(scratch.push({ bytes: shares.byteLength, data: shares }) - 1)];
  const disjoint = sideBySide(g, w);
  const vectors = w.step === 1;
  const stage = planes(
    "avgPoolGrad",
    g,
    w,
    [],
    [inputAt(0), ...tables],
    !disjoint && (w.padded || vectors),
    disjoint,
    (f, { dy: [dy, table], d, lanes }) => {
      const share = f.let("v128", "share", f32x4.mul(v128.load(dy), typeof shares === "number" ? shares : v128.load(table)));
      if (disjoint) return spread(f, w, d, lanes, () => share);
      if (vectors && lanes < 4) f.set(share, keepLanes(share, lanes, 0));
      eachTap(f, w.taps, w.strides, [d], (offsets) =>
        offsets.forEach((o) => {
          if (vectors) return f.store(d, f32x4.add(v128.load(d, o), share), o);
          for (let lane = 0; lane < lanes; lane++)
            f.storeF32(d, f32.add(f32.load(d, o + lane * w.step * 4), f32x4.lane(share, lane)), o + lane * w.step * 4);
        }),
      );
    },
  );
  return { scratch, stages: [stage] };
}

/** Stores the values that the taps of four windows side by side have: `value` of each tap's offset. */
function spread(f: Func, w: Windows, d: Local, lanes: number, value: (offset: number) => Operand): void {
  const across = w.taps.at(-1)!.count;
  eachTap(f, w.taps, w.strides, [], (offsets) => {
    for (let i = 0; i < offsets.length; i += across) {
      const [at] = offsets.slice(i);
      const row = offsets.slice(i, i + across).map((o, k) => f.let("v128", `tap${k}`, value(o)));
      if (across === 1 && w.step === 1 && lanes === 4) f.store(d, row[0], at);
      else if (across === 2 && w.step === 2 && lanes === 4) {
        f.store(d, v128.shuffle(row[0], row[1], 0, 4, 1, 5), at);
        f.store(d, v128.shuffle(row[0], row[1], 2, 6, 3, 7), at + 16);
      } else for (let lane = 0; lane < lanes; lane++) row.forEach((v, k) => f.storeLane(d, v, lane, at + (lane * w.step + k) * 4));
    }
  });
}

interface Here {
  /** Addresses in the padded sources, and in what is like y, at the first of the outputs. */
  readonly p: readonly Local[];
  readonly dy: readonly Local[];
  /** Address of the first output's window in dx, laid out as the sources are. */
  readonly d: Local;
  readonly lanes: number;
}

/**
 * A stage over planes: dx is cleared where windows leave gaps or overlap, then `body` puts in what four neighbouring outputs give.
 * `apart`: dx is made in the thread's own memory, laid out as the padded source, and its inside copied. `again`: outputs may be done twice.
 */
function planes(
  name: string,
  g: PoolGeometry,
  w: Windows,
  sources: readonly Place[],
  likeY: readonly Place[],
  apart: boolean,
  again: boolean,
  body: (f: Func, here: Here) => void,
): Stage {
  const covered = again && w.taps.every(({ count }, a) => count === g.stride[a] && count * g.output[a] === g.input[a]);
  const inputPlane = volume(g.input);
  // Strides of the padded source, of y, of y within its plane, of dx.
  const plane: Axis = { size: w.planes, strides: [w.plane, volume(g.output), 0, inputPlane] };
  const sizes = apart ? w.sizes : g.input;
  const d4 = stridesOf(sizes);
  const axes = outputAxes(g, w).map((axis, a) => ({ ...axis, strides: [...axis.strides, g.stride[a] * d4[a]] }));
  const own = padBytes({ ...w.box, padded: w.sizes, planes: 1 });
  return {
    name: `${name}${exactly([g, apart])}`,
    items: w.planes,
    reads: [...sources, ...likeY],
    writes: [outputAt(0)],
    perThread: apart ? Math.ceil(own / 64) * 64 : undefined,
    emit(_, f, at, { lo, hi, own: room }) {
      const [dx, d] = f.ints("dx", "d");
      const walkers = at.slice(0, -1).map((base, i) => ({
        at: f.local("i32", `at_${base.name}`),
        base,
        stride: i < sources.length ? 0 : likeY[i - sources.length].of === "in" ? 1 : 2,
      }));
      const along = [...walkers, { at: d }].map((_, i) => f.local("i32", `along${i}`));
      const item = f.local("i32", "item");
      f.for(item, lo, hi, 1, () => {
        locate(f, item, [plane], [...walkers, { at: dx, base: at.at(-1)!, stride: 3 }]);
        f.set(d, apart ? room : dx);
        if (!covered) f.fill(d, 0, apart ? own : inputPlane * 4);
        const all = [...walkers, { at: d, stride: 3 }];
        eachCell(f, axes, all, () => {
          all.forEach((walker, i) => f.set(along[i], walker.at));
          const p = along.slice(0, sources.length);
          const dy = along.slice(sources.length, -1);
          const into = along.at(-1)!;
          eachVector(f, w, { source: [...p, into], target: dy }, again, (lanes) => body(f, { p, dy, d: into, lanes }));
        });
        if (!apart) return;
        f.bump(
          d,
          w.box.lo.reduce((sum, l, a) => sum + l * d4[a] * 4, 0),
        );
        copyInside(f, g, w, d, dx);
      });
    },
  };
}

/** Copies the inside of the padded plane to dx; what no window reaches is 0. */
function copyInside(f: Func, g: PoolGeometry, w: Windows, from: Local, into: Local): void {
  const reached = g.input.map((size, a) => Math.min(size, w.box.padded[a] - w.box.lo[a]));
  if (reached.some((size, a) => size < g.input[a])) f.fill(into, 0, volume(g.input) * 4);
  if (reached.some((size) => size <= 0)) return;
  copyBox(
    f,
    from,
    into,
    reached,
    w.strides.map((s) => s * 4),
    stridesOf(g.input).map((s) => s * 4),
  );
}
