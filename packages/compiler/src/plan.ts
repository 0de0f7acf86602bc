// From graph to plan: which nodes are computed together, by which kernel, in which order, and where
// every value lives.

import { isElementwise } from "@conv/ops";
import { substitute, variable, type Expr } from "@conv/ops";
import { reshapeOp } from "@conv/ops";
import { broadcastStrides } from "@conv/ops";
import {
  costOf,
  exactly,
  sameShape,
  sizeOf,
  type Cost,
  type Graph,
  type Node,
  type Op,
  type Value,
} from "@conv/tensor";
import {
  fusedOp,
  inputName,
  type Choice,
  type EpilogueOperand,
  type FusedParams,
  type PlanKernel,
  type Task,
} from "./task.ts";

/** What asks the kernels of a back end about a task: those that take it, the best first. */
export type Chooser<K> = (task: Task) => Choice<K>[];

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

/** Expressions above this many characters stop growing by fusion. */
const LONGEST = 4000;

/**
 * A set of nodes that will be one task: a node of its own kernel with an epilogue, or elementwise
 * nodes alone.
 */
interface Group {
  main: Node | null;
  readonly nodes: Node[];
  /**
   * Values made here that are seen outside, with their expressions over the values read (main's
   * result is `r`).
   */
  readonly exprs: Map<Value, Expr>;
  /** Operands of the expressions, by name. */
  readonly operands: Map<Value, string>;
  readonly along: Map<Value, EpilogueOperand["along"]>;
  /** What the kernel that computes `main` alone fuses: asked once, before anything is fused. */
  fuses?: readonly EpilogueOperand["along"][] | undefined;
}

/** The value whose memory `v` shares: reshapes make no copy. */
export function root(v: Value): Value {
  while (v.node?.op === reshapeOp) v = v.node.inputs[0]!;
  return v;
}

/**
 * Divides a graph into tasks, in an order in which they can run, and chooses a kernel for each.
 * `mostOperands` bounds the values that a task reads and writes where elementwise nodes are joined
 * to it.
 */
export function plan<K extends AnyKernel>(
  graph: Graph,
  choose: Chooser<K>,
  mostOperands = Infinity,
): Planned<K>[] {
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes)
    if (n.op !== reshapeOp)
      for (const v of n.inputs) users.set(root(v), [...(users.get(root(v)) ?? []), n]);
  const kept = new Set(graph.outputs.map(root));
  const chosen = remembering(choose);
  const groups = group(graph, users, kept, chosen, mostOperands);
  // What only makes outputs goes last: an output may share memory with an input, and nothing should
  // read that input after.
  const late = groups.filter((g) => [...g.exprs.keys()].every((v) => !users.has(v)));
  const order = [...groups.filter((g) => !late.includes(g)), ...late];
  return order
    .map((g) => planned(g, chosen))
    .filter((p) => p.writes.some((v) => sizeOf(v.shape) > 0));
}

/** Networks repeat their layers, and asking all kernels costs more than all else in planning. */
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

function group(
  graph: Graph,
  users: ReadonlyMap<Value, Node[]>,
  kept: ReadonlySet<Value>,
  chosen: Chooser<AnyKernel>,
  mostOperands: number,
): Group[] {
  const groups: Group[] = [];
  const made = new Map<Value, number>(); // the group that makes a value; values of the graph's inputs have none
  const position = (v: Value) => made.get(root(v)) ?? -1;

  for (const n of graph.nodes) {
    if (n.op === reshapeOp) continue;
    if (!isElementwise(n)) {
      n.outputs.forEach((v) => made.set(v, groups.length));
      groups.push({
        main: n,
        nodes: [n],
        exprs: new Map(n.outputs.map((v) => [v, "r"])),
        operands: new Map(),
        along: new Map(),
      });
      continue;
    }
    const [y] = n.outputs as [Value];
    const last = Math.max(-1, ...n.inputs.map(position));
    const host = groups[last];
    if (host?.main && fuses(host, n, users, kept, position, last, chosen, mostOperands)) {
      absorb(host, n, (v) => host.exprs.get(v));
      const inner = n.inputs.find((v) => host.exprs.has(v))!;
      host.exprs.delete(inner);
      made.set(y, last);
      continue;
    }
    // A cluster takes the node if it already touches one of its inputs and nothing that the node
    // needs is made later.
    const at = groups.findLastIndex(
      (g, i) =>
        !g.main &&
        sameShape([...g.exprs.keys()][0]!.shape, y.shape) &&
        n.inputs.some((v) => g.exprs.has(v) || g.operands.has(v)) &&
        n.inputs.every((v) => position(v) < i || g.exprs.has(v)) &&
        operandsWith(g, n, users, kept) <= mostOperands,
    );
    let cluster = groups[at];
    if (!cluster || JSON.stringify([...cluster.exprs.values()]).length > LONGEST) {
      cluster = { main: null, nodes: [], exprs: new Map(), operands: new Map(), along: new Map() };
      made.set(y, groups.push(cluster) - 1);
    } else made.set(y, at);
    absorb(cluster, n, (v) => cluster.exprs.get(v));
  }
  for (const g of groups)
    for (const v of g.exprs.keys()) {
      const outside = (users.get(v) ?? []).some((u) => !g.nodes.includes(u));
      if (!outside && !kept.has(v) && g.exprs.size > 1) g.exprs.delete(v);
    }
  return groups;
}

