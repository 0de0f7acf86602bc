// The part of the input behind one output unit: found backwards, node by node over all paths, as
// sets of places along each axis. Padding is no input, and a dilated window has holes: what is told
// is what the unit really reads.

import { reshapeOp } from "@conv/ops";
import {
  isOp,
  formatShape,
  freeInputs,
  graphOf,
  message,
  shapeError,
  sizeOf,
  stridesOf,
  type Node,
  type Value,
  type Window,
} from "@conv/tensor";
import { readingOf } from "./reading.ts";

/**
 * Along one spatial axis of the input: the first and last place that the unit reads, and how many
 * in between.
 */
export interface Region {
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

/**
 * Places along each axis; together they are a box, perhaps with holes, that holds every element
 * read.
 */
type Box = readonly ReadonlySet<number>[];

// elements of a box that a change of shape looks at one by one; of a larger one it takes the whole
const MOST = 1 << 18;

/**
 * What the unit `index` of `y` reads of `x` (n, c, …space), for each spatial axis of x; null if it
 * reads nothing. Throws ShapeError for an index that y does not have.
 */
export function inputRegion(x: Value, y: Value, index: readonly number[]): Region[] | null {
  if (
    index.length !== y.shape.length ||
    index.some((i, a) => !Number.isInteger(i) || i < 0 || i >= y.shape[a])
  )
    throw shapeError(
      "inputRegion",
      "unit-out-of-range",
      message`there is no unit ${{ unit: index.join("×") }} in an output of shape ${{ shape: formatShape(y.shape) }}`,
    );
  const boxes = new Map<Value, Box>([[y, index.map((i) => new Set([i]))]]);
  for (const n of graphOf([x, ...freeInputs([y])], [y]).nodes.toReversed())
    for (const output of n.outputs) {
      const box = boxes.get(output);
      if (!box) continue;
      n.inputs.forEach((v, i) => {
        const read = behind(n, i, box);
        if (read.every((places) => places.size > 0)) boxes.set(v, union(boxes.get(v), read));
      });
    }
  const box = boxes.get(x);
  return box
    ? box.slice(2).map((places) => ({
        first: Math.min(...places),
        last: Math.max(...places),
        count: places.size,
      }))
    : null;
}

const union = (a: Box | undefined, b: Box): Box =>
  a ? a.map((places, axis) => new Set([...places, ...b[axis]])) : b;
const every = (size: number): Set<number> => new Set(Array(size).keys());

/** What a box of the output reads of input `i`. */
function behind(n: Node, i: number, box: Box): Box {
  const from = n.inputs[i].shape;
  if (isOp(n, reshapeOp)) return reshaped(box, n.outputs[0].shape, from);
  return from.map((size, a) => {
    const reading = readingOf(n, i, a);
    if (!reading) return every(size);
    const places = reading.places ?? under(reading.window!);
    return new Set([...box[reading.to]].flatMap(places).filter((p) => p >= 0 && p < size));
  });
}

/** The places of the input under the window of output `o`. */
function under(w: Window): (o: number) => number[] {
  const taps = Array.from({ length: w.kernel }, (_, k) => k * w.dilation - w.padLo);
  return w.transposed
    ? (o) => taps.map((tap) => (o - tap) / w.stride).filter(Number.isInteger) // o = i·stride + tap
    : (o) => taps.map((tap) => o * w.stride + tap);
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
  if (
    box.every((places, a) => places.size === to[a]) ||
    sizeOf(box.map((places) => places.size)) > MOST
  )
    return from.map(every);
  const strides = stridesOf(to);
  const flat = box.reduce<number[]>(
    (offsets, places, a) => offsets.flatMap((o) => [...places].map((p) => o + p * strides[a])),
    [0],
  );
  return stridesOf(from).map(
    (stride, a) => new Set(flat.map((o) => Math.floor(o / stride) % from[a])),
  );
}
