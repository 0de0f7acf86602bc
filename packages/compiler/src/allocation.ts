// Where values live. What only joins or cuts values moves nothing if it can be helped: the pieces
// of a concatenation are written where they belong in it, a slice is read where it lies, and a
// result takes the memory of an input that dies.

import { concatOp, sliceOp, type ConcatParams, type SliceParams } from "@conv/ops";
import { bytesOf, sizeOf, stridesOf, type Graph, type Value } from "@conv/tensor";
import { root, type Planned } from "./plan.ts";

/** A value that is part of another, from this byte on. */
export interface Part {
  readonly whole: Value;
  readonly offset: number;
}

/**
 * Kernels may store whole cache lines at the end of a value, so that no piece may end within one
 * but the last.
 */
const LINE = 64;

/**
 * Pieces that can be written straight into a concatenation, and slices that can be read where they
 * lie. What is asked for as an output stays itself.
 */
export function partsOf(graph: Graph): Map<Value, Part> {
  const parts = new Map<Value, Part>();
  const apart = new Set([...graph.inputs, ...graph.outputs.map(root)]);
  for (const { op, params, inputs, outputs } of graph.nodes) {
    const [y] = outputs as [Value];
    if (op === sliceOp && !apart.has(y)) {
      const [{ shape }] = inputs as [Value];
      const { start, size } = params as SliceParams;
      const cut = size.findLastIndex((n, a) => n < shape[a]!);
      const strides = stridesOf(shape);
      if (sizeOf(size.slice(0, Math.max(0, cut))) === 1)
        parts.set(y, {
          whole: root(inputs[0]!),
          offset: start.reduce((sum, s, a) => sum + s * strides[a]!, 0) * 4,
        });
    }
    if (op !== concatOp || sizeOf(y.shape.slice(0, (params as ConcatParams).axis)) !== 1) continue;
    let offset = 0;
    inputs.forEach((v, i) => {
      const [x, bytes] = [root(v), bytesOf(v.spec)];
      const alone = offset % LINE === 0 && (bytes % LINE === 0 || i === inputs.length - 1);
      if (alone && bytes && x.node && !apart.has(x) && !parts.has(x))
        parts.set(x, { whole: y, offset });
      offset += bytes;
    });
  }
  return parts;
}

/**
 * How homes are made: of an input or output of the graph, of a value with memory of its own from a
 * task on, and of one within another's.
 */
export interface Allocations<H> {
  external(kind: "input" | "output", index: number, v: Value): H;
  allocate(v: Value, task: number): H;
  within(whole: H, offset: number, v: Value): H;
}

/**
 * The homes of values, and `visit(i)`, which gives those that task `i` writes and reads: tasks must
 * be visited in order. A result takes the memory of an input that no task reads after, where that
 * is read element by element; nothing takes the memory of `lasting`.
 */
export function allocationsOf<H>(
  graph: Graph,
  tasks: readonly Pick<Planned, "reads" | "writes" | "elementwise">[],
  parts: ReadonlyMap<Value, Part>,
  lasting: Iterable<Value>,
  make: Allocations<H>,
): { homes: ReadonlyMap<Value, H>; visit(i: number): { writes: H[]; reads: H[] } } {
  const homes = new Map<Value, H>();
  graph.inputs.forEach((v, i) => homes.set(v, make.external("input", i, v)));
  graph.outputs
    .map(root)
    .forEach((v, i) => homes.has(v) || homes.set(v, make.external("output", i, v)));
  const last = new Map<Value, number>();
  tasks.forEach(({ reads }, i) => reads.forEach((v) => last.set(root(v), i)));
  for (const v of [
    ...homes.keys(),
    ...parts.keys(),
    ...[...parts.values()].map(({ whole }) => whole),
    ...lasting,
  ])
    last.delete(v);
  const homeOf = (v: Value, task: number): H => {
    if (!homes.has(v)) {
      const part = parts.get(v);
      homes.set(
        v,
        part ? make.within(homeOf(part.whole, task), part.offset, v) : make.allocate(v, task),
      );
    }
    return homes.get(v)!;
  };
  return {
    homes,
    visit(i) {
      const { reads, writes, elementwise } = tasks[i]!;
      const dying = [...elementwise].filter((v) => last.get(v) === i && homes.has(v));
      for (const y of writes) {
        const at =
          homes.has(y) || parts.has(y)
            ? -1
            : dying.findIndex((v) => bytesOf(v.spec) === bytesOf(y.spec));
        if (at >= 0) homes.set(y, homes.get(dying.splice(at, 1)[0]!)!);
      }
      return {
        writes: writes.map((v) => homeOf(v, i)),
        reads: reads.map((v) => homeOf(root(v), i)),
      };
    },
  };
}
