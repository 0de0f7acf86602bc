// Convolution and its gradient to the input as products of matrices that are never laid out: each slice of x is gathered on its way into
// workgroup memory. The gradient with stride s is one product for each remainder by s, so that no work is done on zeros.

import { convGradInputOp, convOp } from "@conv/ops";
import type { GpuKernel } from "../code.ts";
import { tiledCode, tiledSeconds } from "./tiles.ts";

export const igemm: GpuKernel = {
  name: "igemm",
  fuses: ["channel", "element"],
  declines: ({ op }) => (op === convOp || op === convGradInputOp ? null : "does convolution and its gradient to the input"),
  estimate: (task, caps) => tiledSeconds(task, caps),
  build: (task, caps) => tiledCode("igemm", task, caps),
};
