// The gradient of convolution to the weight as a product: rows of dy with what each tap sees of x, summed over batch and positions. That sum is
// long and its outputs are few, so that it is split among workgroups.

import { convGradWeightOp } from "@conv/ops";
import type { GpuKernel } from "../code.ts";
import { tiledCode, tiledSeconds } from "./tiles.ts";

export const gradWeight: GpuKernel = {
  name: "gradWeight",
  fuses: ["element"],
  declines: ({ op }) => (op === convGradWeightOp ? null : "does the gradient of convolution to the weight"),
  estimate: (task, caps) => tiledSeconds(task, caps),
  build: (task, caps) => tiledCode("gradWeight", task, caps),
};
