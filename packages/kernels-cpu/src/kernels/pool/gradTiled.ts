// Gradients of pooling whose windows, two wide, tile the input (as in LeNet and VGG): four elements
// of dy give eight neighbors of dx in each row of the window. The elementwise ops that follow (the
// derivative of the activation before the pool) are applied before the neighbors are stored.

import { countOf } from "@conv/compiler";
import { avgPoolGradOp, maxPoolGradOp, type PoolGeometry } from "@conv/ops";
import { exactly, sizeOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel } from "../../compile/code.ts";
import { f32x4, i32x4, v128, type Code } from "../../wasm/asm.ts";
import { storeNeighbors } from "../direct/store.ts";
import { eachTap } from "../gemm/igemm.ts";
import { epilogueName } from "../gemm/tile.ts";
import { locate, streamTime } from "../move/walk.ts";
import { eachOutput, emitWinner, outputAxes, windowsOf } from "./window.ts";

const tiles = (g: PoolGeometry): boolean =>
  g.kernel.at(-1) === 2 &&
  sizeOf(g.kernel) <= 32 &&
  g.kernel.every(
    (k, a) =>
      k === g.stride[a] &&
      k * g.output[a] === g.input[a] &&
      (g.dilation[a] === 1 || k === 1) &&
      g.padLo[a] === 0,
  );

export const poolGradTiled: CpuKernel<PoolGeometry> = {
  name: "poolGradTiled",
  fuses: ["element"],
  ops: [maxPoolGradOp, avgPoolGradOp],
  unsupportedReason: ({ params }) =>
    tiles(params) ? null : "takes windows two wide that tile the input",
  // Half the traffic of a pass: its writes seldom compete with its reads. A tenth less than
  // poolGradGather, which first finds the windows that each element is in.
  estimate: (task, caps) => streamTime(task, caps) * 0.45,
  build({ op, params, epilogue }, caps) {
    const g = params;
    const max = op === maxPoolGradOp;
    const w = windowsOf(g);
    const own = max ? 2 : 1; // inputs of the op; those of the epilogue follow
    const extra = epilogue?.operands ?? [];
    const inPlane = sizeOf(g.input);
    const pieces = [
      { size: w.planes, strides: [inPlane, sizeOf(g.output)] },
      ...outputAxes(g, w)
        .slice(0, 1)
        .map(({ size, strides }) => ({ size, strides: [strides[0], strides[1]] })),
    ];
    const inner = outputAxes(g, w).slice(1);
    return {
      scratch: [],
      stages: [
        {
          name: `poolGradTiled${exactly([op.name, g, caps.relaxed])}${epilogueName(epilogue)}`,
          items: countOf(pieces),
          reads: Array.from({ length: own + extra.length }, (_, i) => inputAt(i)),
          writes: [outputAt(0)],
          emit(_, f, at, { lo, hi }) {
            // dy has the layout of y.
            const followers = at.map((base, i) => ({
              at: f.local("i32", `at_${base.name}`),
              base,
              ...(i === own - 1 ? { stride: 1, by: 1 } : { stride: 0, by: 2 }),
            }));
            const item = f.local("i32", "item");
            f.for(item, lo, hi, 1, () => {
              locate(f, item, pieces, followers);
              // If an operand may be at the addresses of dx, no element is computed twice.
              eachOutput(f, w.width, inner, followers, !epilogue, (along, lanes) => {
                const put = (v: Code, lanes: number, offset: number) => {
                  if (lanes > 0)
                    storeNeighbors(f, caps, epilogue, f.let("v128", "r", v), {
                      address: along.at(-1)!,
                      offset,
                      lanes,
                      step: 1,
                      operandAt: (i) => along[own + i],
                    });
                };
                const dy = along[own - 1];
                const where = max ? emitWinner(f, w, along[0], lanes) : null;
                const given = f.let(
                  "v128",
                  "given",
                  where ? v128.load(dy) : f32x4.mul(v128.load(dy), 1 / sizeOf(g.kernel)),
                );
                const tap = (offset: number) =>
                  where
                    ? f.let("v128", "tap", v128.and(given, i32x4.eq(where, i32x4.const(offset))))
                    : given;
                eachTap(f, w.taps, w.strides, [], (offsets) => {
                  for (let i = 0; i < offsets.length; i += 2) {
                    const [a, b] = [tap(offsets[i]), tap(offsets[i + 1])];
                    put(v128.shuffle(a, b, 0, 4, 1, 5), Math.min(4, 2 * lanes), offsets[i]);
                    put(v128.shuffle(a, b, 2, 6, 3, 7), 2 * lanes - 4, offsets[i] + 16);
                  }
                });
              });
            });
          },
        },
      ],
    };
  },
};
