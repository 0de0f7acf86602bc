// Constants, random numbers and one-hot rows. The random numbers equal those of the reference, bit
// by bit.

import { fullOp, oneHotOp, randomOp } from "@conv/ops";
import { inputAt, type GpuKernel } from "../../compile/code.ts";
import { literal } from "../../wgsl/wgsl.ts";
import { alone, codeFor, eachElement, streamKernel } from "./each.ts";

const MIX = `fn mixed(v: u32) -> u32 {
  var x = v;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}`;

export const create: GpuKernel = /* @__PURE__ */ streamKernel(
  "create",

  [
    codeFor(fullOp, (task) =>
      alone(
        eachElement(task, {
          label: "full",
          reads: [],
          body: "",
          result: literal(task.params.value),
        }),
      ),
    ),
    codeFor(randomOp, (task) =>
      alone(
        eachElement(task, {
          label: "random",
          reads: [{ name: "seed", place: inputAt(0) }],
          functions: [MIX],
          body: `let k0 = mixed(bitcast<u32>(seed[0]) + 0x9e3779b9u);
let k1 = mixed(mixed(k0) ^ bitcast<u32>(seed[1]));`,
          result: `f32(mixed(mixed(index ^ k0) ^ k1) >> 8u) * ${literal(2 ** -24)}`,
        }),
      ),
    ),
    codeFor(oneHotOp, (task) => {
      const { classes } = task.params;
      return alone(
        eachElement(task, {
          label: "one-hot rows",
          reads: [{ name: "labels", place: inputAt(0) }],
          body: "",
          result: `select(0.0f, 1.0f, labels[index / ${classes}u] == i32(index % ${classes}u))`,
        }),
      );
    }),
  ],
);
