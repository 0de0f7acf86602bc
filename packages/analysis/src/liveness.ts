// Which values must be held at the same time while a graph runs: each from the step that makes it
// to the last step that reads it. Values share memory as on the CPU back end.

import { allocateValues, partsOf, root } from "@conv/compiler";
import { isElementwise, reshapeOp, sliceOp } from "@conv/ops";
import {
  bytesOf,
  checkOptions,
  sameShape,
  type Graph,
  type Node,
  type Step,
  type Value,
} from "@conv/tensor";
import { most, timelineOf } from "./traced.ts";

/** Memory that holds a value, and those that replace it, from one step to another (both included). */
export interface Held {
  /** The first value in it. */
  readonly value: Value;
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

export interface Liveness {
  readonly steps: readonly Pick<Step, "nodes" | "persistent">[];
  readonly held: readonly Held[];
  /** Bytes held during each step. */
  readonly timeline: readonly number[];
  /** The largest of them, and the first step that has it; 0 and −1 where there is no step. */
  readonly peak: { readonly bytes: number; readonly step: number };
}

export interface LivenessOptions {
  /**
   * `Program.steps`: nodes that are computed together, so that their inner results are never stored,
   * and those of their results that outlast the run. Default: each node is a step.
   */
  readonly steps?: readonly Pick<Step, "nodes" | "persistent">[] | undefined;
  /** Default: those of the value's dtype. */
  readonly bytes?: ((value: Value) => number) | undefined;
}

/** Bytes to which parts of a concatenation are aligned: a cache line, as on the CPU back end. */
const ALIGNMENT = 64;

/**
 * What is held while the graph runs, beside its inputs and outputs. An elementwise result reuses the
 * memory of an operand that no later step reads. Persistent results of steps are held throughout,
 * and nothing reuses their memory.
 */
export function livenessOf(graph: Graph, options: LivenessOptions = {}): Liveness {
  checkOptions("livenessOf", options, "steps bytes");
  const { bytes = (v: Value) => bytesOf(v.spec) } = options;
  const parts = partsOf(graph, ALIGNMENT);
  const steps = options.steps ?? graph.nodes.filter(isStep(parts)).map((n) => ({ nodes: [n] }));
  const persistent = new Set(
    steps.flatMap((step: Pick<Step, "persistent">) => (step.persistent ?? []).map(root)),
  );
  const tasks = tasksOf(graph, steps);
  const held: { value: Value; bytes: number; from: number; to: number }[] = [];
  const { visit } = allocateValues(graph, tasks, {
    parts,
    persistent,
    bytes,
    block: (value, step) => held.push({ value, bytes: bytes(value), from: step, to: step }) - 1,
  });
  tasks.forEach((_, i) => {
    for (const { kind, index } of Object.values(visit(i)).flat())
      if (kind === "block") held[index].to = i;
  });
  for (const block of held)
    if (persistent.has(block.value)) Object.assign(block, { from: 0, to: steps.length - 1 });
  const timeline = timelineOf(held, steps.length);
  const peak = most(timeline);
  return { steps, held, timeline, peak: { bytes: peak, step: timeline.indexOf(peak) } };
}

/** Whether a node does anything: a reshape does not, nor a slice that is read from its operand. */
const isStep =
  (parts: ReadonlyMap<Value, unknown>) =>
  ({ op, outputs }: Node): boolean =>
    op !== reshapeOp && !(op === sliceOp && parts.has(outputs[0]));

/** What each step reads and writes. */
function tasksOf(graph: Graph, steps: readonly Pick<Step, "nodes">[]) {
  const outputs = new Set(graph.outputs.map(root));
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes) {
    if (n.op === reshapeOp) continue;
    for (const v of n.inputs.map(root)) {
      const known = users.get(v);
      if (known) known.push(n);
      else users.set(v, [n]);
    }
  }
  return steps.map(({ nodes }) => {
    const inside = new Set(nodes);
    const writes = nodes
      .flatMap((n) => n.outputs)
      .filter((v) => outputs.has(v) || (users.get(v) ?? []).some((n) => !inside.has(n)));
    const reads = nodes
      .flatMap((n) => n.inputs)
      .filter((v) => !root(v).node || !inside.has(root(v).node!));
    return { writes, reads, elementwise: readByElement(nodes, reads, writes) };
  });
}

/** The values read only at the element that is written. */
function readByElement(
  nodes: readonly Node[],
  reads: readonly Value[],
  writes: readonly Value[],
): Set<Value> {
  if (writes.length === 0) return new Set();
  const [{ shape }] = writes;
  const whole = new Set(nodes.filter((n) => !isElementwise(n)).flatMap((n) => n.inputs.map(root)));
  const moved = new Set(reads.filter((v) => !sameShape(v.shape, shape)).map(root));
  return new Set(reads.map(root).filter((v) => !whole.has(v) && !moved.has(v)));
}
