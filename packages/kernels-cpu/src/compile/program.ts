// A compiled program: the memory that it holds, and what a run passes to its code.

import { createFreshness, root, transfersOf, type Allocation, type Packed } from "@conv/compiler";
import {
  bytesOf,
  formatShape,
  message,
  rangeError,
  type Graph,
  type Program,
  type Value,
} from "@conv/tensor";
import type { Engine } from "../runtime/engine.ts";
import type { Heap } from "../runtime/memory.ts";
import type { CpuBuffer, Shared } from "../runtime/shared.ts";
import type { Module } from "../wasm/module.ts";
import type { Caps } from "./caps.ts";
import type { CpuKernel } from "./code.ts";
import { layOut, type Block, type LaidOut, type ProgramLayout } from "./layout.ts";
import { generate } from "./module.ts";
import type { Planned } from "./plan.ts";

export interface CpuProgram extends Program, ProgramLayout {
  /**
   * The generated code, made anew: kept, it would outweigh the program. `moduleText` makes it
   * readable.
   */
  readonly module: Module;
  /** Bytes that it shares with no other program. */
  readonly ownBytes: number;
}

/**
 * `next` returns a new number at each call. `remedy` ends the error for a task that no kernel
 * computes.
 */
export function compileProgram(
  source: Graph,
  caps: Caps,
  kernels: readonly CpuKernel[],
  heap: Heap,
  shared: Shared,
  engine: Engine,
  next: () => number,
  remedy?: string,
): CpuProgram {
  const laidOut = layOut(source, caps, kernels, remedy);
  const { graph, blocks, words, own: ownBytes, packs, arena, layout } = laidOut;
  const room = <R>(make: () => R): R => withRoom(make, layout.bytes, blocks);
  const id = next();
  const base = load(laidOut, id, heap, shared, engine, room);
  const spare = createSpare(graph, heap);
  const transfers = createTransfers(laidOut, spare.of);
  const look = createFreshness(laidOut.dependencies);
  // The first words of the program's memory; those of the counters stay 0.
  const view = new Int32Array(words.end);
  const head = new Uint8Array(view.buffer);
  let packed: readonly Packed<CpuBuffer, number>[] = [];
  return {
    ...layout,
    ownBytes,
    get module() {
      return generate(laidOut, base, engine.threads, true);
    },
    run(ins: readonly CpuBuffer[], outs: readonly CpuBuffer[]) {
      const addresses = ins.map((b) => b.address);
      const { targets, before, after } = transfers(
        addresses,
        outs.map((b) => b.address),
      );
      packed = room(() => shared.packs.bind(packs, ins, packed));
      view.set(addresses);
      view.set(targets, ins.length);
      view[words.arena] = shared.arena;
      const contents = packs.map(({ input }) => ins[input].version);
      packed.forEach((p, k) => {
        view[words.packs + 2 * k] = p.memory;
        view[words.packs + 2 * k + 1] = Number(p.version !== contents[k]);
      });
      const { changed, commit } = look(ins);
      changed.forEach((is, d) => (view[words.dependencies + d] = Number(is)));
      engine.run(id, base, head, before, after);
      commit();
      packed.forEach((p, k) => (p.version = contents[k]));
      for (const b of outs) b.version = next();
    },
    dispose() {
      engine.drop(id);
      heap.free(base);
      shared.release(arena);
      shared.packs.drop(packed);
      spare.dispose();
    },
  };
}

/**
 * Allocates a program's own memory, writes its tables, generates its code and loads it as program
 * `id`. Returns the address of the memory. If there is no room, it throws and holds nothing.
 */
function load(
  laidOut: LaidOut,
  id: number,
  heap: Heap,
  shared: Shared,
  engine: Engine,
  room: <R>(make: () => R) => R,
): number {
  const { blocks, offsets, head, own, arena } = laidOut;
  const base = room(() => heap.alloc(own));
  blocks.forEach(({ scratch }, i) => {
    const data = scratch?.data;
    if (data)
      engine.write(
        base + head + offsets[i],
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
  });
  try {
    const code = generate(laidOut, base, engine.threads, false).encode({
      shared: engine.threads > 1,
      maximum: engine.maximum,
    });
    const address = heap.alloc(code.length);
    try {
      engine.write(address, code);
      engine.load(id, address, code.length);
    } finally {
      heap.free(address);
    }
    try {
      room(() => shared.claim(arena));
    } catch (error) {
      engine.drop(id);
      throw error;
    }
  } catch (error) {
    heap.free(base);
    throw error;
  }
  return base;
}

/** Memory for outputs that are written elsewhere first, allocated when a run needs it. */
function createSpare({ outputs }: Graph, heap: Heap) {
  const made: number[] = []; // with holes
  return {
    of: (o: number): number => (made[o] ??= heap.alloc(bytesOf(outputs[o].spec))),
    dispose: () => made.forEach((address) => heap.free(address)),
  };
}

/** The copies of a run, see {@link transfersOf}. */
function createTransfers(
  { graph, planned, allocations }: LaidOut,
  spare: (output: number) => number,
) {
  return transfersOf(
    graph.outputs.map((v) => allocations.get(root(v))!),
    graph.outputs.map((v) => bytesOf(v.spec)),
    unsafeInputs(graph, planned, allocations),
    spare,
  );
}

/** Allocates memory for a program. If there is no room, the error names what needs most of it. */
function withRoom<R>(make: () => R, bytes: number, blocks: readonly Block[]): R {
  try {
    return make();
  } catch (cause) {
    if (!blocks.length) throw cause;
    const most = blocks.reduce((a, b) => (b.bytes > a.bytes ? b : a));
    const { op, path, outputs } = most.by.nodes[0];
    const what = `${path && `${path}: `}${op.name} into ${formatShape(outputs[0].shape)}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    const error = rangeError(
      "cpu",
      "program-too-large",
      message`the program needs ${{ bytes }} bytes, ${{ most: most.bytes }} of them for ${{ what }}: ${{ why }}`,
    );
    throw Object.assign(error, { cause });
  }
}

/**
 * For each output the inputs whose buffer it must not share: inputs that are read after any of the
 * output is written, or at the same time but not element by element.
 */
function unsafeInputs(
  graph: Graph,
  planned: readonly Planned[],
  allocations: ReadonlyMap<Value, Allocation>,
): number[][] {
  const indexIn = (kind: "input" | "output", v: Value): number => {
    const allocation = allocations.get(root(v));
    return allocation?.kind === kind ? allocation.index : -1;
  };
  const [written, read] = [graph.outputs.map(() => planned.length), graph.inputs.map(() => -1)];
  planned.forEach((p, at) => {
    for (const i of p.reads.map((v) => indexIn("input", v))) if (i >= 0) read[i] = at;
    for (const o of p.writes.map((v) => indexIn("output", v)))
      if (o >= 0) written[o] = Math.min(written[o], at);
  });
  return graph.outputs.map((output, o) => {
    const first = planned[written[o]];
    const perElement = (i: number) =>
      first.elementwise.has(graph.inputs[i]) &&
      first.writes.includes(root(output)) &&
      !alsoSliced(first, i);
    const alsoSliced = (p: Planned, i: number) =>
      p.reads.some((v) => root(v) !== graph.inputs[i] && indexIn("input", v) === i);
    return graph.inputs.flatMap((_, i) =>
      read[i] > written[o] || (read[i] === written[o] && !perElement(i)) ? [i] : [],
    );
  });
}
