// Transpose, broadcastTo, slice and concat: copies of boxes, told apart by strides and where the box begins; and pad.

import { broadcastToOp, concatOp, padOp, sliceOp, transposeOp, type PadParams } from "@conv/ops";
import { boxesOf, paddedAxes } from "@conv/ops/plan";
import { stridesOf } from "@conv/tensor";
import { inputAt, type GpuKernel, type GpuStage, type Task } from "../code.ts";
import { coordinates, offsetOf } from "../wgsl.ts";
import { copyStage } from "./copy.ts";
import { allOf, eachElement, streamTime } from "./each.ts";

/** What the copy of box `i` is called. A concat is copied piece by piece: a kernel can bind but few buffers. */
const labels: Readonly<Record<string, (i: number) => string>> = {
  [transposeOp.name]: () => "transpose",
  [broadcastToOp.name]: () => "broadcast",
  [sliceOp.name]: () => "slice",
  [concatOp.name]: (i) => `piece ${i} of a concat`,
};

/** The inputs that are moved; the epilogue's come after. */
const moved = ({ inputs, epilogue }: Task) => inputs.slice(0, inputs.length - (epilogue?.operands.length ?? 0));

function pad(task: Task): GpuStage {
  const [x] = task.inputs;
  const axes = paddedAxes(x.shape, task.params as PadParams);
  const names = axes.map((_, a) => `c${a}`);
  const within = axes.flatMap(({ lo, hi, size }, a) => [...(lo ? [`${names[a]} >= ${lo}u`] : []), ...(hi ? [`${names[a]} < ${lo + size}u`] : [])]);
  const strides = stridesOf(axes.map(({ size }) => size));
  const base = axes.reduce((sum, { lo }, a) => sum + lo * strides[a], 0);
  const place = `${offsetOf(names, strides)}${base ? ` - ${base}u` : ""}`;
  const [type, zero] = task.outputs[0].dtype === "int32" ? ["i32", "0"] : ["f32", "0.0f"];
  const sizes = axes.map(({ lo, size, hi }) => lo + size + hi);
  return eachElement(task, {
    label: "pad",
    reads: [{ name: "x", place: inputAt(0) }],
    body: [coordinates("index", sizes, names), ...(within.length ? [`let within = ${allOf(within)};`] : [])].join("\n"),
    result: within.length ? `select(${zero}, ${type}(x[select(0u, ${place}, within)]), within)` : `${type}(x[${place}])`,
  });
}

const served: ReadonlySet<unknown> = new Set([transposeOp, broadcastToOp, sliceOp, concatOp]);

export const move: GpuKernel = {
  name: "move",
  fuses: ["channel", "column", "element"],
  declines: (task) => (task.op === padOp || served.has(task.op) ? null : "moves elements"),
  estimate: streamTime,
  build(task, caps) {
    const boxes = boxesOf(task, moved(task));
    const copies = boxes?.map((box, i) => copyStage(task, labels[task.op.name](i), box, inputAt(i), caps));
    return { scratch: [], stages: copies?.filter((stage) => stage !== null) ?? [pad(task)] };
  },
};
