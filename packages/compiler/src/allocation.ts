// Assigns memory to values. Aliasing avoids copies: an operand of a concatenation is written into
// the result, a slice is read from its operand, and an elementwise result reuses the memory of an
// operand that no later task reads.

import { concatOp, sliceOp } from "@conv/ops";
import { bytesOf, infoOf, isOp, sizeOf, stridesOf, type Graph, type Value } from "@conv/tensor";
import { root } from "./fusion.ts";
import type { Planned } from "./plan.ts";

/** A range of bytes in an input or output of the program, or in a block of its memory. */
export interface Allocation {
  readonly kind: "input" | "output" | "block";
  readonly index: number;
  readonly offset: number;
  readonly bytes: number;
}

/** A value that is stored inside another value, from byte `offset` on. */
export interface Part {
  readonly whole: Value;
  readonly offset: number;
}

/**
 * The operands of concatenations that can be written into the result, and the slices that can be
 * read from their operand. Outputs of the graph are never parts. A kernel may write up to the next
 * multiple of `alignment` bytes, so every part of a concatenation but the last ends at one.
 */
export function partsOf(graph: Graph, alignment: number): Map<Value, Part> {
  const parts = new Map<Value, Part>();
  const separate = new Set([...graph.inputs, ...graph.outputs.map(root)]);
  for (const n of graph.nodes) {
    const { inputs } = n;
    const [y] = n.outputs;
    if (isOp(n, sliceOp) && !separate.has(y)) {
      const [{ shape, dtype }] = inputs;
      const { start, size } = n.params;
      const cut = size.findLastIndex((n, a) => n < shape[a]);
      const strides = stridesOf(shape);
      if (sizeOf(size.slice(0, Math.max(0, cut))) === 1)
        parts.set(y, {
          whole: root(inputs[0]),
          offset: start.reduce((sum, s, a) => sum + s * strides[a], 0) * infoOf(dtype).bytes,
        });
    }
    if (!isOp(n, concatOp) || sizeOf(y.shape.slice(0, n.params.axis)) !== 1) continue;
    let offset = 0;
    inputs.forEach((v, i) => {
      const [x, bytes] = [root(v), bytesOf(v.spec)];
      const aligned =
        offset % alignment === 0 && (bytes % alignment === 0 || i === inputs.length - 1);
      if (aligned && bytes && x.node && !separate.has(x) && !parts.has(x))
        parts.set(x, { whole: y, offset });
      offset += bytes;
    });
  }
  return parts;
}

export interface AllocationOptions {
  /** See {@link partsOf}. null: no value shares memory with another. */
  readonly parts: ReadonlyMap<Value, Part> | null;
  /** Values whose memory is never reused. */
  readonly persistent: Iterable<Value>;
  bytes(v: Value): number;
  /** Makes a block for a value that task `task` is the first to write or read; returns its number. */
  block(v: Value, task: number): number;
}

/**
 * The allocations of values. `visit(i)` returns those that task `i` writes and reads; tasks must be
 * visited in order.
 */
export function allocateValues(
  graph: Graph,
  tasks: readonly Pick<Planned, "reads" | "writes" | "elementwise">[],
  { parts, persistent, bytes, block }: AllocationOptions,
): {
  allocations: ReadonlyMap<Value, Allocation>;
  visit(i: number): { writes: Allocation[]; reads: Allocation[] };
} {
  const allocations = new Map<Value, Allocation>();
  const put = (v: Value, kind: Allocation["kind"], index: number) =>
    allocations.set(v, { kind, index, offset: 0, bytes: bytes(v) });
  graph.inputs.forEach((v, i) => put(v, "input", i));
  graph.outputs.map(root).forEach((v, i) => allocations.has(v) || put(v, "output", i));
  const lastRead = parts
    ? lastReads(tasks, [
        ...allocations.keys(),
        ...parts.keys(),
        ...[...parts.values()].map(({ whole }) => whole),
        ...persistent,
      ])
    : new Map<Value, number>();
  const allocationOf = (v: Value, task: number): Allocation => {
    const part = parts?.get(v);
    if (!allocations.has(v)) {
      if (part) {
        const whole = allocationOf(part.whole, task);
        allocations.set(v, { ...whole, offset: whole.offset + part.offset, bytes: bytes(v) });
      } else put(v, "block", block(v, task));
    }
    return allocations.get(v)!;
  };
  return {
    allocations,
    visit(i) {
      const { reads, writes, elementwise } = tasks[i];
      const reusable = [...elementwise].filter((v) => lastRead.get(v) === i && allocations.has(v));
      for (const y of writes) {
        if (allocations.has(y) || parts?.has(y)) continue;
        const at = reusable.findIndex((v) => bytes(v) === bytes(y));
        if (at >= 0) allocations.set(y, allocations.get(reusable.splice(at, 1)[0])!);
      }
      return {
        writes: writes.map((v) => allocationOf(v, i)),
        reads: reads.map((v) => allocationOf(root(v), i)),
      };
    },
  };
}

/** The last task that reads each value, without the values of `except`. */
function lastReads(
  tasks: readonly Pick<Planned, "reads">[],
  except: Iterable<Value>,
): Map<Value, number> {
  const last = new Map<Value, number>();
  tasks.forEach(({ reads }, i) => reads.forEach((v) => last.set(root(v), i)));
  for (const v of except) last.delete(v);
  return last;
}
