// Gradients of pooling with any windows: the maxima of four windows are found at once, then each
// lane is added to dx; means are divided among the inputs. Each piece of work is a plane.

import type { Axis } from "@conv/compiler";
import { avgPoolGradOp, maxPoolGradOp, type AvgPoolGeometry, type PoolGeometry } from "@conv/ops";
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
import { f32, f32x4, i32, i32x4, v128, type Local } from "../../wasm/asm.ts";
import type { Func } from "../../wasm/module.ts";
import { eachTap } from "../gemm/igemm.ts";
import { copyBox, padBytes, paddedSource } from "../move/pad.ts";
import { keepLanes, locate, streamTime } from "../move/walk.ts";
import { average as mean, sharesOf } from "./pool.ts";
import { eachOutput, emitWinner, outputAxes, PADDING, windowsOf, type Windows } from "./window.ts";

export const poolGrad: CpuKernel<PoolGeometry> = {
  name: "poolGrad",
  ops: [maxPoolGradOp, avgPoolGradOp],
  estimate: streamTime,
  build: (task) => (isOp(task, avgPoolGradOp) ? average(task.params) : maximum(task.params)),
};

function maximum(g: PoolGeometry): CpuCode {
  const w = windowsOf(g, PADDING);
  const code = draft();
  const x = paddedSource(w.box, inputAt(0), code);
  code.stages.push(
    planes("maxPoolGrad", g, w, [x], [inputAt(1)], w.padded, (f, [p, dy, d], lanes) => {
      const where = emitWinner(f, w, p, lanes);
      const given = f.let("v128", "given", v128.load(dy));
      const to = f.local("i32", "to");
      for (let lane = 0; lane < lanes; lane++) {
        f.set(to, i32.add(d, i32x4.lane(where, lane)));
        f.storeF32(
          to,
          f32.add(f32.load(to, lane * w.step * 4), f32x4.lane(given, lane)),
          lane * w.step * 4,
        );
      }
    }),
  );
  return code;
}

function average(g: AvgPoolGeometry): CpuCode {
  const w = windowsOf(g);
  const shares = sharesOf(g);
  // With stride 1 the gradient is a mean of dy.
  if (typeof shares === "number" && g.stride.every((s) => s === 1)) {
    const around = (pad: readonly number[]) =>
      pad.map((p, a) => (g.kernel[a] - 1) * g.dilation[a] - p);
    return mean({
      ...g,
      input: g.output,
      output: g.input,
      padLo: around(g.padLo),
      padHi: around(g.padHi),
      countIncludePad: true,
    });
  }
  const code = draft();
  const tables: Place[] =
    typeof shares === "number" ? [] : [code.room({ bytes: shares.byteLength, data: shares })];
  const vectors = w.step === 1;
  const stage = planes(
    "avgPoolGrad",
    g,
    w,
    [],
    [inputAt(0), ...tables],
    w.padded || vectors,
    (f, [dy, ...rest], lanes) => {
      const d = rest.at(-1)!;
      const share = f.let(
        "v128",
        "share",
        f32x4.mul(v128.load(dy), typeof shares === "number" ? shares : v128.load(rest[0])),
      );
      if (vectors && lanes < 4) f.set(share, keepLanes(share, lanes, 0));
      eachTap(f, w.taps, w.strides, [d], (offsets) =>
        offsets.forEach((o) => {
          if (vectors) return f.store(d, f32x4.add(v128.load(d, o), share), o);
          for (let lane = 0; lane < lanes; lane++)
            f.storeF32(
              d,
              f32.add(f32.load(d, o + lane * w.step * 4), f32x4.lane(share, lane)),
              o + lane * w.step * 4,
            );
        }),
      );
    },
  );
  code.stages.push(stage);
  return code;
}

/**
 * A stage over planes: dx is cleared, then `body` adds the contributions of four neighboring
 * outputs. It gets pointers to the padded sources, to tensors with the layout of y, and to the
 * window of the first output in dx, which has the layout of the sources. If `apart`, dx is computed
 * in the memory of the thread, with the layout of the padded source, and its inside is copied.
 */
function planes(
  name: string,
  g: PoolGeometry,
  w: Windows,
  sources: readonly Place[],
  likeY: readonly Place[],
  apart: boolean,
  body: (f: Func, along: readonly Local[], lanes: number) => void,
): Stage {
  const inputPlane = sizeOf(g.input);
  // Strides of the padded source, of y, of y within its plane, of dx.
  const plane: Axis = { size: w.planes, strides: [w.plane, sizeOf(g.output), 0, inputPlane] };
  const d4 = stridesOf(apart ? w.sizes : g.input);
  const axes = outputAxes(g, w).map((axis, a) => ({
    ...axis,
    strides: [...axis.strides, g.stride[a] * d4[a]],
  }));
  const own = padBytes({ ...w.box, padded: w.sizes, planes: 1 });
  return {
    name: `${name}${exactly([g, apart])}`,
    items: w.planes,
    reads: [...sources, ...likeY],
    writes: [outputAt(0)],
    threadScratch: apart ? Math.ceil(own / 64) * 64 : undefined,
    emit(_, f, at, { lo, hi, threadScratch: room }) {
      const [item, dx, d] = f.ints("item", "dx", "d");
      const followers = at.slice(0, -1).map((base, i) => ({
        at: f.local("i32", `at_${base.name}`),
        base,
        ...(i < sources.length
          ? { stride: 0, by: w.step }
          : { stride: likeY[i - sources.length].of === "in" ? 1 : 2, by: 1 }),
      }));
      f.for(item, lo, hi, 1, () => {
        locate(f, item, [plane], [...followers, { at: dx, base: at.at(-1)!, stride: 3 }]);
        f.set(d, apart ? room : dx);
        f.fill(d, 0, apart ? own : inputPlane * 4);
        eachOutput(
          f,
          w.width,
          axes,
          [...followers, { at: d, stride: 3, by: w.step }],
          false,
          (along, lanes) => body(f, along, lanes),
        );
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

/** Copies the inside of the padded plane to dx; elements in no window are 0. */
function copyInside(f: Func, g: PoolGeometry, w: Windows, from: Local, into: Local): void {
  const reached = g.input.map((size, a) => Math.min(size, w.box.padded[a] - w.box.lo[a]));
  if (reached.some((size, a) => size < g.input[a])) f.fill(into, 0, sizeOf(g.input) * 4);
  if (reached.some((size) => size <= 0)) return;
  copyBox(f, from, into, reached, w.strides, stridesOf(g.input));
}
