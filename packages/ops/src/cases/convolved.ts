// The rounding error of convolutions, their gradients and matrix products: sums of products of two
// inputs.

import { hostArray, sizeOf, type HostArray, type Node, type Step } from "@conv/tensor";
import { convGradWeightOp } from "../conv.ts";
import type { ConvGeometry } from "../geometry.ts";
import {
  applied,
  errorsIn,
  finite,
  mapped,
  sumError,
  ULP,
  type Bounded,
  type Rule,
} from "./rounding.ts";

/**
 * y is a sum of products of elements of two inputs: |Δy| ≤ Σ |Δa·b| + |a·Δb| + |Δa·Δb|, and the
 * sum's own c·ULP·Σ|a·b|.
 */
const sums: Rule = (node, [a, b]) => {
  const [absA, absB] = [finite(a.value), finite(b.value)];
  const [errorA, errorB] = [errorsIn(a), errorsIn(b)];
  const magnitude = applied(node, [absA, absB]);
  const fromA =
    errorA && applied(node, [errorA, errorB ? mapped(absB, (v, i) => v + errorB.data[i]) : absB]);
  const fromB = errorB && applied(node, [absA, errorB]);
  return mapped(magnitude, (m, i) => sumError(m) + (fromA?.data[i] ?? 0) + (fromB?.data[i] ?? 0));
};

/**
 * Devices may multiply by the zeros around the input. So NaN may come of a weight (for the weight's
 * gradient: an output) that is not finite and meets them: where an element sees fewer of these than
 * its channels have.
 */
function meetingPadding(
  node: Node<ConvGeometry>,
  inputs: readonly Bounded[],
  error: HostArray | null,
): HostArray | null {
  const at = node.op === convGradWeightOp ? 0 : 1;
  const bad = mapped(inputs[at].value, (v) => Number(!Number.isFinite(v)));
  if (!error || !bad.data.includes(1)) return error;
  const seen = applied(
    node,
    inputs.map((x, i) => (i === at ? bad : mapped(x.value, () => 1))),
  );
  // The same of planes that are one element each, with the number that a plane has.
  const one = (x: HostArray) =>
    hostArray({ ...x, shape: x.shape.map((size, axis) => (axis < 2 ? size : 1)) });
  const [counts, ones] = [one(bad), mapped(one(inputs[1 - at].value), () => 1)];
  const size = sizeOf(bad.shape.slice(2));
  bad.data.forEach((v, i) => (counts.data[Math.floor(i / size)] += v));
  const g = node.params;
  const [zeros, single] = [0, 1].map((v) => g.input.map(() => v));
  const small = {
    ...g,
    input: single,
    kernel: single,
    output: single,
    stride: single,
    dilation: single,
    padLo: zeros,
    padHi: zeros,
  };
  const [all] = node.op.reference(at === 0 ? [counts, ones] : [ones, counts], small);
  return mapped(error, (e, i) =>
    seen.data[i] < all.data[Math.floor((i * all.data.length) / error.data.length)] ? NaN : e,
  );
}

/**
 * A step that states a roundoff may be off by that much of the largest of each plane, in addition
 * to the error of each element.
 */
function withStated(
  node: Node,
  inputs: readonly Bounded[],
  error: HostArray | null,
  steps: readonly Step[],
): HostArray | null {
  const params = JSON.stringify(node.params);
  const roundoff = Math.max(
    ...steps
      .filter((s) => s.nodes.some((n) => n.op === node.op && JSON.stringify(n.params) === params))
      .map((s) => s.roundoff ?? 0),
  );
  if (!error || !(roundoff > 0)) return error;
  // The weight has no planes; both operands of its gradient have.
  const [a, b] = inputs.map((x, i) =>
    i === 0 || node.op === convGradWeightOp ? planeMax(finite(x.value)) : finite(x.value),
  );
  const magnitude = planeMax(applied(node, [a, b]));
  return mapped(error, (e, i) => e + roundoff * ULP * magnitude.data[i]);
}

/** Matrix products. */
export const multiplied: Rule = (node, inputs, y, steps) =>
  withStated(node, inputs, sums(node, inputs, y, steps), steps);

/** Convolutions and their gradients. */
export const convolved: Rule<ConvGeometry> = (node, inputs, y, steps) =>
  withStated(node, inputs, meetingPadding(node, inputs, sums(node, inputs, y, steps)), steps);

/** Every element replaced by the largest of its plane: of all with the same first two indices. */
function planeMax(x: HostArray): HostArray {
  const size = sizeOf(x.shape.slice(2));
  const result = hostArray(x);
  for (let at = 0; at < x.data.length; at += size)
    result.data.fill(
      x.data.subarray(at, at + size).reduce((a, b) => Math.max(a, b), 0),
      at,
      at + size,
    );
  return result;
}
