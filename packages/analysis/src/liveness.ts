// Which values must be held at once while a graph runs: each from the step that makes it to the last that reads it. What only changes
// shape, joins or cuts shares the memory of what it is made of, as back ends do.

import { concatOp, isElementwise, reshapeOp, sliceOp, type ConcatParams, type SliceParams } from "@conv/ops";
import { bytesOf, checkOptions, sameShape, sizeOf, type Graph, type Node, type Step, type Value } from "@conv/tensor";
import { isOp } from "./traced.ts";

/** Memory that holds a value, and those that take its place, from one step to another (both included). */
export interface Held {
  /** The first value in it. */
  readonly value: Value;
  readonly bytes: number;
  readonly from: number;
  readonly to: number;
}

export interface Liveness {
  readonly steps: readonly Pick<Step, "nodes" | "keeps">[];
  readonly held: readonly Held[];
  /** Bytes held during each step. */
  readonly timeline: readonly number[];
  /** The largest of them, and the first step that has it; 0 and −1 where there is no step. */
  readonly peak: { readonly bytes: number; readonly step: number };
}

/** The value whose memory `v` shares: a change of shape makes no copy. */
export function rootOf(v: Value): Value {
  while (v.node?.op === reshapeOp) v = v.node.inputs[0];
  return v;
}

/** Back ends store whole cache lines: of what is joined in place, each piece but the last ends with one. */
const LINE = 64;

export interface LivenessOptions {
  /** Nodes that are computed together, whose inner results are never stored, and those of their results that outlast the run: `Program.steps`. Default: each node alone. */
  readonly steps?: readonly Pick<Step, "nodes" | "keeps">[] | undefined;
  /** Default: those of the value's own type. */
  readonly bytes?: ((value: Value) => number) | undefined;
}

/**
 * What is held while the graph runs, beside its inputs and outputs. A result takes the memory of an input that nobody reads after, where
 * that is read element by element. What a step keeps is held throughout, and nothing takes its memory.
 */
export function livenessOf(graph: Graph, options: LivenessOptions = {}): Liveness {
  checkOptions("livenessOf", options, "steps bytes");
  const { steps = stepsOf(graph), bytes: sizeOfValue = (v: Value) => bytesOf(v.spec) } = options;
  const kept = new Set(graph.outputs.map(rootOf));
  const users = new Map<Value, Node[]>();
  for (const n of graph.nodes) {
    if (n.op === reshapeOp) continue;
    for (const v of n.inputs.map(rootOf)) {
      const known = users.get(v);
      if (known) known.push(n);
      else users.set(v, [n]);
    }
  }
  const parts = partsOf(graph, kept);
  const last = new Map<Value, number>();
  steps.forEach(({ nodes }, i) => nodes.forEach((n) => n.inputs.forEach((v) => last.set(rootOf(v), i))));
  const throughout = new Set(steps.flatMap(({ keeps = [] }) => keeps.map(rootOf)));
  for (const v of [...graph.inputs, ...kept, ...parts.keys(), ...parts.values(), ...throughout]) last.delete(v);

  const held: { value: Value; bytes: number; from: number; to: number }[] = [];
  const homes = new Map<Value, (typeof held)[number] | null>([...graph.inputs, ...kept].map((v) => [v, null]));
  const homeOf = (v: Value, step: number): (typeof held)[number] | null => {
    const known = homes.get(v);
    if (known !== undefined) return known;
    const whole = parts.get(v);
    const home = whole ? homeOf(whole, step) : { value: v, bytes: sizeOfValue(v), from: step, to: step };
    if (home && !whole) held.push(home);
    homes.set(v, home);
    return home;
  };
  steps.forEach(({ nodes }, i) => {
    const inside = new Set(nodes);
    const writes = nodes.flatMap((n) => n.outputs).filter((v) => kept.has(v) || (users.get(v) ?? []).some((n) => !inside.has(n)));
    const reads = nodes.flatMap((n) => n.inputs).filter((v) => !rootOf(v).node || !inside.has(rootOf(v).node!));
    const heirs = readByElement(nodes, reads, writes).filter((v) => last.get(v) === i && homes.get(v));
    for (const y of writes) {
      const at = homes.has(y) || parts.has(y) ? -1 : heirs.findIndex((v) => bytesOf(v.spec) === bytesOf(y.spec));
      if (at >= 0) homes.set(y, homes.get(heirs.splice(at, 1)[0])!);
    }
    for (const v of [...writes, ...reads.map(rootOf)]) {
      const home = homeOf(v, i);
      if (home) home.to = i;
    }
  });
  for (const home of held) if (throughout.has(home.value)) Object.assign(home, { from: 0, to: steps.length - 1 });
  const change = new Float64Array(steps.length + 1);
  for (const { bytes, from, to } of held) {
    change[from] += bytes;
    change[to + 1] -= bytes;
  }
  let now = 0;
  const timeline = Array.from(steps, (_, i) => (now += change[i]));
  const bytes = timeline.reduce((a, b) => Math.max(a, b), 0);
  return { steps, held, timeline, peak: { bytes, step: timeline.indexOf(bytes) } };
}

/** Every node alone, but those that only change shape, or cut what can be read where it lies. */
function stepsOf(graph: Graph): Pick<Step, "nodes" | "keeps">[] {
  const parts = partsOf(graph, new Set(graph.outputs.map(rootOf)));
  return graph.nodes.filter((n) => n.op !== reshapeOp && !(n.op === sliceOp && parts.has(n.outputs[0]))).map((n) => ({ nodes: [n] }));
}

/** The values read only at the element that is written. */
function readByElement(nodes: readonly Node[], reads: readonly Value[], writes: readonly Value[]): Value[] {
  if (writes.length === 0) return [];
  const [{ shape }] = writes;
  const whole = new Set(nodes.filter((n) => !isElementwise(n)).flatMap((n) => n.inputs.map(rootOf)));
  const moved = new Set(reads.filter((v) => !sameShape(v.shape, shape)).map(rootOf));
  return [...new Set(reads.map(rootOf))].filter((v) => !whole.has(v) && !moved.has(v));
}

/** Values that are part of another: pieces written straight into what joins them, and cuts read where they lie. Outputs stay themselves. */
function partsOf(graph: Graph, kept: ReadonlySet<Value>): Map<Value, Value> {
  const parts = new Map<Value, Value>();
  for (const n of graph.nodes) {
    const [y] = n.outputs;
    if (isOp<SliceParams>(n, sliceOp) && !kept.has(y)) {
      const { shape } = n.inputs[0];
      const cut = n.params.size.findLastIndex((size, a) => size < shape[a]);
      if (sizeOf(n.params.size.slice(0, Math.max(0, cut))) === 1) parts.set(y, rootOf(n.inputs[0]));
    }
    if (!isOp<ConcatParams>(n, concatOp) || sizeOf(y.shape.slice(0, n.params.axis)) !== 1) continue;
    let offset = 0;
    n.inputs.forEach((v, i) => {
      const [x, bytes] = [rootOf(v), bytesOf(v.spec)];
      const alone = offset % LINE === 0 && (bytes % LINE === 0 || i === n.inputs.length - 1);
      if (alone && bytes && x.node && !graph.inputs.includes(x) && !kept.has(x) && !parts.has(x)) parts.set(x, y);
      offset += bytes;
    });
  }
  return parts;
}
