// From graph to plan: which nodes are computed together, in which order, and by which kernel.

import {
  convGradInputOp,
  convGradWeightOp,
  convOp,
  MOST_ROUNDOFF,
  reshapeOp,
  type ConvGeometry,
} from "@conv/ops";
import {
  exactly,
  formatShape,
  isOp,
  message,
  sameShape,
  sizeOf,
  unsupported,
  type DType,
  type Graph,
  type Node,
  type Op,
  type Value,
} from "@conv/tensor";
import { fuse, root, taskOf, type Group } from "./fusion.ts";
import type { PlanKernel, Task } from "./task.ts";

type AnyKernel = PlanKernel<never, unknown>;

/**
 * One task of the plan with the values it reads (in the order of the task's inputs, then of its
 * epilogue's operands) and makes.
 */
export interface Planned<K = AnyKernel> {
  readonly nodes: readonly Node[];
  readonly task: Task;
  readonly kernel: K;
  readonly estimate: number;
  readonly others: readonly { kernel: string; estimate: number }[];
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
  /**
   * Values that are read only at the element that is written: their memory may be that of the
   * result.
   */
  readonly elementwise: ReadonlySet<Value>;
}

/** The properties of a back end that decide, besides estimates, which kernel computes a task. */
export interface SelectionCaps {
  /** The largest factor of rounding errors that a kernel may state. */
  readonly roundoff: number;
  /**
   * Names of kernels that are chosen wherever they can compute a task, the first name first,
   * whatever their estimates.
   */
  readonly prefer: readonly string[];
}

/** What a back end chooses kernels from, and how. */
export interface Selection<Caps extends SelectionCaps, K extends PlanKernel<Caps, unknown>> {
  readonly kernels: readonly K[];
  readonly caps: Caps;
  /**
   * Seconds that are added to a kernel's estimate when kernels are compared: the gain that its
   * larger rounding errors or memory must bring. Default: 0.
   */
  handicap?(kernel: K, task: Task, caps: Caps): number;
  /** The end of the error for a task that no kernel computes. */
  readonly remedy?: string | undefined;
  /** The most values that a task may read and write. Default: no limit. */
  readonly mostOperands?: number | undefined;
}

export interface Choice<K> {
  readonly kernel: K;
  /** Predicted seconds. */
  readonly estimate: number;
}

/**
 * Divides a graph into tasks, in an order in which they can run, and chooses a kernel for each.
 * Throws UnsupportedError if no kernel can compute a task.
 */
export function plan<Caps extends SelectionCaps, K extends PlanKernel<Caps, unknown>>(
  graph: Graph,
  selection: Selection<Caps, K>,
): Planned<K>[] {
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes)
    if (n.op !== reshapeOp)
      for (const v of n.inputs) users.set(root(v), [...(users.get(root(v)) ?? []), n]);
  const choicesFor = remembering((task) => choose(task, selection));
  const groups = fuse(graph, {
    users,
    kept: new Set(graph.outputs.map(root)),
    fusesOf: (task) => choicesFor(task)[0].kernel.fuses ?? [],
    mostOperands: selection.mostOperands ?? Infinity,
  });
  // Tasks that compute only outputs come last: an output may share memory with an input, and no
  // task should read that input afterwards.
  const late = groups.filter((g) => [...g.exprs.keys()].every((v) => !users.has(v)));
  const order = [...groups.filter((g) => !late.includes(g)), ...late];
  return order
    .map((g) => planned(g, choicesFor))
    .filter((p) => p.writes.some((v) => sizeOf(v.shape) > 0));
}

type Chooser<K> = (task: Task) => Choice<K>[];

/**
 * A chooser that keeps its answers: networks repeat their layers, and choosing takes longer than
 * the rest of planning.
 */
function remembering<K>(choose: Chooser<K>): Chooser<K> {
  const known = new Map<Op<unknown>, Map<string, Choice<K>[]>>();
  return (task) => {
    const { op, params, inputs, outputs, epilogue } = task;
    const of = known.get(op) ?? new Map<string, Choice<K>[]>();
    known.set(op, of);
    const key = exactly([params, inputs, outputs, epilogue]);
    const choices = of.get(key) ?? choose(task);
    of.set(key, choices);
    return choices;
  };
}

