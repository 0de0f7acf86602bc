// Kernels that compute one op: its parameters have their type in all that the kernel is asked.

import { isOp, type Op } from "@conv/tensor";
import type { Caps } from "../compile/caps.ts";
import type { GpuCode, GpuKernel, Task } from "../compile/code.ts";

/** A kernel that is asked about tasks of one op alone. */
export interface KernelOf<P> extends Omit<
  GpuKernel,
  "ops" | "unsupportedReason" | "estimate" | "build"
> {
  unsupportedReason(task: Task<P>, caps: Caps): string | null;
  estimate(task: Task<P>, caps: Caps): number;
  build(task: Task<P>, caps: Caps): GpuCode;
}

/** The same as a kernel of any task. */
export function forOp<P>(op: Op<P>, kernel: KernelOf<P>): GpuKernel {
  const own = (task: Task): Task<P> => {
    if (!isOp(task, op)) throw new Error(`${kernel.name} does not compute ${task.op.name}`);
    return task;
  };
  return {
    ...kernel,
    ops: [op],
    unsupportedReason: (task, caps) => kernel.unsupportedReason(own(task), caps),
    estimate: (task, caps) => kernel.estimate(own(task), caps),
    build: (task, caps) => kernel.build(own(task), caps),
  };
}
