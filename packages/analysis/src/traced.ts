// A network as analysis sees it: a graph, its input, and the tensors that are saved. And what depends on which of them.

import type { Graph, Spec, Value } from "@conv/tensor";

/** A traced network; `traceModel` of @conv/layers makes one. `values[i]` is the graph's input that `entries[i]` names. */
export interface Traced {
  readonly name: string;
  readonly graph: Graph;
  /** The input proper: (n, c, …space). */
  readonly x: Value;
  readonly entries: readonly { readonly name: string; readonly spec: Spec; readonly kind: "parameter" | "buffer"; readonly trainable: boolean }[];
  readonly values: readonly Value[];
}

/** All values of the graph that depend on one of `sources`, those included. */
export function dependents(graph: Graph, sources: Iterable<Value>): Set<Value> {
  const known = new Set(sources);
  for (const n of graph.nodes) if (n.inputs.some((v) => known.has(v))) for (const v of n.outputs) known.add(v);
  return known;
}

/** For each value that does not depend on the input: the indices of the entries that it is made of. */
export function madeOf({ graph, values }: Traced, activations: ReadonlySet<Value>): Map<Value, ReadonlySet<number>> {
  const made = new Map<Value, ReadonlySet<number>>(values.map((v, i) => [v, new Set([i])]));
  for (const n of graph.nodes) {
    if (activations.has(n.outputs[0])) continue;
    const all = new Set(n.inputs.flatMap((v) => [...(made.get(v) ?? [])]));
    for (const v of n.outputs) made.set(v, all);
  }
  return made;
}
