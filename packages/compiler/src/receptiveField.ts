// Receptive fields: which part of the input an output depends on, carried forward node by node over
// all paths of the graph. For windows these are the recurrences of Araujo, Norris and Sim,
// "Computing Receptive Fields of CNNs", Distill 2019.

import { reshapeOp } from "@conv/ops";
import { isOp, stridesOf, type Graph, type Node, type Value, type Window } from "@conv/tensor";
import { readingOf } from "./reading.ts";

/**
 * Along one spatial axis of the input: output `o` depends on inputs from `start + jump·o` on,
 * `size` of them. What lies outside the input is padding. `jump` 0 means that every output has the
 * same field (after flattening, say). After a transposed convolution `jump` is a fraction and
 * `size` the largest over the outputs.
 */
export interface ReceptiveField {
  readonly size: number;
  readonly jump: number;
  readonly start: number;
}

/** A field, and the axis of the value along which it moves; null when it is the same everywhere. */
interface Moving extends ReceptiveField {
  readonly along: number | null;
}

/**
 * Receptive fields in the input `x` (n, c, …space) of every value that depends on it, one for each
 * spatial axis of x.
 */
export function receptiveFields(graph: Graph, x: Value): Map<Value, ReceptiveField[]> {
  const known = new Map<Value, Moving[]>();
  known.set(
    x,
    x.shape.slice(2).map((_, a) => ({ size: 1, jump: 1, start: 0, along: a + 2 })),
  );
  for (const n of graph.nodes) {
    const inputs = n.inputs.flatMap((v, i) => (known.has(v) ? [{ i, fields: known.get(v)! }] : []));
    if (inputs.length === 0) continue;
    for (const y of n.outputs) {
      const moved = inputs.map(({ i, fields }) => fields.map((f) => through(n, i, f)));
      known.set(
        y,
        moved[0].map((_, a) =>
          join(
            moved.map((fields) => fields[a]),
            y.shape,
          ),
        ),
      );
    }
  }
  return new Map(
    [...known].map(([v, fields]) => [
      v,
      fields.map(({ size, jump, start }) => ({ size, jump, start })),
    ]),
  );
}

/** The field of one input of a node as its output sees it. */
function through(n: Node, i: number, field: Moving): Moving {
  const { along } = field;
  const from = n.inputs[i].shape;
  const all = { ...over(field, along === null ? 1 : from[along]), along: null };
  if (along === null) return all;
  if (isOp(n, reshapeOp)) return reshaped(field, along, from, n.outputs[0].shape) ?? all;
  const reading = readingOf(n, i, along);
  return reading?.window ? { ...slide(field, reading.window), along: reading.to } : all;
}

/**
 * An axis survives where its elements stay equally many and equally far apart, where one behind it
 * becomes part of it, or is split off it.
 */
function reshaped(
  field: Moving,
  along: number,
  from: readonly number[],
  to: readonly number[],
): Moving | null {
  const [size, stride] = [from[along], stridesOf(from)[along]];
  const strides = stridesOf(to);
  const same = to.findIndex((s, a) => s === size && strides[a] === stride);
  if (same >= 0) return { ...field, along: same };
  const joined = to.findIndex((s, a) => s > size && (strides[a] * s) / size === stride);
  const split = to.findIndex((s, a) => s > 1 && s < size && (strides[a] * s) / size === stride);
  if (joined < 0 && split < 0) return null;
  const axis = joined >= 0 ? joined : split;
  const r = joined >= 0 ? to[axis] / size : size / to[axis];
  return {
    ...slide(field, {
      kernel: r,
      stride: r,
      dilation: 1,
      padLo: 0,
      padHi: 0,
      transposed: joined >= 0,
    }),
    along: axis,
  };
}

/** What `count` neighboring outputs depend on together. */
const over = ({ size, jump, start }: ReceptiveField, count: number): ReceptiveField => ({
  size: size + Math.max(0, count - 1) * jump,
  jump: 0,
  start,
});

function slide(field: Moving, w: Window): Moving {
  const { size, jump, start } = field;
  const reach = (w.kernel - 1) * w.dilation;
  // Output i of a transposed window hears from the inputs o with i = o·stride − padLo + k·dilation,
  // 0 ≤ k < kernel.
  if (w.transposed)
    return {
      ...field,
      size: size + Math.floor(reach / w.stride) * jump,
      jump: jump / w.stride,
      start: start + Math.ceil((w.padLo - reach) / w.stride) * jump,
    };
  return {
    ...field,
    size: size + reach * jump,
    jump: jump * w.stride,
    start: start - w.padLo * jump,
  };
}

/**
 * The smallest field that holds all of them. Fields that move differently are joined over all
 * outputs.
 */
function join(fields: readonly Moving[], shape: readonly number[]): Moving {
  const [first] = fields;
  const together = fields.every((f) => f.along === first.along && f.jump === first.jump);
  const parts = together
    ? fields
    : fields.map((f) => over(f, f.along === null ? 1 : shape[f.along]));
  const start = Math.min(...parts.map((f) => f.start));
  const size = Math.max(...parts.map((f) => f.start + f.size)) - start;
  return together ? { ...first, start, size } : { start, size, jump: 0, along: null };
}
