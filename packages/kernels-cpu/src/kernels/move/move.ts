// Transpose, broadcastTo, slice, concat and pad: copies of boxes that differ in strides and in
// where the box begins.

import { boxesOf, paddedAxes } from "@conv/compiler";
import { broadcastToOp, concatOp, padOp, sliceOp, transposeOp, type PadParams } from "@conv/ops";
import { isOp, stridesOf } from "@conv/tensor";
import { inputAt, outputAt, type CpuKernel, type Stage, type Task } from "../../compile/code.ts";
import { copyStage } from "./copy.ts";
import { padStage } from "./pad.ts";
import { streamTime } from "./walk.ts";

function padded({ params, inputs: [x] }: Task<PadParams>): Stage {
  const [planes, ...axes] = paddedAxes(x.shape, params);
  const strides = stridesOf(x.shape);
  if (axes.length === 0)
    return copyStage(
      { shape: x.shape, from: { strides }, into: { strides } },
      inputAt(0),
      outputAt(0),
    );
  const box = {
    source: axes.map((a) => a.size),
    lo: axes.map((a) => a.lo),
    padded: axes.map((a) => a.lo + a.size + a.hi),
  };
  return padStage({ ...box, planes: planes.size }, inputAt(0), outputAt(0));
}

export const move: CpuKernel = {
  name: "move",
  ops: [transposeOp, broadcastToOp, sliceOp, concatOp, padOp],
  estimate: streamTime,
  build: (task) => ({
    scratch: [],
    stages: isOp(task, padOp)
      ? [padded(task)]
      : boxesOf(task, task.inputs)!.map((box, i) => copyStage(box, inputAt(i), outputAt(0), i > 0)),
  }),
};
