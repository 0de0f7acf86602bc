// The part of the input behind one output unit: found backwards, node by node over all paths, as sets of places along each axis. Padding is no
// input, and a dilated window has holes: what is told is what the unit really reads.

import {
  broadcastToOp,
  concatOp,
  convGradInputOp,
  convOp,
  isElementwise,
  logSoftmaxOp,
  matmulOp,
  maxOp,
  mixOp,
  padOp,
  reshapeOp,
  sliceOp,
  softmaxOp,
  sumOp,
  transposeOp,
  type ConvGeometry,
} from "@conv/ops";
import { formatShape, graphOf, shapeError, sizeOf, stridesOf, type Node, type Op, type Value, type Window } from "@conv/tensor";

/** Along one spatial axis of the input: the first and last place that the unit reads, and how many in between. */
export interface Region {
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/** Places along each axis; together they are a box, perhaps with holes, that holds every element read. */
type Box = readonly ReadonlySet<number>[];

const MOST = 1 << 18; // elements of a box that a change of shape looks at one by one; of a larger one it takes the whole

/**
 * What the unit `index` of `y` reads of `x` (n, c, …space), for each spatial axis of x; null if it reads nothing. Throws ShapeError for an index that y
 * does not have.
 */
export function inputRegion(x: Value, y: Value, index: readonly number[]): Region[] | null {
  if (index.length !== y.shape.length || index.some((i, a) => !Number.isInteger(i) || i < 0 || i >= y.shape[a]))
    throw shapeError("inputRegion", `there is no unit ${index.join("×")} in an output of shape ${formatShape(y.shape)}`);
  const boxes = new Map<Value, Box>([[y, index.map((i) => new Set([i]))]]);
  for (const n of graphOf([x, ...freeInputs(y)], [y]).nodes.toReversed())
    for (const output of n.outputs) {
      const box = boxes.get(output);
      if (!box) continue;
      n.inputs.forEach((v, i) => {
        const read = behind(n, i, box);
        if (read.every((places) => places.size > 0)) boxes.set(v, union(boxes.get(v), read));
      });
    }
  const box = boxes.get(x);
  return box ? box.slice(2).map((places) => ({ first: Math.min(...places), last: Math.max(...places), count: places.size })) : null;
}

function freeInputs(y: Value): Value[] {
  const seen = new Set<Value>([y]);
  for (const v of seen) for (const before of v.node?.inputs ?? []) seen.add(before);
  return [...seen].filter((v) => v.node === null);
}

const union = (a: Box | undefined, b: Box): Box => (a ? a.map((places, axis) => new Set([...places, ...b[axis]])) : b);
const every = (size: number): Set<number> => new Set(Array(size).keys());
const applies = <P>(n: Node, ...ops: Op<P>[]): n is Node<P> => ops.some((op) => n.op === op);
const collect = (places: Iterable<number>, from: (place: number) => Iterable<number>): Set<number> =>
  new Set([...places].flatMap((p) => [...from(p)]));

/** What a box of the output reads of input `i`. An op not named here is taken to read everything. */
function behind(n: Node, i: number, box: Box): Box {
  const from = n.inputs[i].shape;
  const all = from.map(every);
  const replaced = (axis: number, places: ReadonlySet<number>) => box.map((own, a) => (a === axis ? places : own));
  const moved = (by: readonly number[]) =>
    box.map((own, a) => new Set([...own].flatMap((p) => (p + by[a] >= 0 && p + by[a] < from[a] ? [p + by[a]] : []))));
  const windows = n.op.window?.(n.params);
  if (windows) {
    if (i !== 0) return all;
    const channels = applies<ConvGeometry>(n, convOp, convGradInputOp) ? groupsOf(n, box[1]) : box[1];
    return [box[0], channels, ...windows.map((w, a) => seen(w, box[a + 2], from[a + 2]))];
  }
  if (isElementwise(n) || applies(n, broadcastToOp)) {
    const skip = n.outputs[0].shape.length - from.length;
    return from.map((size, a) => (size === n.outputs[0].shape[a + skip] ? box[a + skip] : every(size)));
  }
  if (applies(n, sumOp, maxOp)) return from.map((size, a) => (n.params.axes.includes(a) ? every(size) : box[a]));
  if (applies(n, mixOp)) {
    const { axis, rows } = n.params;
    return replaced(
      axis,
      collect(box[axis], (j) => rows[j].map(([place]) => place)),
    );
  }
  if (applies(n, softmaxOp, logSoftmaxOp)) return replaced(n.params.axis, every(from[n.params.axis]));
  if (applies(n, concatOp)) {
    const { axis } = n.params;
    const before = n.inputs.slice(0, i).reduce((sum, v) => sum + v.shape[axis], 0);
    return moved(from.map((_, a) => (a === axis ? -before : 0)));
  }
  if (applies(n, padOp)) return moved(n.params.lo.map((lo) => -lo));
  if (applies(n, sliceOp)) return moved(n.params.start);
  if (applies(n, transposeOp)) return from.map((_, a) => box[n.params.order.indexOf(a)]);
  if (applies(n, reshapeOp)) return reshaped(box, n.outputs[0].shape, from);
  if (applies(n, matmulOp)) {
    const swapped = i === 0 ? n.params.transposeA : n.params.transposeB;
    const rank = from.length;
    const own = i === 0 ? rank - 2 : rank - 1; // m of a, n of b
    return from.map((size, a) => (a < rank - 2 ? box[a] : a === (swapped ? 2 * rank - 3 - own : own) ? box[own] : every(size)));
  }
  return all;
}

/** The channels of the groups that the given ones belong to, on the other side of a convolution. */
function groupsOf({ op, params: { groups, ic, oc } }: Node<ConvGeometry>, channels: ReadonlySet<number>): Set<number> {
  const [here, there] = op === convOp ? [oc / groups, ic / groups] : [ic / groups, oc / groups];
  return collect(new Set([...channels].map((c) => Math.floor(c / here))), (g) => Array.from({ length: there }, (_, c) => g * there + c));
}

/** Places of the input under the windows of the given outputs. */
function seen(w: Window, outputs: ReadonlySet<number>, size: number): Set<number> {
  const taps = Array.from({ length: w.kernel }, (_, k) => k * w.dilation - w.padLo);
  const at = w.transposed
    ? (o: number) => taps.map((tap) => (o - tap) / w.stride).filter(Number.isInteger) // o = i·stride + tap
    : (o: number) => taps.map((tap) => o * w.stride + tap);
  return collect(outputs, (o) => at(o).filter((i) => i >= 0 && i < size));
}

/** Through a change of shape: axes that together hold equally many elements are taken together. */
function reshaped(box: Box, to: readonly number[], from: readonly number[]): Box {
  const result: Set<number>[] = [];
  let [t, f] = [0, 0];
  while (f < from.length || t < to.length) {
    const [t0, f0] = [t, f];
    let [above, below] = [to[t++] ?? 1, from[f++] ?? 1];
    while (above !== below && (t < to.length || f < from.length)) {
      if (above < below && t < to.length) above *= to[t++];
      else if (f < from.length) below *= from[f++];
      else above *= to[t++];
    }
    result.push(...regrouped(box.slice(t0, t), to.slice(t0, t), from.slice(f0, f)));
  }
  return result;
}

function regrouped(box: Box, to: readonly number[], from: readonly number[]): Set<number>[] {
  if (to.length === 1 && from.length === 1) return [new Set(box[0])];
  if (box.every((places, a) => places.size === to[a]) || sizeOf(box.map((places) => places.size)) > MOST) return from.map(every);
  const strides = stridesOf(to);
  const flat = box.reduce<number[]>((offsets, places, a) => offsets.flatMap((o) => [...places].map((p) => o + p * strides[a])), [0]);
  return stridesOf(from).map((stride, a) => new Set(flat.map((o) => Math.floor(o / stride) % from[a])));
}
