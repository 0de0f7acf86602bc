// Rewrites of a graph that keep its meaning and know no op by name: equal nodes are merged, ops may offer a simpler value
// for themselves, and what no output needs is gone. Fusion of kernels belongs to the back ends, which know their kernels.

import { graphOf, node, within, type Graph, type Value } from "./graph.ts";

/** An equal graph with the same inputs and outputs in the same order, and no more nodes. */
export function optimise(graph: Graph): Graph {
  const renamed = new Map<Value, Value>();
  const ids = new Map<Value, number>();
  const id = (v: Value) => ids.get(v) ?? (ids.set(v, ids.size), ids.size - 1);
  const known = new Map<string, readonly Value[]>();
  for (const v of graph.inputs) renamed.set(v, v);
  for (const n of graph.nodes) {
    const inputs = n.inputs.map((v) => renamed.get(v)!);
    const key = `${n.op.name} ${JSON.stringify(n.params)} ${inputs.map(id).join(" ")}`;
    let outputs = known.get(key);
    if (!outputs) {
      const simpler = n.op.simplify?.(inputs, n.params);
      if (simpler) outputs = [simpler];
      else outputs = inputs.every((v, i) => v === n.inputs[i]) ? n.outputs : within(n.path, () => node(n.op, n.params, inputs));
      known.set(key, outputs);
    }
    n.outputs.forEach((v, i) => renamed.set(v, outputs[i]!));
  }
  return graphOf(
    graph.inputs,
    graph.outputs.map((v) => renamed.get(v)!),
  );
}
