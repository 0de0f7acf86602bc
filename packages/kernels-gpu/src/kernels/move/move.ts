// Transpose, broadcastTo, slice and concat: copies of boxes, told apart by strides and where the
// box begins; and pad.

import { boxesOf, paddedAxes } from "@conv/compiler";
import { broadcastToOp, concatOp, padOp, sliceOp, transposeOp, type PadParams } from "@conv/ops";
import { stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { inputAt, type GpuCode, type GpuStage, type Task } from "../../compile/code.ts";
import { coordinates, offsetOf } from "../../wgsl/wgsl.ts";
import { allOf, alone, eachElement, streamKernel } from "../elementwise/each.ts";
import { copyStage } from "./copy.ts";

/** The inputs that are moved; the epilogue's come after. */
const moved = ({ inputs, epilogue }: Task) =>
  inputs.slice(0, inputs.length - (epilogue?.operands.length ?? 0));

function pad(task: Task): GpuStage {
  const [x] = task.inputs;
  const axes = paddedAxes(x.shape, task.params as PadParams);
  const names = axes.map((_, a) => `c${a}`);
  const within = axes.flatMap(({ lo, hi, size }, a) => [
    ...(lo ? [`${names[a]} >= ${lo}u`] : []),
    ...(hi ? [`${names[a]} < ${lo + size}u`] : []),
  ]);
  const strides = stridesOf(axes.map(({ size }) => size));
  const base = axes.reduce((sum, { lo }, a) => sum + lo * strides[a], 0);
  const place = `${offsetOf(names, strides)}${base ? ` - ${base}u` : ""}`;
  const [type, zero] = task.outputs[0].dtype === "int32" ? ["i32", "0"] : ["f32", "0.0f"];
  const sizes = axes.map(({ lo, size, hi }) => lo + size + hi);
  return eachElement(task, {
    label: "pad",
    reads: [{ name: "x", place: inputAt(0) }],
    body: [
      coordinates("index", sizes, names),
      ...(within.length ? [`let within = ${allOf(within)};`] : []),
    ].join("\n"),
    result: within.length
      ? `select(${zero}, ${type}(x[select(0u, ${place}, within)]), within)`
      : `${type}(x[${place}])`,
  });
}

/**
 * Copies of boxes, called so. A concat is copied piece by piece: a kernel can bind but few buffers.
 */
const copies =
  (label: (i: number) => string) =>
  (task: Task, caps: Caps): GpuCode => {
    const stages = boxesOf(task, moved(task))!.map((box, i) =>
      copyStage(task, label(i), box, inputAt(i), caps),
    );
    return { scratch: [], stages: stages.filter((stage) => stage !== null) };
  };

export const move = streamKernel(
  "move",
  "moves elements",
  new Map<unknown, (task: Task, caps: Caps) => GpuCode>([
    [transposeOp, copies(() => "transpose")],
    [broadcastToOp, copies(() => "broadcast")],
    [sliceOp, copies(() => "slice")],
    [concatOp, copies((i) => `piece ${i} of a concat`)],
    [padOp, (task) => alone(pad(task))],
  ]),
);