function planned<K extends AnyKernel>(g: Group, choicesFor: Chooser<K>): Planned<K> {
  const task = taskOf(g);
  const candidates = choicesFor(task);
  // The epilogue was formed for a kernel that can apply it; others may not be able to.
  const { kernel, estimate } = task.epilogue
    ? candidates.find(
        (c) =>
          task.epilogue!.operands.every((o) => c.kernel.fuses?.includes(o.along)) && c.kernel.fuses,
      )!
    : candidates[0];
  const operands = [...g.operands.keys()];
  const writes = [...g.exprs.keys()];
  const elementwise = new Set(
    operands
      .filter(
        (v) =>
          sameShape(v.shape, writes[0].shape) && !g.main?.inputs.some((i) => root(i) === root(v)),
      )
      .map(root),
  );
  for (const v of operands) if (!sameShape(v.shape, writes[0].shape)) elementwise.delete(root(v));
  return {
    nodes: g.nodes,
    task,
    kernel,
    estimate,
    others: candidates
      .filter((c) => c.kernel !== kernel)
      .map((c) => ({ kernel: c.kernel.name, estimate: c.estimate })),
    reads: [...(g.main?.inputs ?? []), ...operands],
    writes,
    elementwise,
  };
}

/**
 * The kernels of a list that can compute the task: those of `caps.prefer` first, then by estimate
 * and handicap. Throws UnsupportedError, with the reason of each kernel for this op, if there is
 * none.
 */
export function choose<Caps extends SelectionCaps, K extends PlanKernel<Caps, unknown>>(
  task: Task,
  { kernels, caps, handicap, remedy = "" }: Selection<Caps, K>,
): Choice<K>[] {
  const rank = ({ name }: K) => caps.prefer.toReversed().indexOf(name);
  const scores = new Map<K, number>();
  const able = kernels
    .filter((kernel) => refusal(kernel, task, caps) === null)
    .map((kernel) => {
      const estimate = kernel.estimate(task, caps);
      scores.set(kernel, estimate + (handicap?.(kernel, task, caps) ?? 0));
      return { kernel, estimate };
    })
    .sort(
      (a, b) => rank(b.kernel) - rank(a.kernel) || scores.get(a.kernel)! - scores.get(b.kernel)!,
    );
  if (able.length) return able;
  const inputs = task.inputs.map((s) => `${s.dtype} ${formatShape(s.shape)}`).join(", ") || "none";
  const reasons = kernels
    .filter((kernel) => serves(kernel, task))
    .map((kernel) => `${kernel.name} ${refusal(kernel, task, caps)}`)
    .join("; ");
  const names = kernels.map(({ name }) => name).join(", ");
  throw unsupported(
    task.op.name,
    "no-kernel",
    reasons
      ? message`no kernel computes inputs ${{ inputs }}: ${{ reasons }}${{ remedy }}`
      : message`no kernel of the list computes this op (inputs ${{ inputs }}); the list has ${{ kernels: names }}${{ remedy }}`,
  );
}

/** Whether a kernel computes an op, for some tasks at least. */
export const serves = (
  { ops }: Pick<PlanKernel<never, unknown>, "ops">,
  { op }: Pick<Task, "op">,
): boolean => ops?.includes(op) ?? true;

/** Why a kernel may not compute a task, by its ops, its own reason or its precision; null if it may. */
export function refusal<Caps extends SelectionCaps>(
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

/**
 * The largest factor that a kernel of this task may state: the precision of the task, or else of
 * the back end.
 */
export function mostRoundoff(
  task: Pick<Task, "op" | "params">,
  { roundoff }: SelectionCaps,
): number {
  const precision = isOp(task, ...convOps) && task.params.precision;
  return precision ? MOST_ROUNDOFF[precision] : roundoff;
}

/** The element types of kernels that name none. */
const FOUR_BYTES: readonly DType[] = ["float32", "int32"];

const convOps: readonly Op<ConvGeometry>[] = [convOp, convGradInputOp, convGradWeightOp];
