// Which values must be held at once while a graph runs: each from the step that makes it to the
// last that reads it. What only changes shape, joins or cuts shares the memory of what it is made
// of, as back ends do.

import { allocationsOf, partsOf, root } from "@conv/compiler";
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

/**
 * Memory that holds a value, and those that take its place, from one step to another (both
 * included).
 */
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
   * Nodes that are computed together, whose inner results are never stored, and those of their
   * results that outlast the run: `Program.steps`. Default: each node alone.
   */
  readonly steps?: readonly Pick<Step, "nodes" | "persistent">[] | undefined;
  /** Default: those of the value's own type. */
  readonly bytes?: ((value: Value) => number) | undefined;
}

/**
 * What is held while the graph runs, beside its inputs and outputs. A result takes the memory of an
 * input that nobody reads after, where that is read element by element. What a step keeps (persistent) is held
 * throughout, and nothing takes its memory.
 */
export function livenessOf(graph: Graph, options: LivenessOptions = {}): Liveness {
  checkOptions("livenessOf", options, "steps bytes");
  const { steps = stepsOf(graph), bytes: sizeOfValue = (v: Value) => bytesOf(v.spec) } = options;
  const kept = new Set(graph.outputs.map(root));
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes) {
    if (n.op === reshapeOp) continue;
    for (const v of n.inputs.map(root)) {
      const known = users.get(v);
      if (known) known.push(n);
      else users.set(v, [n]);
    }
  }
  const throughout = new Set(steps.flatMap(({ persistent = [] }) => persistent.map(root)));
  const tasks = steps.map(({ nodes }) => {
    const inside = new Set(nodes);
    const writes = nodes
      .flatMap((n) => n.outputs)
      .filter((v) => kept.has(v) || (users.get(v) ?? []).some((n) => !inside.has(n)));
    const reads = nodes
      .flatMap((n) => n.inputs)
      .filter((v) => !root(v).node || !inside.has(root(v).node!));
    return { writes, reads, elementwise: readByElement(nodes, reads, writes) };
  });
  const held: { value: Value; bytes: number; from: number; to: number }[] = [];
  const { visit } = allocationsOf<(typeof held)[number] | null>(
    graph,
    tasks,
    partsOf(graph),
    throughout,
    {
      external: () => null,
      allocate: (value, step) =>
        held[held.push({ value, bytes: sizeOfValue(value), from: step, to: step }) - 1],
      within: (whole) => whole,
    },
  );
  tasks.forEach((_, i) => {
    for (const home of Object.values(visit(i)).flat()) if (home) home.to = i;
  });
  for (const home of held)
    if (throughout.has(home.value)) Object.assign(home, { from: 0, to: steps.length - 1 });
  const timeline = timelineOf(held, steps.length);
  const bytes = most(timeline);
  return { steps, held, timeline, peak: { bytes, step: timeline.indexOf(bytes) } };
}

/** Every node alone, but those that only change shape, or cut what can be read where it lies. */
function stepsOf(graph: Graph): Pick<Step, "nodes" | "persistent">[] {
  const parts = partsOf(graph);
  return graph.nodes
    .filter((n) => n.op !== reshapeOp && !(n.op === sliceOp && parts.has(n.outputs[0])))
    .map((n) => ({ nodes: [n] }));
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
