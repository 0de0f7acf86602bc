// Max and average pooling: four outputs of a row at a time, a load for each tap.
//   y[o] = max or Σ over taps of x[o·stride + tap]
// Where windows reach outside the source, it is read from a padded copy.

import { countOf } from "@conv/compiler";
import {
  avgPoolOp,
  maxPoolOp,
  maxPoolPickOp,
  type AvgPoolGeometry,
  type PoolGeometry,
} from "@conv/ops";
import { exactly, isOp, sizeOf, stridesOf } from "@conv/tensor";
import {
  draft,
  inputAt,
  outputAt,
  type CpuCode,
  type CpuKernel,
  type Place,
  type Stage,
} from "../../compile/code.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { scaledSum } from "../elementwise/reduce.ts";
import { eachTap } from "../gemm/igemm.ts";
import { copyInside, fillRange, loadStepped, padBytes, paddedSource } from "../move/pad.ts";
import { counted, locate, storeLanes, streamTime } from "../move/walk.ts";
import {
  eachOutput,
  emitArgMax,
  emitMax,
  LEAST,
  outputAxes,
  PADDING,
  tapsOf,
  windowsOf,
  type Windows,
} from "./window.ts";

export const pool: CpuKernel<PoolGeometry> = {
  name: "pool",
  ops: [maxPoolOp, maxPoolPickOp, avgPoolOp],
  estimate: streamTime,
  build(task) {
    if (isOp(task, avgPoolOp)) return average(task.params);
    return (task.op === maxPoolOp ? maximum : pick)(task.params);
  },
};

function maximum(g: PoolGeometry): CpuCode {
  const w = windowsOf(g, LEAST);
  const code = draft();
  const x = isNear(w) ? inputAt(0) : paddedSource(w.box, inputAt(0), code);
  code.stages.push(
    rows("maxPool", g, w, [x], [], (f, [p], lanes) => emitMax(f, w, p, lanes), isNear(w)),
  );
  return code;
}

/** y[o] = v at the place of the maximum of x. */
function pick(g: PoolGeometry): CpuCode {
  const w = windowsOf(g, PADDING);
  const code = draft();
  const x = paddedSource(w.box, inputAt(0), code);
  const v = paddedSource(w.box, inputAt(1), code);
  code.stages.push(
    rows("maxPoolPick", g, w, [x, v], [], (f, [p, q], lanes) => {
      const picked = f.local("v128", "picked");
      // v has the same distance from x for all of the plane.
      const apart = f.let("i32", "apart", i32.sub(q, p));
      const at = f.local("i32", "at");
      emitArgMax(f, w, p, lanes, (mask, offset) => {
        f.set(at, i32.add(p, apart));
        const value = loadStepped(f, at, offset, w.step, "v", lanes);
        f.set(picked, mask ? v128.bitselect(value, picked, mask) : value);
      });
      return picked;
    }),
  );
  return code;
}

export function average(g: AvgPoolGeometry): CpuCode {
  if (
    g.kernel.every(
      (k, a) => k === g.input[a] && g.output[a] === 1 && !g.padLo[a] && g.dilation[a] === 1,
    )
  )
    return scaledSum([g.n * g.c, sizeOf(g.input)], [1], 1 / sizeOf(g.kernel));
  const w = windowsOf(g);
  const code = draft();
  const x = isNear(w) ? inputAt(0) : paddedSource(w.box, inputAt(0), code);
  const shares = sharesOf(g);
  const tables: Place[] =
    typeof shares === "number" ? [] : [code.room({ bytes: shares.byteLength, data: shares })];
  const mean = (f: Func, [p, table]: readonly Local[], lanes: number) => {
    const sum = f.let("v128", "sum", 0);
    const totals = w.unrolled ? null : counted(f, [sum]);
    eachTap(f, w.taps, w.strides, [p], (offsets) => {
      const load = tapsOf(f, w, p, lanes, offsets);
      for (const o of offsets) f.set(sum, f32x4.add(sum, load(o)));
      totals?.add(offsets.length);
    });
    totals?.finish();
    f.set(sum, f32x4.mul(sum, typeof shares === "number" ? shares : v128.load(table)));
    return sum;
  };
  code.stages.push(rows("avgPool", g, w, [x], tables, mean, isNear(w)));
  return code;
}

