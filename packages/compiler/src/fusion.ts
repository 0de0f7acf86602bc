// Fusion: which nodes of a graph one kernel computes together. Elementwise nodes join each other in
// clusters, or become the epilogue of the node whose result they read.

import {
  broadcastStrides,
  isElementwise,
  reshapeOp,
  substitute,
  variable,
  type ElementwiseParams,
  type Expr,
} from "@conv/ops";
import { costOf, sameShape, type Cost, type Graph, type Node, type Value } from "@conv/tensor";
import { fusedOp, inputName, type EpilogueOperand, type FusedParams, type Task } from "./task.ts";

/** The longest expression, in characters, that fusion makes. */
const LONGEST = 4000;

/**
 * Nodes that become one task: a node with its own kernel (`main`) and an epilogue, or elementwise
 * nodes alone.
 */
export interface Group {
  readonly main: Node | null;
  readonly nodes: Node[];
  /**
   * The values that the group computes for others, each as an expression of the values that it
   * reads. `r` stands for the result of `main`.
   */
  readonly exprs: Map<Value, Expr>;
  /** The names of the values that the expressions read. */
  readonly operands: Map<Value, string>;
  readonly along: Map<Value, EpilogueOperand["along"]>;
  /** The operands that the kernel for `main` can fuse; looked up once, before anything is fused. */
  fuses?: readonly EpilogueOperand["along"][] | undefined;
}

/** What decides which nodes join a group. */
interface Context {
  /** The nodes that read each value; reshapes do not count. */
  readonly users: ReadonlyMap<Value, readonly Node[]>;
  /** The outputs of the graph. */
  readonly kept: ReadonlySet<Value>;
  /** The operands that the kernel for a task can read in an epilogue. */
  fusesOf(task: Task): readonly EpilogueOperand["along"][];
  /** The most values that a task may read and write after elementwise nodes have joined it. */
  readonly mostOperands: number;
}

/** The value whose memory `v` shares, since reshapes make no copy. */
export function root(v: Value): Value {
  while (v.node?.op === reshapeOp) v = v.node.inputs[0];
  return v;
}

/** Divides the nodes of a graph into groups, in the order of the graph. */
export function fuse(graph: Graph, context: Context): Group[] {
  const { users, kept, mostOperands } = context;
  const groups: Group[] = [];
  // The index of the group that computes a value. Inputs of the graph have none.
  const made = new Map<Value, number>();
  const position = (v: Value) => made.get(root(v)) ?? -1;

  for (const n of graph.nodes) {
    if (n.op === reshapeOp) continue;
    if (!isElementwise(n)) {
      n.outputs.forEach((v) => made.set(v, groups.length));
      groups.push(groupOf(n));
      continue;
    }
    const [y] = n.outputs as [Value];
    const last = Math.max(-1, ...n.inputs.map(position));
    const host = groups[last];
    if (host?.main && joinsEpilogue(host, n, context, (v) => position(v) < last)) {
      absorb(host, n);
      host.exprs.delete(n.inputs.find((v) => host.exprs.has(v))!);
      made.set(y, last);
      continue;
    }
    // A cluster takes a node that reads one of the cluster's values or operands, if everything that
    // the node reads is computed before the cluster or in it.
    const at = groups.findLastIndex(
      (g, i) =>
        !g.main &&
        sameShape([...g.exprs.keys()][0].shape, y.shape) &&
        n.inputs.some((v) => g.exprs.has(v) || g.operands.has(v)) &&
        n.inputs.every((v) => position(v) < i || g.exprs.has(v)) &&
        operandsWith(g, n, context) <= mostOperands,
    );
    let cluster = groups[at];
    if (!cluster || JSON.stringify([...cluster.exprs.values()]).length > LONGEST) {
      cluster = groupOf(null);
      made.set(y, groups.push(cluster) - 1);
    } else made.set(y, at);
    absorb(cluster, n);
  }
  for (const g of groups)
    for (const v of g.exprs.keys()) {
      const outside = (users.get(v) ?? []).some((u) => !g.nodes.includes(u));
      if (!outside && !kept.has(v) && g.exprs.size > 1) g.exprs.delete(v);
    }
  return groups;
}

