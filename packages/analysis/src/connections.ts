// Connections as LeCun, Bottou, Bengio and Haffner count them (Proc. IEEE 86, 1998): a line from a
// unit, or from the constant unit that feeds the biases, to a unit of the layer. Weights may be
// shared, connections are counted one by one.

import { differentiate, isElementwise, maxOp, sumOp, variable } from "@conv/ops";
import { costOf, sameShape, sizeOf, type Node, type Value } from "@conv/tensor";

/**
 * How many connections a node adds for the whole batch. `activations` are the values that depend on
 * the input; all others are made of parameters. A node that
 * - multiplies windows or rows by weights has one for each product of an output unit;
 * - takes windows or reduces without weights (pooling, sums) has one for each input that an output
 *   unit looks at;
 * - adds a parameter to every unit has one for each: the bias;
 * - does anything else has none: scaling by a coefficient and squashing change what a connection
 *   carries, not whence it comes.
 */
export function connectionsOf(n: Node, activations: ReadonlySet<Value>): number {
  const [y] = n.outputs;
  const units = sizeOf(y.shape);
  const { macs } = costOf(n);
  if (macs > 0) return macs;
  const windows = n.op.window?.(n.params);
  if (windows) return units * sizeOf(windows.map((w) => w.kernel));
  if (n.op === sumOp || n.op === maxOp) return sizeOf(n.inputs[0].shape);
  if (isElementwise(n)) {
    const into = n.inputs.some((v) => activations.has(v) && sameShape(v.shape, y.shape));
    const biases = n.inputs.filter(
      (v, i) => !activations.has(v) && isConstant(differentiate(n.params.f, variable(i))),
    );
    return into ? units * biases.length : 0;
  }
  return 0;
}

/** A derivative that is a number, not 0: the input is added (or subtracted) as it is. */
const isConstant = (derivative: unknown): boolean =>
  typeof derivative === "number" && derivative !== 0;
