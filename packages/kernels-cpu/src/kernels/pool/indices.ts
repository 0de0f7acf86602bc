// The index of the maximum of each window in its plane: the offset of the maximum, found as in max
// pooling, is looked up in a table with the index of every place of the (padded) source.

import type { Axis } from "@conv/compiler";
import { maxPoolIndicesOp, type PoolGeometry } from "@conv/ops";
import { exactly, sizeOf, stridesOf } from "@conv/tensor";
import { draft, inputAt, outputAt, type CpuKernel } from "../../compile/code.ts";
import { i32, i32x4, v128 } from "../../wasm/asm.ts";
import { paddedSource } from "../move/pad.ts";
import { locate, storeLanes, streamTime } from "../move/walk.ts";
import { eachOutput, emitWinner, outputAxes, PADDING, windowsOf, type Windows } from "./window.ts";

export const poolIndices: CpuKernel<PoolGeometry> = {
  name: "poolIndices",
  ops: [maxPoolIndicesOp],
  estimate: streamTime,
  build({ params }) {
    const g = params;
    const w = windowsOf(g, PADDING);
    const code = draft();
    const x = paddedSource(w.box, inputAt(0), code);
    const data = places(g, w);
    const table = code.room({ bytes: data.byteLength, data });
    // Strides of the source, of the table and of y.
    const planes: Axis = { size: w.planes, strides: [w.plane, 0, sizeOf(g.output)] };
    const axes = outputAxes(g, w).map(({ size, strides: [source, y] }) => ({
      size,
      strides: [source, source, y],
    }));
    code.stages.push({
      name: `maxPoolIndices${exactly([g, w.padded])}`,
      items: w.planes,
      reads: [x, table],
      writes: [outputAt(0)],
      emit(_, f, at, { lo, hi }) {
        const followers = at.map((base, stride) => ({
          at: f.local("i32", `at_${base.name}`),
          base,
          stride,
          by: stride < 2 ? w.step : 1,
        }));
        const item = f.local("i32", "item");
        const index = f.local("v128", "index");
        f.for(item, lo, hi, 1, () => {
          locate(f, item, [planes], followers);
          eachOutput(f, w.width, axes, followers, true, ([p, t, d], lanes) => {
            const where = emitWinner(f, w, p, lanes);
            for (let l = 0; l < lanes; l++) {
              const address = i32.add(t, i32x4.lane(where, l));
              f.set(
                index,
                l ? v128.loadLane(address, index, l, l * w.step * 4) : v128.loadZero32(address),
              );
            }
            storeLanes(f, d, index, lanes);
          });
        });
      },
    });
    return code;
  },
};

/**
 * The index in the input of every place of a plane of the (padded) source; undefined in the
 * padding.
 */
function places(g: PoolGeometry, w: Windows): Int32Array {
  const own = stridesOf(g.input);
  const { lo } = w.box;
  return Int32Array.from({ length: w.plane }, (_, at) =>
    w.strides.reduce(
      (sum, stride, a) => sum + ((Math.floor(at / stride) % w.sizes[a]) - lo[a]) * own[a],
      0,
    ),
  );
}
