// Rewrites of a graph that keep its meaning and know no op by name: equal nodes are merged, ops may
// offer a simpler value for themselves, and what no output needs is gone. Fusion of kernels belongs
// to the back ends, which know their kernels.

import { graphOf, input, node, within, type Graph } from "./graph.ts";
import { keyOfOp } from "./identity.ts";
import type { Node, Value } from "./op.ts";

/**
 * An equal graph with inputs and outputs in the same order. Inputs that a node of another graph
 * made become inputs that none did.
 */
export function optimize(graph: Graph): Graph {
  const settled = new Map<Value, Value>();
  const ids = new Map<Value, number>();
  const id = (v: Value) => ids.get(v) ?? (ids.set(v, ids.size), ids.size - 1);
  const known = new Map<string, readonly Value[]>();
  for (const v of graph.inputs) settled.set(v, v.node ? input(v.spec, v.name) : v);

  const settle = (v: Value): Value => {
    if (!settled.has(v) && v.node) visit(v.node);
    return settled.get(v) ?? v; // a constant stays itself
  };
  const visit = (n: Node): void => {
    const inputs = n.inputs.map(settle);
    const key = `${keyOfOp(n.op, n.params)} ${inputs.map(id).join(" ")}`;
    let outputs = known.get(key);
    if (!outputs) {
      const simpler = within(n.path, () => n.op.simplify?.(inputs, n.params) ?? null);
      // made of new nodes, perhaps, which may be simpler still or known
      if (simpler) outputs = [settle(simpler)];
      else
        outputs = inputs.every((v, i) => v === n.inputs[i])
          ? n.outputs
          : within(n.path, () => node(n.op, n.params, inputs));
      known.set(key, outputs);
    }
    n.outputs.forEach((v, i) => settled.set(v, outputs[i]));
    for (const v of outputs) settled.set(v, v);
  };
  // In order, so that the recursion only ever goes into what a simplification made.
  for (const n of graph.nodes) visit(n);
  return graphOf(graph.inputs.map(settle), graph.outputs.map(settle));
}
