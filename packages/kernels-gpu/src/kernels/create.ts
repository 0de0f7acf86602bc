// Constants, random numbers and one-hot rows. The random numbers are those of the reference, bit by bit.

import { fullOp, oneHotOp, randomOp, type FullParams, type OneHotParams } from "@conv/ops";
import { inputAt, type GpuKernel, type GpuStage, type Task } from "../code.ts";
import { literal } from "../wgsl.ts";
import { eachElement, streamTime } from "./each.ts";

const MIX = `fn mixed(v: u32) -> u32 {
  var x = v;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}`;

const stages: Readonly<Record<string, (task: Task) => GpuStage>> = {
  [fullOp.name]: (task) => eachElement(task, { label: "full", reads: [], body: "", result: literal((task.params as FullParams).value) }),
  [randomOp.name]: (task) =>
    eachElement(task, {
      label: "random",
      reads: [{ name: "seed", place: inputAt(0) }],
      functions: [MIX],
      body: `let k0 = mixed(bitcast<u32>(seed[0]) + 0x9e3779b9u);
let k1 = mixed(mixed(k0) ^ bitcast<u32>(seed[1]));`,
      result: `f32(mixed(mixed(index ^ k0) ^ k1) >> 8u) * ${literal(2 ** -24)}`,
    }),
  [oneHotOp.name](task) {
    const { classes } = task.params as OneHotParams;
    return eachElement(task, {
      label: "one-hot rows",
      reads: [{ name: "labels", place: inputAt(0) }],
      body: "",
      result: `select(0.0f, 1.0f, labels[index / ${classes}u] == i32(index % ${classes}u))`,
    });
  },
};

const served: ReadonlySet<unknown> = new Set([fullOp, randomOp, oneHotOp]);

export const create: GpuKernel = {
  name: "create",
  fuses: ["channel", "column", "element"],
  declines: (task) => (served.has(task.op) ? null : "makes constants, random numbers and one-hot rows"),
  estimate: streamTime,
  build: (task) => ({ scratch: [], stages: [stages[task.op.name](task)] }),
};