/**
 * The weight of each input of a window in the mean: one number, or one for each output of a plane.
 */
export function sharesOf(g: AvgPoolGeometry): number | Float32Array {
  if (g.countIncludePad || [...g.padLo, ...g.padHi].every((p) => p === 0))
    return 1 / sizeOf(g.kernel);
  const strides = stridesOf(g.output);
  const seen = g.output.map((outputs, a) =>
    Array.from(
      { length: outputs },
      (_, o) =>
        Array.from(
          { length: g.kernel[a] },
          (_, k) => o * g.stride[a] - g.padLo[a] + k * g.dilation[a],
        ).filter((i) => i >= 0 && i < g.input[a]).length,
    ),
  );
  // The last vector of a row may reach past the plane.
  return Float32Array.from(
    { length: sizeOf(g.output) + 3 },
    (_, i) =>
      1 / seen.reduce((count, own, a) => count * own[Math.floor(i / strides[a]) % g.output[a]], 1),
  );
}

/** The most bytes of a padded plane that stays in the second-level cache until it is read. */
const NEAR = 256 * 1024;
/**
 * Whether each plane is padded just before it is read, in the memory of the thread; larger planes
 * are padded by an additional stage.
 */
const isNear = (w: Windows): boolean => w.padded && padBytes({ ...w.box, planes: 1 }) <= NEAR;

/**
 * A stage over rows of outputs: `body` gets pointers to the sources and the tables, and returns the
 * values of four neighboring outputs. `tables` have a value for each output of a plane. If `near`,
 * this stage pads the source.
 */
function rows(
  name: string,
  g: PoolGeometry,
  w: Windows,
  sources: readonly Place[],
  tables: readonly Place[],
  body: (f: Func, along: readonly Local[], lanes: number) => Local,
  near = false,
): Stage {
  const planes = { size: w.planes, strides: [near ? 0 : w.plane, sizeOf(g.output), 0] };
  const axes = outputAxes(g, w);
  const shared = near ? 0 : 1; // axes that are divided into pieces of work
  const [pieces, inner] = [[planes, ...axes.slice(0, shared)], axes.slice(shared)];
  const bytes = near ? padBytes({ ...w.box, planes: 1 }) : 0;
  return {
    name: `${name}${exactly([g, w.padded])}`,
    items: countOf(pieces),
    reads: [...sources, ...tables],
    writes: [outputAt(0)],
    threadScratch: near ? Math.ceil(bytes / 64) * 64 : undefined,
    emit(_, f, at, { lo, hi, threadScratch }) {
      const followers = at.map((base, i) => ({
        at: f.local("i32", `at_${base.name}`),
        base: near && !i ? threadScratch : base,
        ...(i < sources.length
          ? { stride: 0, by: w.step }
          : { stride: i < at.length - 1 ? 2 : 1, by: 1 }),
      }));
      const item = f.local("i32", "item");
      if (near) fillRange(f, threadScratch, bytes, w.box.fill ?? 0);
      f.for(item, lo, hi, 1, () => {
        if (near)
          copyInside(
            f,
            w.box,
            f.let("i32", "plane", i32.add(at[0], i32.mul(item, sizeOf(g.input) * 4))),
            threadScratch,
          );
        locate(f, item, pieces, followers);
        eachOutput(f, w.width, inner, followers, true, (along, lanes) =>
          storeLanes(f, along.at(-1)!, body(f, along, lanes), lanes),
        );
      });
    },
  };
}
