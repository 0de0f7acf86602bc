// Reverse-mode differentiation of a graph, op by op: the result is more graph, so gradients have
// gradients.

import { freeInputs, graphOf, within } from "./graph.ts";
import type { Node, Value } from "./op.ts";

/**
 * Cotangents of `wrt`, given the cotangents `seeds` of `outputs` (same shapes). `add` sums two
 * cotangents of one value. null where an output does not depend on the value. Nodes are named after
 * the node that they differentiate.
 */
export function vjp(
  outputs: readonly Value[],
  seeds: readonly Value[],
  wrt: readonly Value[],
  add: (a: Value, b: Value) => Value,
): (Value | null)[] {
  const wanted = new Set(wrt);
  const { nodes } = graphOf(freeInputs(outputs), outputs);
  // A node matters if a wanted value lies behind it (or is made by it).
  const matters = new Set<Node>();
  const depends = (v: Value) => wanted.has(v) || (v.node !== null && matters.has(v.node));
  for (const n of nodes) if (n.inputs.some(depends)) matters.add(n);

  const cotangent = new Map<Value, Value>();
  const accumulate = (v: Value, ct: Value) => {
    const before = cotangent.get(v);
    cotangent.set(v, before ? add(before, ct) : ct);
  };
  outputs.forEach((v, i) => accumulate(v, seeds[i]));
  for (const n of nodes.toReversed()) {
    if (!matters.has(n) || !n.outputs.some((v) => cotangent.has(v))) continue;
    within(n.path, () => {
      const given = n.outputs.map((v) => cotangent.get(v) ?? null);
      n.op.vjp(n, given).forEach((ct, i) => {
        const v = n.inputs[i];
        if (ct && depends(v)) accumulate(v, ct);
      });
    });
  }
  return wrt.map((v) => cotangent.get(v) ?? null);
}