/** How many values a cluster would read and write with this node in it. */
function operandsWith(
  g: Group,
  n: Node,
  users: ReadonlyMap<Value, Node[]>,
  kept: ReadonlySet<Value>,
): number {
  const read = new Set([...g.operands.keys(), ...n.inputs.filter((v) => !g.exprs.has(v))]);
  const nodes = [...g.nodes, n];
  const seen = [...g.exprs.keys(), ...n.outputs].filter(
    (v) => kept.has(v) || users.get(v)?.some((u) => !nodes.includes(u)),
  );
  return read.size + seen.length;
}

/** Writes the node's expression in terms of what its group reads. */
function absorb(g: Group, n: Node, inside: (v: Value) => Expr | undefined): void {
  const { f } = n.params as { f: Expr };
  const by: Record<string, Expr> = {};
  n.inputs.forEach((v, i) => {
    const known = inside(v);
    if (known !== undefined) by[variable(i)] = known;
    else {
      if (!g.operands.has(v)) g.operands.set(v, `i${g.operands.size}`);
      by[variable(i)] = g.operands.get(v)!;
    }
  });
  g.nodes.push(n);
  g.exprs.set(n.outputs[0]!, substitute(f, by));
}

/**
 * Whether an elementwise node can become part of the epilogue of the group that makes its latest
 * input.
 */
function fuses(
  g: Group,
  n: Node,
  users: ReadonlyMap<Value, Node[]>,
  kept: ReadonlySet<Value>,
  position: (v: Value) => number,
  at: number,
  chosen: Chooser<AnyKernel>,
  mostOperands: number,
): boolean {
  const result = n.inputs.find((v) => g.exprs.has(v));
  if (!result || g.exprs.size !== 1 || kept.has(result) || users.get(result)!.some((u) => u !== n))
    return false;
  if (!sameShape(result.shape, n.outputs[0]!.shape)) return false;
  const others = n.inputs.filter((v) => v !== result && !g.operands.has(v));
  if (g.main!.inputs.length + g.operands.size + others.length + 1 > mostOperands) return false;
  const allowed = (g.fuses ??= chosen(taskOf(g))[0].kernel.fuses ?? []);
  for (const v of n.inputs) {
    if (v === result) continue;
    if (position(v) >= at || v.dtype !== "float32") return false;
    const along = alongOf(v.shape, result.shape);
    if (!along || !allowed.includes(along)) return false;
    g.along.set(v, along);
  }
  return allowed.length > 0 && JSON.stringify(g.exprs.get(result)).length < LONGEST;
}

function alongOf(
  shape: readonly number[],
  into: readonly number[],
): EpilogueOperand["along"] | null {
  if (sameShape(shape, into)) return "element";
  const moving = broadcastStrides(shape, into).flatMap((s, axis) => (s ? [axis] : []));
  if (moving.length !== 1) return null;
  // A convolution's channels are axis 1; a matrix product's columns are its last axis. Rank 2 has
  // columns only.
  return moving[0] === into.length - 1 && into.length === 2
    ? "column"
    : moving[0] === 1 && into.length > 2
      ? "channel"
      : moving[0] === into.length - 1
        ? "column"
        : null;
}

const noCost: Cost = { macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 };
const sumCost = (nodes: readonly Node[]): Cost =>
  nodes.reduce((sum, n) => {
    const c = costOf(n);
    return {
      macs: sum.macs + c.macs,
      flops: sum.flops + c.flops,
      bytesRead: sum.bytesRead + c.bytesRead,
      bytesWritten: sum.bytesWritten + c.bytesWritten,
    };
  }, noCost);

function taskOf(g: Group): Task {
  const outputs = [...g.exprs.keys()].map((v) => v.spec);
  const operands = [...g.operands.keys()];
  if (!g.main) {
    const params: FusedParams = { shape: outputs[0]!.shape, values: [...g.exprs.values()] };
    return {
      op: fusedOp as Op<unknown>,
      params,
      inputs: operands.map((v) => v.spec),
      outputs,
      cost: sumCost(g.nodes),
      epilogue: null,
    };
  }
  const f = [...g.exprs.values()][0]!;
  return {
    op: g.main.op,
    params: g.main.params,
    inputs: [...g.main.inputs, ...operands].map((v) => v.spec),
    outputs,
    cost: sumCost([g.main]),
    epilogue:
      f === "r"
        ? null
        : { f, operands: operands.map((v, i) => ({ name: inputName(i), along: g.along.get(v)! })) },
  };
}

function planned<K extends AnyKernel>(g: Group, chosen: Chooser<K>): Planned<K> {
  const task = taskOf(g);
  const candidates = chosen(task);
  // A kernel that cannot carry the epilogue has been passed over when the epilogue was formed.
  const { kernel, estimate } = task.epilogue
    ? candidates.find(
        (c) =>
          task.epilogue!.operands.every((o) => c.kernel.fuses?.includes(o.along)) && c.kernel.fuses,
      )!
    : candidates[0]!;
  const operands = [...g.operands.keys()];
  const writes = [...g.exprs.keys()];
  const elementwise = new Set(
    operands
      .filter(
        (v) =>
          sameShape(v.shape, writes[0]!.shape) && !g.main?.inputs.some((i) => root(i) === root(v)),
      )
      .map(root),
  );
  for (const v of operands) if (!sameShape(v.shape, writes[0]!.shape)) elementwise.delete(root(v));
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
