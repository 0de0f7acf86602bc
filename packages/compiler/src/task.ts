// What passes between a planner and the kernels of a back end: the task to be done, and where what
// it reads and writes is.

import { convGradInputOp, convGradWeightOp, convOp } from "@conv/ops";
import type { Expr } from "@conv/ops";
import { MOST_ROUNDOFF, type ConvGeometry } from "@conv/ops";
import {
  formatShape,
  message,
  unsupported,
  type Cost,
  type DType,
  type Kernel,
  type Op,
  type Spec,
} from "@conv/tensor";

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
export interface PlanKernel<Caps, Code> extends Omit<
  Kernel<Task, Caps, Code>,
  "unsupportedReason"
> {
  /** The ops that it computes; any that it does not refuse if absent. */
  readonly ops?: readonly Pick<Op<unknown>, "name">[] | undefined;
  /**
   * Why it cannot compute a task of its ops, in a few words; null if it can. A kernel without this
   * function computes all of them.
   */
  unsupportedReason?(task: Task, caps: Caps): string | null;
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
 * Stands for the nodes of a cluster when kernels are asked. It has no meaning of its own: the nodes
 * have.
 */
export const fusedOp: Pick<Op<FusedParams>, "name"> = { name: "elementwise" };

export const inputName = (i: number): string => `i${i}`;

/** What kernels of any back end are chosen by, besides their estimates. */
export interface Choosing {
  /** Kernels that state a larger factor for their rounding errors are passed over. */
  readonly roundoff: number;
  /**
   * Names of kernels that are taken wherever they can be, whatever they estimate; the first goes
   * first.
   */
  readonly prefer: readonly string[];
}

/** Whether a kernel computes an op, for some tasks at least. */
export const serves = (
  { ops }: Pick<PlanKernel<never, unknown>, "ops">,
  { op }: Pick<Task, "op">,
): boolean => ops?.includes(op) ?? true;

/** Why a kernel may not compute a task, by its ops, its own reason or its precision; null if it may. */
export function refusal<Caps extends Choosing>(
  kernel: PlanKernel<Caps, unknown>,
  task: Task,
  caps: Caps,
): string | null {
  const odd = [...task.inputs, ...task.outputs].find(
    ({ dtype }) => !(kernel.dtypes ?? FOUR_BYTES).includes(dtype),
  );
  if (odd) return `does not take ${odd.dtype}`;
  if (!serves(kernel, task)) return `computes ${kernel.ops!.map(({ name }) => name).join(", ")}`;
  const reason = kernel.unsupportedReason?.(task, caps) ?? null;
  const [factor, most] = [kernel.roundoff ?? 0, mostRoundoff(task, caps)];
  return reason === null && factor > most
    ? `states a roundoff of ${factor}, allowed are ${most}`
    : reason;
}

export interface Choice<K> {
  readonly kernel: K;
  /** Predicted seconds. */
  readonly estimate: number;
}

/**
 * The largest factor that a kernel of this task may state: the precision of the task, or else of
 * the back end.
 */
export function mostRoundoff(
  { op, params }: Pick<Task, "op" | "params">,
  { roundoff }: Choosing,
): number {
  const precision = convOps.has(op) && (params as ConvGeometry).precision;
  return precision ? MOST_ROUNDOFF[precision] : roundoff;
}

/** The element types of kernels that name none. */
const FOUR_BYTES: readonly DType[] = ["float32", "int32"];

const convOps: ReadonlySet<unknown> = new Set([convOp, convGradInputOp, convGradWeightOp]);

/**
 * The kernels of a list that can compute the task: those of `caps.prefer` first, then the cheapest
 * by estimate and `price`, the seconds that must be gained beyond it. Throws UnsupportedError, with
 * the reason of each kernel for this op, if there is none; `remedy` is the end of its message.
 */
export function choose<Caps extends Choosing, K extends PlanKernel<Caps, unknown>>(
  task: Task,
  caps: Caps,
  list: readonly K[],
  price: (kernel: K) => number = () => 0,
  remedy = "",
): Choice<K>[] {
  const rank = ({ name }: K) => caps.prefer.toReversed().indexOf(name);
  const prices = new Map<K, number>();
  const able = list
    .filter((kernel) => refusal(kernel, task, caps) === null)
    .map((kernel) => {
      const estimate = kernel.estimate(task, caps);
      prices.set(kernel, estimate + price(kernel));
      return { kernel, estimate };
    })
    .sort(
      (a, b) => rank(b.kernel) - rank(a.kernel) || prices.get(a.kernel)! - prices.get(b.kernel)!,
    );
  if (able.length) return able;
  const inputs = task.inputs.map((s) => `${s.dtype} ${formatShape(s.shape)}`).join(", ") || "none";
  const reasons = list
    .filter((kernel) => serves(kernel, task))
    .map((kernel) => `${kernel.name} ${refusal(kernel, task, caps)}`)
    .join("; ");
  const kernels = list.map(({ name }) => name).join(", ");
  throw unsupported(
    task.op.name,
    "no-kernel",
    reasons
      ? message`no kernel computes inputs ${{ inputs }}: ${{ reasons }}${{ remedy }}`
      : message`no kernel of the list computes this op (inputs ${{ inputs }}); the list has ${{ kernels }}${{ remedy }}`,
  );
}
