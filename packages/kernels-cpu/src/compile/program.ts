// What the back end does: it allocates, writes and reads buffers, and compiles graphs to programs.

import { createFreshness, plan, root, transfersOf, type Packed } from "@conv/compiler";
import {
  bytesOf,
  formatShape,
  message,
  optimize,
  rangeError,
  type Driver,
  type Graph,
  type Program,
} from "@conv/tensor";
import type { Engine } from "../runtime/engine.ts";
import type { Heap } from "../runtime/memory.ts";
import { createShared, type CpuBuffer, type Shared } from "../runtime/shared.ts";
import type { Module } from "../wasm/module.ts";
import { layOut, unsafeInputs, type Block, type LaidOut, type ProgramLayout } from "./layout.ts";
import { generate } from "./module.ts";
import type { Selection } from "./selection.ts";

export interface CpuProgram extends Program, ProgramLayout {
  /**
   * The generated code, made anew: kept, it would outweigh the program. `moduleText` makes it
   * readable.
   */
  readonly module: Module;
  /** Bytes that it shares with no other program. */
  readonly ownBytes: number;
}

/** `prefer` replaces that of the back end for this program. */
export interface CompileOptions {
  readonly prefer?: readonly string[] | undefined;
}

/** The driver of a back end. `next` returns a new number at each call. */
export function createDriver(
  heap: Heap,
  engine: Engine,
  selection: Selection,
  next: () => number,
): Driver<CpuBuffer, CpuProgram, CompileOptions> {
  const shared = createShared(heap);
  return {
    alloc: (bytes) => ({ bytes, address: heap.alloc(bytes), version: next() }),
    free(buffer) {
      shared.packs.forget(buffer);
      heap.free(buffer.address);
    },
    write(buffer, data) {
      engine.write(buffer.address, data);
      buffer.version = next();
    },
    read: async ({ address, bytes }) => engine.read(address, bytes),
    compile(source, { prefer = selection.caps.prefer } = {}) {
      const graph = optimize(source);
      const caps = { ...selection.caps, prefer };
      const planned = plan(graph, { ...selection, caps });
      return createProgram(layOut(graph, planned, caps), heap, shared, engine, next);
    },
    programBytes: (programs) => [...programs].reduce((sum, p) => sum + p.ownBytes, shared.bytes()),
    close: engine.dispose,
  };
}

function createProgram(
  laidOut: LaidOut,
  heap: Heap,
  shared: Shared,
  engine: Engine,
  next: () => number,
): CpuProgram {
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
const createTransfers = (laidOut: LaidOut, spare: (output: number) => number) =>
  transfersOf(
    laidOut.graph.outputs.map((v) => laidOut.allocations.get(root(v))!),
    laidOut.graph.outputs.map((v) => bytesOf(v.spec)),
    unsafeInputs(laidOut),
    spare,
  );

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
