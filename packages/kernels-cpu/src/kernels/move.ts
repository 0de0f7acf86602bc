// Transpose, broadcastTo, slice, concat and pad: copies of boxes, told apart by strides and where the box begins.

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
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../code.ts";
import { copyStage } from "./copy.ts";
import { padStage } from "./pad.ts";
import { streamTime } from "./walk.ts";

type Moves = Readonly<Record<string, (task: Task, inputs: readonly Spec[], y: Spec) => Stage[]>>;

const moves: Moves = {
  [transposeOp.name]: ({ params }, [x], y) => {
    const strides = stridesOf(x.shape);
    return [
      copyStage(
        { shape: y.shape, from: { strides: (params as TransposeParams).order.map((a) => strides[a]) }, into: { strides: stridesOf(y.shape) } },
        inputAt(0),
        outputAt(0),
      ),
    ];
  },
  [broadcastToOp.name]: (_, [x], y) => [
    copyStage(
      { shape: y.shape, from: { strides: broadcastStrides(x.shape, y.shape) }, into: { strides: stridesOf(y.shape) } },
      inputAt(0),
      outputAt(0),
    ),
  ],
  [sliceOp.name]({ params }, [x], y) {
    const strides = stridesOf(x.shape);
    const base = (params as SliceParams).start.reduce((sum, s, a) => sum + s * strides[a], 0);
    return [copyStage({ shape: y.shape, from: { strides, base }, into: { strides: stridesOf(y.shape) } }, inputAt(0), outputAt(0))];
  },
  [concatOp.name]({ params }, inputs, y) {
    const { axis } = params as ConcatParams;
    const strides = stridesOf(y.shape);
    let base = 0;
    return inputs.map((x, i) => {
      const stage = copyStage({ shape: x.shape, from: { strides: stridesOf(x.shape) }, into: { strides, base } }, inputAt(i), outputAt(0), i > 0);
      base += x.shape[axis] * strides[axis];
      return stage;
    });
  },
  [padOp.name]({ params }, [x]) {
    const [planes, ...axes] = padded(x.shape, params as PadParams);
    const box = { source: axes.map((a) => a.size), lo: axes.map((a) => a.lo), padded: axes.map((a) => a.lo + a.size + a.hi) };
    const strides = stridesOf(x.shape);
    if (axes.length === 0) return [copyStage({ shape: x.shape, from: { strides }, into: { strides } }, inputAt(0), outputAt(0))];
    return [padStage({ ...box, planes: planes.size }, inputAt(0), outputAt(0))];
  },
};

/** The axes with their padding; an axis without becomes part of the one before it. The first has none. */
function padded(shape: readonly number[], { lo, hi }: PadParams): { size: number; lo: number; hi: number }[] {
  const axes = [{ size: 1, lo: 0, hi: 0 }];
  shape.forEach((size, a) => {
    if (lo[a] || hi[a]) return axes.push({ size, lo: lo[a], hi: hi[a] });
    const last = axes.at(-1)!;
    axes[axes.length - 1] = { size: last.size * size, lo: last.lo * size, hi: last.hi * size };
  });
  return axes;
}

export const move: CpuKernel = {
  name: "move",
  declines: (task) => (task.op.name in moves ? null : "moves elements"),
  estimate: streamTime,
  build: (task) => ({ scratch: [], stages: moves[task.op.name](task, task.inputs, task.outputs[0]) }),
};
