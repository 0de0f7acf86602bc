// Transpose, broadcastTo, slice, concat and pad. All but pad are copies of boxes, which differ in
// strides and in where the box begins.

import { boxesOf, paddedAxes } from "@conv/compiler";
import { broadcastToOp, concatOp, padOp, sliceOp, transposeOp, type PadParams } from "@conv/ops";
import { stridesOf } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import {
  inputAt,
  type GpuCode,
  type GpuKernel,
  type GpuStage,
  type Task,
} from "../../compile/code.ts";
import { coordinates, offsetOf } from "../../wgsl/wgsl.ts";
import { allOf, alone, codeFor, eachElement, streamKernel } from "../elementwise/each.ts";
import { copyStage } from "./copy.ts";

/** The inputs that are moved; operands of the epilogue follow. */
const moved = ({ inputs, epilogue }: Task) =>
  inputs.slice(0, inputs.length - (epilogue?.operands.length ?? 0));

function pad(task: Task<PadParams>): GpuStage {
  const [x] = task.inputs;
  const axes = paddedAxes(x.shape, task.params);
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
 * Copies of boxes, with a label for each. A concat is copied input by input: a kernel can bind only
 * a few buffers.
 */
const copies =
  (label: (i: number) => string) =>
  (task: Task, caps: Caps): GpuCode => {
    const stages = boxesOf(task, moved(task))!.map((box, i) =>
      copyStage(task, label(i), box, inputAt(i), caps),
    );
    return { scratch: [], stages: stages.filter((stage) => stage !== null) };
  };

export const move: GpuKernel = /* @__PURE__ */ streamKernel(
  "move",

  [
    codeFor(
      transposeOp,
      copies(() => "transpose"),
    ),
    codeFor(
      broadcastToOp,
      copies(() => "broadcast"),
    ),
    codeFor(
      sliceOp,
      copies(() => "slice"),
    ),
    codeFor(
      concatOp,
      copies((i) => `concat: input ${i}`),
    ),
    codeFor(padOp, (task) => alone(pad(task))),
  ],
);
