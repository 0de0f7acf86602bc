// How far a float32 back end may be from the float64 reference of a node: the form of a rule, and the
// rules that several ops share. For sums that is c·ULP·Σ|x|; errors of earlier nodes are carried on.

import { hostArray, isOp, type HostArray, type Node, type Op, type Step } from "@conv/tensor";

/**
 * The unit of all bounds, 2⁻²³: one unit in the last place at 1, twice the error of one correct
 * rounding.
 */
export const ULP = 2 ** -23;

/** The largest float32. A value beyond it is infinite on a device. */
export const LARGEST = (2 - 2 ** -23) * 2 ** 127;

/**
 * The c of c·ULP·Σ|x·w| for every kernel that sums: in order, in blocks or as a tree, fused or not.
 */
export const SUM_FACTOR = 16;

/** Values, and the largest error of each. NaN allows any value; null means that all are exact. */
export interface Bounded {
  readonly value: HostArray;
  readonly error: HostArray | null;
}

/** The error of the result `y` of a node. `steps` are those of the program that computed it. */
export type Rule<P = unknown> = (
  node: Node<P>,
  inputs: readonly Bounded[],
  y: HostArray,
  steps: readonly Step[],
) => HostArray | null;

/** Ops with their rules. */
export type Rules = readonly (readonly [Op<never>, Rule])[];

/** An op with its rule, which gets the parameters of that op. */
export const rule = <P>(op: Op<P>, error: Rule<P>): Rules[number] => [
  op,
  (node, ...rest) => (isOp(node, op) ? error(node, ...rest) : null),
];

/** The reference of a node on other inputs, for instance on their errors. */
export const applied = <P>(node: Node<P>, inputs: readonly HostArray[]): HostArray =>
  node.op.reference(inputs, node.params)[0];

export const mapped = (x: HostArray, f: (v: number, i: number) => number): HostArray => ({
  ...x,
  data: x.data.map(f),
});

/** The errors of an input, 0 where it is exact. */
export const errorsOf = ({ value, error }: Bounded): HostArray => error ?? hostArray(value);

/**
 * What takes part in rounding: NaN and infinities do not, for a result that sees one is NaN or
 * infinite exactly.
 */
export const finite = (x: HostArray): HostArray =>
  mapped(x, (v) => (Number.isFinite(v) ? Math.abs(v) : 0));

/** The errors that take part in a sum; see `finite`. */
export const errorsIn = ({ value, error }: Bounded): HostArray | null =>
  error && mapped(error, (e, i) => (Number.isFinite(value.data[i]) || Number.isNaN(e) ? e : 0));

/**
 * The error of a sum of terms of this magnitude. Partial sums may overflow where it is beyond
 * float32: then nothing is known. Small terms may be lost.
 */
export const sumError = (magnitude: number): number =>
  magnitude > LARGEST
    ? NaN
    : SUM_FACTOR * ULP * magnitude + (magnitude > 0 && magnitude < 2 ** -100 ? 2 ** -126 : 0);

/** The result has no error of its own, and does not depend on errors of the inputs. */
export const exact: Rule = () => null;

/** Elements are moved or chosen: so are their errors. */
export const moved: Rule = (node, inputs) =>
  inputs.every((x) => x.error === null) ? null : applied(node, inputs.map(errorsOf));

/** y is a sum of inputs with weights ≥ 0. */
export const summed: Rule = (node, [x]) => {
  const magnitude = applied(node, [finite(x.value)]);
  const error = errorsIn(x);
  const carried = error && applied(node, [error]);
  return mapped(magnitude, (m, i) => sumError(m) + (carried?.data[i] ?? 0));
};
