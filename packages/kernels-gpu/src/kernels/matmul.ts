// Matrix product of any aspect, batched, either side stored transposed, by tiles in workgroup memory.

import { matmulOp } from "@conv/ops";
import type { GpuKernel } from "../code.ts";
import { tiledCode, tiledSeconds } from "./tiles.ts";

export const matmul: GpuKernel = {
  name: "matmul",
  fuses: ["column", "element"],
  declines: ({ op }) => (op === matmulOp ? null : "does matrix products"),
  estimate: (task, caps) => tiledSeconds(task, caps),
  build: (task, caps) => tiledCode("matmul", task, caps),
};
