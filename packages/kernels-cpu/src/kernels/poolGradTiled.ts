// Gradients of pools whose windows, two wide, tile their input (LeNet's, VGG's): four dy become eight neighbours of dx in each row of
// the window, and elementwise work that follows (the derivative of the activation before the pool) is done before they are stored.

import { avgPoolGradOp, maxPoolGradOp, type PoolGeometry } from "@conv/ops";
import { exactly } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Task } from "../code.ts";
import { f32x4, i32x4, v128, type Code, type Func, type Local, type Operand } from "../wasm/asm.ts";
import { emitExpr } from "../wasm/math.ts";
import { epilogueName } from "../wasm/tile.ts";
import { eachTap } from "./igemm.ts";
import { eachCell, locate, storeLanes, streamTime } from "./walk.ts";
import { eachVector, emitArgMax, outputAxes, volume, windowsOf } from "./window.ts";

const tiles = (g: PoolGeometry): boolean =>
  g.kernel.at(-1) === 2 &&
  volume(g.kernel) <= 32 &&
  g.kernel.every((k, a) => k === g.stride[a] && k * g.output[a] === g.input[a] && (g.dilation[a] === 1 || k === 1) && g.padLo[a] === 0);

export const poolGradTiled: CpuKernel = {
  name: "poolGradTiled",
  fuses: ["element"],
  declines: ({ op, params }: Task) =>
    op !== maxPoolGradOp && op !== avgPoolGradOp
      ? "does the gradient of pooling"
      : tiles(params as PoolGeometry)
        ? null
        : "wants windows two wide that tile the input",
  // Half the traffic of a pass: what it writes is seldom in the way of what it reads.
  estimate: (task, caps) => streamTime(task, caps) / 2,
  build({ op, params, epilogue }, caps) {
    const g = params as PoolGeometry;
    const max = op === maxPoolGradOp;
    const w = windowsOf(g);
    const own = max ? 2 : 1; // inputs of the op; those of the epilogue follow
    const extra = epilogue?.operands ?? [];
    const inPlane = volume(g.input);
    const pieces = [
      { size: w.planes, strides: [inPlane, volume(g.output)] },
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
          items: volume(pieces.map((a) => a.size)),
          reads: Array.from({ length: own + extra.length }, (_, i) => inputAt(i)),
          writes: [outputAt(0)],
          emit(_, f, at, { lo, hi }) {
            // dy alone is laid out as y.
            const walkers = at.map((base, i) => ({ at: f.local("i32", `at_${base.name}`), base, stride: i === own - 1 ? 1 : 0 }));
            const along = at.map((base) => f.local("i32", `along_${base.name}`));
            const [dy, d] = [along[own - 1], along.at(-1)!];
            const operands = along.slice(own, -1);
            const put = (v: Code, lanes: number, offset: number) => {
              if (lanes <= 0) return;
              const r = f.let("v128", "r", v);
              if (!epilogue) return storeLanes(f, d, r, lanes, offset);
              const values: Record<string, Operand> = { r };
              extra.forEach(({ name }, i) => (values[name] = f.let("v128", name, v128.load(operands[i], offset))));
              storeLanes(f, d, f.let("v128", "value", emitExpr(f, caps, epilogue.f, values)), lanes, offset);
            };
            const item = f.local("i32", "item");
            f.for(item, lo, hi, 1, () => {
              locate(f, item, pieces, walkers);
              eachCell(f, inner, walkers, () => {
                walkers.forEach((walker, i) => f.set(along[i], walker.at));
                const source = along.filter((p) => p !== dy);
                // Where an operand may lie in the place of dx, nothing is done twice.
                eachVector(f, w, { source, target: [dy] }, !epilogue, (lanes) => {
                  const tap = max ? winners(f, g, along[0], dy, lanes) : shares(f, g, dy);
                  eachTap(f, w.taps, w.strides, [], (offsets) => {
                    for (let i = 0; i < offsets.length; i += 2) {
                      const [a, b] = [tap(offsets[i]), tap(offsets[i + 1])];
                      put(v128.shuffle(a, b, 0, 4, 1, 5), Math.min(4, 2 * lanes), offsets[i]);
                      put(v128.shuffle(a, b, 2, 6, 3, 7), 2 * lanes - 4, offsets[i] + 16);
                    }
                  });
                });
              });
            });
          },
        },
      ],
    };
  },
};

/** dy where the tap at that offset has won, else 0. */
function winners(f: Func, g: PoolGeometry, p: Local, dy: Local, lanes: number): (offset: number) => Local {
  const where = f.local("v128", "where");
  emitArgMax(f, windowsOf(g), p, lanes, (mask, offset) =>
    f.set(where, mask ? v128.bitselect(i32x4.const(offset), where, mask) : i32x4.const(offset)),
  );
  const given = f.let("v128", "given", v128.load(dy));
  return (offset) => f.let("v128", "tap", v128.and(given, i32x4.eq(where, i32x4.const(offset))));
}

function shares(f: Func, g: PoolGeometry, dy: Local): () => Local {
  const share = f.let("v128", "share", f32x4.mul(v128.load(dy), 1 / volume(g.kernel)));
  return () => share;
}
