// What passes between a planner and the kernels of a back end: the task to be done, and where what
// it reads and writes is.

import type { Expr } from "@conv/ops";
import type { Cost, DType, Kernel, Op, Spec } from "@conv/tensor";

/**
 * An input that an epilogue reads besides the kernel's result: one value per channel (axis 1), per
 * column (last axis), or per element.
 */
export interface EpilogueOperand {
  readonly name: string;
  readonly along: "channel" | "column" | "element";
}

/**
 * Elementwise work that a kernel does on its result before it stores it: `f` over `r` (the result)
 * and the operands.
 */
export interface Epilogue {
  readonly f: Expr;
  readonly operands: readonly EpilogueOperand[];
}

/**
 * One node with what is fused behind it. Inputs of the node come first, operands of the epilogue
 * after.
 */
export interface Task<P = unknown> {
  readonly op: Op<P>;
  readonly params: P;
  readonly inputs: readonly Spec[];
  readonly outputs: readonly Spec[];
  readonly cost: Cost;
  readonly epilogue: Epilogue | null;
}

/**
 * What a stage of a kernel reads or writes: an input of the task (operands of the epilogue count
 * on), its output, or scratch memory.
 */
export interface Place {
  readonly of: "in" | "out" | "scratch";
  readonly index: number;
}
export const inputAt = (index: number): Place => ({ of: "in", index });
export const outputAt = (index: number): Place => ({ of: "out", index });
export const scratchAt = (index: number): Place => ({ of: "scratch", index });

/** A kernel that a planner can choose, and give an epilogue to. */
export interface PlanKernel<Caps, Code, P = unknown> extends Omit<
  Kernel<Task<P>, Caps, Code>,
  "unsupportedReason"
> {
  /**
   * The ops that it computes; any op if absent. The other functions get tasks of these ops only, so
   * that `P` is the type of their parameters.
   */
  readonly ops?: readonly Op<P>[] | undefined;
  /**
   * Why it cannot compute a task of its ops, in a few words; null if it can. A kernel without this
   * function computes all of them.
   */
  unsupportedReason?(task: Task<P>, caps: Caps): string | null;
  /** Operands that it can read in an epilogue; it takes no epilogue if absent. */
  readonly fuses?: readonly EpilogueOperand["along"][] | undefined;
  /** See `Step.roundoff`. */
  readonly roundoff?: number | undefined;
  /** Element types of inputs and outputs that it can take. Default: float32 and int32. */
  readonly dtypes?: readonly DType[] | undefined;
}

/**
 * What the planner makes of a cluster of elementwise nodes: `values[i]`, over inputs `i0`, `i1`, …,
 * is output i.
 */
export interface FusedParams {
  readonly shape: readonly number[];
  readonly values: readonly Expr[];
}

/**
 * The op of tasks that compute clusters of elementwise nodes. It is only a name: its meaning is that
 * of the nodes.
 */
export const fusedOp: Op<FusedParams> = { name: "elementwise" } as Op<FusedParams>;

export const inputName = (i: number): string => `i${i}`;