const groupOf = (main: Node | null): Group => ({
  main,
  nodes: main ? [main] : [],
  exprs: new Map(main?.outputs.map((v) => [v, "r"])),
  operands: new Map(),
  along: new Map(),
});

/** How many values a cluster would read and write if it had this node too. */
function operandsWith(g: Group, n: Node, { users, kept }: Context): number {
  const read = new Set([...g.operands.keys(), ...n.inputs.filter((v) => !g.exprs.has(v))]);
  const nodes = [...g.nodes, n];
  const seen = [...g.exprs.keys(), ...n.outputs].filter(
    (v) => kept.has(v) || users.get(v)?.some((u) => !nodes.includes(u)),
  );
  return read.size + seen.length;
}

/** Adds a node to a group: its expression, written in terms of what the group reads. */
function absorb(g: Group, n: Node<ElementwiseParams>): void {
  const { f } = n.params;
  const by: Record<string, Expr> = {};
  n.inputs.forEach((v, i) => {
    const known = g.exprs.get(v);
    if (known === undefined && !g.operands.has(v)) g.operands.set(v, inputName(g.operands.size));
    by[variable(i)] = known ?? g.operands.get(v)!;
  });
  g.nodes.push(n);
  g.exprs.set(n.outputs[0], substitute(f, by));
}

/**
 * Whether an elementwise node can join the epilogue of the group that computes its latest input.
 * `isEarlier` says whether a value is computed before that group.
 */
function joinsEpilogue(
  g: Group,
  n: Node,
  { users, kept, fusesOf, mostOperands }: Context,
  isEarlier: (v: Value) => boolean,
): boolean {
  const result = n.inputs.find((v) => g.exprs.has(v));
  if (!result || g.exprs.size !== 1 || kept.has(result) || users.get(result)!.some((u) => u !== n))
    return false;
  if (!sameShape(result.shape, n.outputs[0].shape)) return false;
  const others = n.inputs.filter((v) => v !== result && !g.operands.has(v));
  if (g.main!.inputs.length + g.operands.size + others.length + 1 > mostOperands) return false;
  const allowed = (g.fuses ??= fusesOf(taskOf(g)));
  for (const v of n.inputs) {
    if (v === result) continue;
    if (!isEarlier(v) || v.dtype !== "float32") return false;
    const along = alongOf(v.shape, result.shape);
    if (!along || !allowed.includes(along)) return false;
    g.along.set(v, along);
  }
  return allowed.length > 0 && JSON.stringify(g.exprs.get(result)).length < LONGEST;
}

/**
 * The axis along which an operand of an epilogue varies. Channels of a convolution are axis 1, and
 * columns of a matrix product are the last axis; values of rank 2 have columns only.
 */
function alongOf(
  shape: readonly number[],
  into: readonly number[],
): EpilogueOperand["along"] | null {
  if (sameShape(shape, into)) return "element";
  const moving = broadcastStrides(shape, into).flatMap((s, axis) => (s ? [axis] : []));
  if (moving.length !== 1) return null;
  if (moving[0] === 1 && into.length > 2) return "channel";
  return moving[0] === into.length - 1 ? "column" : null;
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

/** The task that computes a group. */
export function taskOf(g: Group): Task {
  const outputs = [...g.exprs.keys()].map((v) => v.spec);
  const operands = [...g.operands.keys()];
  if (!g.main) {
    const params: FusedParams = { shape: outputs[0].shape, values: [...g.exprs.values()] };
    return {
      op: fusedOp,
      params,
      inputs: operands.map((v) => v.spec),
      outputs,
      cost: sumCost(g.nodes),
      epilogue: null,
    };
  }
  const f = [...g.exprs.values()][0];
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
