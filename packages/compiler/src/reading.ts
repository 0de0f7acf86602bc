// What an op reads along one axis of an input, the one description behind receptive fields and the
// regions that single units read.

import {
  broadcastToOp,
  concatOp,
  convGradInputOp,
  convOp,
  isElementwise,
  logSoftmaxOp,
  matmulOp,
  maxOp,
  resampleOp,
  padOp,
  scatterAddOp,
  sliceOp,
  softmaxOp,
  sumOp,
  gatherOp,
  transposeOp,
  type ConvGeometry,
} from "@conv/ops";
import { isOp, type Node, type Window } from "@conv/tensor";

/**
 * Place `o` of axis `to` of the output reads the places under a window along the axis of the input,
 * or those of a list. Places outside the input are padding.
 */
export interface Reading {
  readonly to: number;
  readonly window?: Window | undefined;
  /** Exact, where the window is not, and where there is none. */
  readonly places?: ((o: number) => readonly number[]) | undefined;
}

/** A window of one element: output `o` reads input `o + start`. */
const shifted = (to: number, start = 0): Reading => ({
  to,
  window: { kernel: 1, stride: 1, dilation: 1, padLo: -start, padHi: 0 },
});

/**
 * What a node reads along an axis of input `i`; null where every output reads all of it, as for an
 * op that is not named here.
 */
export function readingOf(n: Node, i: number, axis: number): Reading | null {
  const from = n.inputs[i].shape;
  const to = n.outputs[0].shape;
  const same = shifted(axis);
  const windows = n.op.window?.(n.params);
  if (windows) {
    if (i > 0) return null;
    if (axis > 1) return { to: axis, window: windows[axis - 2] };
    return axis === 1 && isOp(n, convOp, convGradInputOp) ? { to: 1, places: channelsOf(n) } : same;
  }
  if (isElementwise(n) || isOp(n, broadcastToOp)) {
    const at = axis - from.length + to.length;
    return to[at] === from[axis] ? shifted(at) : null;
  }
  if (isOp(n, sumOp, maxOp)) return n.params.axes.includes(axis) ? null : same;
  if (isOp(n, softmaxOp, logSoftmaxOp)) return n.params.axis === axis ? null : same;
  if (isOp(n, resampleOp)) {
    const { rows, window } = n.params;
    return n.params.axis === axis
      ? { to: axis, window, places: (o) => rows[o].map(([place]) => place) }
      : same;
  }
  if (isOp(n, gatherOp) || isOp(n, scatterAddOp)) {
    const at = axis - 2 + i; // indices have no axis of rows
    const window = n.params.windows?.[at];
    return at < 0 ? same : window ? { to: at + 2, window } : null;
  }
  if (isOp(n, concatOp)) {
    const before = n.inputs.slice(0, i).reduce((sum, v) => sum + v.shape[axis], 0);
    return n.params.axis === axis ? { to: axis, places: (o) => [o - before] } : same;
  }
  if (isOp(n, padOp)) return shifted(axis, -n.params.lo[axis]);
  if (isOp(n, sliceOp)) return shifted(axis, n.params.start[axis]);
  if (isOp(n, transposeOp)) return shifted(n.params.order.indexOf(axis));
  if (isOp(n, matmulOp)) {
    const rank = from.length;
    const own = rank - 2 + i; // m of a, n of b; batch axes stay where they are
    const swapped = i === 0 ? n.params.transposeA : n.params.transposeB;
    if (axis < rank - 2) return same;
    return axis === (swapped ? 2 * rank - 3 - own : own) ? shifted(own) : null;
  }
  return null;
}

/** The channels of a convolution's input behind one of its output: those of its group. */
function channelsOf({
  op,
  params: { groups, ic, oc },
}: Node<ConvGeometry>): (channel: number) => number[] {
  const [here, there] = op === convOp ? [oc / groups, ic / groups] : [ic / groups, oc / groups];
  return (channel) =>
    Array.from({ length: there }, (_, c) => Math.floor(channel / here) * there + c);
}
