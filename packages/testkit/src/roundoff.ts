// The values of a graph in float64 by the references of its ops, and for every element how far a
// float32 back end may be from it. The rule of an op stands beside its cases; the bound of an
// elementwise op follows from its expression.

import { broadcastStrides, isElementwise, variable, walk, type ElementwiseParams } from "@conv/ops";
import { roundingRules, type Bounded } from "@conv/ops/cases";
import {
  arrayOf,
  constantsOf,
  hostArray,
  type Graph,
  type HostArray,
  type Node,
  type Step,
  type Value,
} from "@conv/tensor";
import { uncertain } from "./roundoff-expr.ts";

/**
 * Runs a graph on exact inputs; one result per output. Throws for an op that has no rule.
 * Convolutions that one of `steps` computes are held to the bound that the step states.
 */
export function evaluateBounded(
  graph: Graph,
  inputs: readonly HostArray[],
  steps: readonly Step[] = [],
): Bounded[] {
  const known = new Map<Value, Bounded>();
  graph.inputs.forEach((v, i) => known.set(v, { value: inputs[i], error: null }));
  for (const v of constantsOf(graph)) known.set(v, { value: arrayOf(v), error: null });
  for (const node of graph.nodes) {
    const from = node.inputs.map((v) => known.get(v)!);
    const [value] = node.op.reference(
      from.map((x) => x.value),
      node.params,
    );
    known.set(node.outputs[0], { value, error: errorOf(node, from, value, steps) });
  }
  return graph.outputs.map((v) => known.get(v)!);
}

function errorOf(
  node: Node,
  inputs: readonly Bounded[],
  y: HostArray,
  steps: readonly Step[],
): HostArray | null {
  if (isElementwise(node)) return elementwiseError(node.params, inputs, y);
  const rule = roundingRules.get(node.op);
  if (!rule)
    throw new Error(
      `testkit: no rule for the error of op ${node.op.name}; export its rule as rules in its file of cases`,
    );
  return rule(node, inputs, y, steps);
}

function elementwiseError(
  params: ElementwiseParams,
  inputs: readonly Bounded[],
  y: HostArray,
): HostArray {
  const at = uncertain(
    params.f,
    inputs.map((_, i) => variable(i)),
  );
  const error = hostArray(y);
  walk(
    y.shape,
    inputs.map((x) => broadcastStrides(x.value.shape, y.shape)),
    (i, offsets) => {
      const [, e] = at(
        inputs.map((x, j) => x.value.data[offsets[j]]),
        inputs.map((x, j) => x.error?.data[offsets[j]] ?? 0),
      );
      error.data[i] = e;
    },
  );
  return error;
}
