// Transpose, broadcastTo, slice and concat: copies of boxes, told apart by strides and where the box begins; and pad.

import {
  broadcastStrides,
  broadcastToOp,
  concatOp,
  padOp,
  sliceOp,
  transposeOp,
  type ConcatParams,
  type PadParams,
  type SliceParams,
  type TransposeParams,
} from "@conv/ops";
import { stridesOf, type Spec } from "@conv/tensor";
import type { Caps } from "../caps.ts";
import { inputAt, type GpuKernel, type GpuStage, type Task } from "../code.ts";
import { coordinates, offsetOf } from "../wgsl.ts";
import { copyStage } from "./copy.ts";
import { allOf, eachElement, streamTime } from "./each.ts";

type Moves = Readonly<Record<string, (task: Task, x: Spec, y: Spec, caps: Caps) => (GpuStage | null)[]>>;

const moves: Moves = {
  [transposeOp.name](task, x, y, caps) {
    const strides = stridesOf(x.shape);
    const from = { strides: (task.params as TransposeParams).order.map((a) => strides[a]) };
    return [copyStage(task, "transpose", { shape: y.shape, from, into: { strides: stridesOf(y.shape) } }, inputAt(0), caps)];
  },
  [broadcastToOp.name](task, x, y, caps) {
    const box = { shape: y.shape, from: { strides: broadcastStrides(x.shape, y.shape) }, into: { strides: stridesOf(y.shape) } };
    return [copyStage(task, "broadcast", box, inputAt(0), caps)];
  },
  [sliceOp.name](task, x, y, caps) {
    const strides = stridesOf(x.shape);
    const base = (task.params as SliceParams).start.reduce((sum, s, a) => sum + s * strides[a], 0);
    return [copyStage(task, "slice", { shape: y.shape, from: { strides, base }, into: { strides: stridesOf(y.shape) } }, inputAt(0), caps)];
  },
  // Piece by piece: a kernel can bind but few buffers.
  [concatOp.name](task, _, y, caps) {
    const { axis } = task.params as ConcatParams;
    const strides = stridesOf(y.shape);
    const pieces = task.inputs.slice(0, task.inputs.length - (task.epilogue?.operands.length ?? 0));
    let base = 0;
    return pieces.map(({ shape }, i) => {
      const stage = copyStage(
        task,
        `piece ${i} of a concat`,
        { shape, from: { strides: stridesOf(shape) }, into: { strides, base } },
        inputAt(i),
        caps,
      );
      base += shape[axis] * strides[axis];
      return stage;
    });
  },
  [padOp.name](task, x, y) {
    const axes = padded(x.shape, task.params as PadParams);
    const names = axes.map((_, a) => `c${a}`);
    const within = axes.flatMap(({ lo, hi, size }, a) => [...(lo ? [`${names[a]} >= ${lo}u`] : []), ...(hi ? [`${names[a]} < ${lo + size}u`] : [])]);
    const strides = stridesOf(axes.map(({ size }) => size));
    const base = axes.reduce((sum, { lo }, a) => sum + lo * strides[a], 0);
    const place = `${offsetOf(names, strides)}${base ? ` - ${base}u` : ""}`;
    const [type, zero] = y.dtype === "int32" ? ["i32", "0"] : ["f32", "0.0f"];
    return [
      eachElement(task, {
        label: "pad",
        reads: [{ name: "x", place: inputAt(0) }],
        body: [
          coordinates(
            "index",
            axes.map(({ lo, size, hi }) => lo + size + hi),
            names,
          ),
          ...(within.length ? [`let within = ${allOf(within)};`] : []),
        ].join("\n"),
        result: within.length ? `select(${zero}, ${type}(x[select(0u, ${place}, within)]), within)` : `${type}(x[${place}])`,
      }),
    ];
  },
};

/** The axes with their padding; an axis without becomes part of the one before it. */
function padded(shape: readonly number[], { lo, hi }: PadParams): { size: number; lo: number; hi: number }[] {
  const axes = [{ size: 1, lo: 0, hi: 0 }];
  shape.forEach((size, a) => {
    const last = axes.at(-1)!;
    if (lo[a] || hi[a]) axes.push({ size, lo: lo[a], hi: hi[a] });
    else axes[axes.length - 1] = { size: last.size * size, lo: last.lo * size, hi: last.hi * size };
  });
  return axes;
}

export const move: GpuKernel = {
  name: "move",
  fuses: ["channel", "column", "element"],
  declines: (task) => (task.op.name in moves ? null : "moves elements"),
  estimate: streamTime,
  build: (task, caps) => ({ scratch: [], stages: moves[task.op.name](task, task.inputs[0], task.outputs[0], caps).filter((s) => s !== null) }),
};
