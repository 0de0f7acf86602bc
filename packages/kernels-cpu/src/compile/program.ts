// A plan made into one WebAssembly module and the memory it runs in. Addresses of the program's own
// memory are constants; those of inputs, outputs and what it shares with other programs come as
// words, and are passed to the functions that do the work.

import { root, type Allocation, type Packed } from "@conv/compiler";
import {
  bytesOf,
  formatShape,
  type Buffer,
  type Graph,
  type Program,
  type Value,
} from "@conv/tensor";
import type { Engine } from "../runtime/engine.ts";
import type { Heap } from "../runtime/memory.ts";
import { WORDS, type Copy } from "../runtime/runtime.ts";
import type { Shared } from "../runtime/shared.ts";
import { atomics, i32, type Local, type Operand } from "../wasm/asm.ts";
import { Module, type Func } from "../wasm/module.ts";
import type { Caps } from "./caps.ts";
import type { CpuKernel } from "./code.ts";
import { layOut, type Block, type LaidOut, type Placed, type ProgramLayout } from "./layout.ts";
import type { Planned } from "./plan.ts";

/** A buffer of this back end. `version` names its contents: no two contents have the same. */
export interface CpuBuffer extends Buffer {
  readonly address: number;
  version: number;
}

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
  const {
    graph,
    planned,
    blocks,
    allocations,
    dependencies,
    words,
    head,
    own: ownBytes,
    packs,
    arena,
    offsets,
    layout,
  } = laidOut;
  const room = <R>(make: () => R): R => withRoom(make, layout.bytes, blocks);
  const base = room(() => heap.alloc(ownBytes));
  blocks.forEach(({ scratch }, i) => {
    const data = scratch?.data;
    if (data)
      engine.write(
        base + head + offsets[i],
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      );
  });

  const id = next();
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

  const sources = graph.outputs.map((v) => allocations.get(root(v))!);
  const direct = sources.map((source, o) => source.kind === "output" && source.index === o);
  const sizes = graph.outputs.map((v) => bytesOf(v.spec));
  const overwrites = unsafeInputs(graph, planned, allocations);
  const seen = dependencies.map((inputs) => inputs.map(() => -1));
  const spare: number[] = [];
  // The first words of the program's memory; those of the counters stay 0.
  const view = new Int32Array(words.end);
  const headBytes = new Uint8Array(view.buffer);
  let packed: readonly Packed<CpuBuffer, number>[] = [];
  return {
    ...layout,
    ownBytes,
    get module() {
      return generate(laidOut, base, engine.threads, true);
    },
    run(ins: readonly CpuBuffer[], outs: readonly CpuBuffer[]) {
      // Outputs that would overwrite an input too early go through spare memory; those that are
      // inputs are copied.
      const targets = outs.map((b, o) =>
        direct[o] && overwrites[o].some((i) => ins[i] === b)
          ? (spare[o] ??= heap.alloc(sizes[o]))
          : b.address,
      );
      packed = room(() => shared.packs.bind(packs, ins, packed));
      view[words.arena] = shared.arena;
      const contents = packs.map(({ input }) => ins[input].version);
      packed.forEach((p, k) => {
        view[words.packs + 2 * k] = p.memory;
        view[words.packs + 2 * k + 1] = Number(p.version !== contents[k]);
      });
      ins.forEach((b, i) => (view[i] = b.address));
      dependencies.forEach(
        (inputs, c) =>
          (view[words.dependencies + c] = Number(
            inputs.some((i, j) => seen[c][j] !== ins[i].version),
          )),
      );
      const before: Copy[] = [];
      const after: Copy[] = [];
      outs.forEach((b, o) => {
        const source = sources[o];
        const size = sizes[o];
        if (direct[o]) {
          view[ins.length + o] = targets[o];
          if (targets[o] !== b.address) after.push([b.address, targets[o], size]);
        } else if (source.kind === "input") {
          const from = ins[source.index];
          if (from === b) return;
          // An input that is an output too is copied before it is written.
          const kept = outs.includes(from) ? (spare[o] ??= heap.alloc(size)) : from.address;
          if (kept !== from.address) before.push([kept, from.address, size]);
          after.push([b.address, kept, size]);
        } else
          // the same value as an earlier output
          after.push([b.address, outs[source.kind === "output" ? source.index : o].address, size]);
      });
      const versions = dependencies.map((inputs) => inputs.map((i) => ins[i].version));
      engine.run(id, base, headBytes, before, after);
      versions.forEach((now, c) => (seen[c] = now));
      packed.forEach((p, k) => (p.version = contents[k]));
      for (const b of outs) b.version = next();
    },
    dispose() {
      engine.drop(id);
      heap.free(base);
      shared.release(arena);
      shared.packs.drop(packed);
      for (const address of spare) if (address !== undefined) heap.free(address);
    },
  };
}

/** The code of a program whose memory begins at `base`. */
function generate(
  { graph, stages, dependencies, words, head, packs, arena, offsets, layout }: LaidOut,
  base: number,
  threads: number,
  text: boolean,
): Module {
  const numbers = new Map(dependencies.map((c, i) => [c.join(), i]));
  const numberOf = new Map(packs.map(({ id }, k) => [id, k]));
  const arenaStart = layout.bytes - head - arena;
  // Buffers of different names may be one, and an output's may be an input's.
  const start = (h: Allocation) => h.offset + (h.kind === "block" ? offsets[h.index] : 0);
  const mayShare = (a: Allocation, b: Allocation): boolean => {
    if (a.kind !== b.kind) return a.kind !== "block" && b.kind !== "block";
    if (a.kind !== "block" && b.kind !== "block" && a.index !== b.index) return false;
    return start(a) < start(b) + b.bytes && start(b) < start(a) + a.bytes;
  };
  const meets = (a: readonly Allocation[], b: readonly Allocation[]) =>
    a.some((x) => b.some((y) => mayShare(x, y)));
  const conflicts = (
    { reads, writes, threadScratch, disjointFromPrevious }: Placed,
    since: { reads: readonly Allocation[]; writes: readonly Allocation[] },
  ): boolean => {
    // If both write disjoint parts of one output, that output is nothing to wait for.
    const [before, mine] = disjointFromPrevious
      ? [since.writes.filter((h) => !writes.includes(h)), []]
      : [since.writes, writes];
    const all = threadScratch ? [...mine, threadScratch] : mine;
    return meets(reads, before) || meets(all, since.reads) || meets(all, since.writes);
  };
  const word = (index: number) => i32.load(base + 4 * index);
  const addressIn = (arenaAt: Operand, allocation: Allocation): Operand => {
    if (allocation.kind !== "block")
      return i32.add(
        word(
          allocation.kind === "input" ? allocation.index : graph.inputs.length + allocation.index,
        ),
        allocation.offset,
      );
    const pack = numberOf.get(allocation.index);
    if (pack !== undefined) return i32.add(word(words.packs + 2 * pack), allocation.offset);
    const at = offsets[allocation.index] + allocation.offset;
    return at < arenaStart ? base + head + at : i32.add(arenaAt, at - arenaStart);
  };
  const module = new Module({ text });
  const barrier = threads > 1 ? barrierFunc(module, threads) : null;
  const bodies = stages.map(({ stage }) =>
    module.func(
      stage.name,
      [
        ...stage.reads.map((_, i) => `in${i}`),
        ...stage.writes.map((_, i) => `out${i}`),
        "lo",
        "hi",
        "own",
      ],
      (f) => {
        const at = f.params.slice(0, -3);
        const [lo, hi, threadScratch] = f.params.slice(-3) as [Local, Local, Local];
        stage.emit(module, f, at, { lo, hi, threadScratch });
      },
    ),
  );
  const run = module.func("run", ["thread", "maySleep"], (f) => {
    const [thread, maySleep] = f.params;
    const part =
      threads > 1 ? { thread, from: f.local("i32", "from"), to: f.local("i32", "to") } : null;
    const arenaAt = arena ? f.let("i32", "arena", word(words.arena)) : 0;
    const address = (allocation: Allocation) => addressIn(arenaAt, allocation);
    let since: { reads: Allocation[]; writes: Allocation[] } = { reads: [], writes: [] };
    stages.forEach((s, i) => {
      const { stage } = s;
      if (barrier && conflicts(s, since)) {
        f.call(barrier, maySleep);
        since = { reads: [], writes: [] };
      }
      since.reads.push(...s.reads);
      since.writes.push(...s.writes, ...(s.threadScratch ? [s.threadScratch] : []));
      const room = s.threadScratch
        ? i32.add(address(s.threadScratch), i32.mul(thread, stage.threadScratch!))
        : 0;
      const call = (from: Operand, to: Operand) =>
        f.call(bodies[i], ...[...s.reads, ...s.writes].map(address), from, to, room);
      const go = () =>
        part
          ? shareOut(f, stage.items, threads, base + 4 * (words.counters + i), part, call)
          : call(0, stage.items);
      if (s.pack !== null) f.if(word(words.packs + 2 * numberOf.get(s.pack)! + 1), go);
      else if (s.invalidatedBy)
        f.if(word(words.dependencies + numbers.get(s.invalidatedBy.join())!), go);
      else go();
    });
    if (barrier) f.call(barrier, maySleep);
  });
  module.export(run);
  return module;
}

/**
 * What `make` reserves for a program; where there is no room, the error names what asks for most of
 * it.
 */
function withRoom<R>(make: () => R, bytes: number, blocks: readonly Block[]): R {
  try {
    return make();
  } catch (cause) {
    if (!blocks.length) throw cause;
    const most = blocks.reduce((a, b) => (b.bytes > a.bytes ? b : a));
    const { op, path, outputs } = most.by.nodes[0];
    const what = `${path && `${path}: `}${op.name} into ${formatShape(outputs[0].shape)}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(
      `cpu: the program needs ${bytes} bytes, ${most.bytes} of them for ${what}: ${why}`,
      { cause },
    );
  }
}

/**
 * For each output the inputs whose buffer it must not share: they are read after any of it is
 * written, or not element by element.
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

/**
 * Divides pieces 0 … items−1 among the threads. Half of them are given out beforehand, equally, so
 * that a thread mostly finds in its own caches what it wrote there; the rest is taken from a
 * counter in ever smaller parts, since cores and pieces are not equally fast: two threads then run
 * 3×3 layers of 14×14 and 28×28 1.85 times as fast as one, where equal halves gave 1.65.
 */
function shareOut(
  f: Func,
  items: number,
  threads: number,
  counter: number,
  { thread, from, to }: Record<"thread" | "from" | "to", Local>,
  call: (from: Operand, to: Operand) => void,
): void {
  const given = Math.floor(items / (2 * threads));
  const rest = items - given * threads;
  if (given) {
    f.set(from, i32.mul(thread, given));
    call(from, i32.add(from, given));
  }
  f.block(() =>
    f.loop(() => {
      f.set(to, i32.sub(rest, atomics.load(counter)));
      f.brIf(i32.le(to, 0), 1);
      f.set(to, i32.div(i32.add(to, 2 * threads - 1), 2 * threads));
      // others may have been here: then this part is larger than it needs to be
      f.set(from, atomics.add(counter, to));
      f.brIf(i32.le(rest, from), 1);
      f.set(to, i32.add(from, to));
      call(i32.add(from, items - rest), i32.add(i32.min(to, rest), items - rest));
      f.br(0);
    }),
  );
}

/**
 * All threads meet: the last to come sets the others free. They look for a while before they sleep,
 * where they may. They sleep 50 ms at a time, and ask in between whether all others live (`check`
 * throws if not).
 */
function barrierFunc(m: Module, threads: number): Func {
  const check = m.import("check");
  const [count, current, sleepers] = [
    WORDS.barrierCount,
    WORDS.barrierGeneration,
    WORDS.barrierSleepers,
  ].map((word) => 4 * word);
  return m.func("barrier", ["maySleep"], (f) => {
    const [maySleep] = f.params as [Local];
    const generation = f.let("i32", "generation", atomics.load(current));
    f.if(
      i32.eq(atomics.add(count, 1), threads - 1),
      () => {
        f.emit(atomics.store(count, 0));
        f.emit(atomics.add(current, 1), [{ op: "drop", imm: [] }]);
        f.if(atomics.load(sleepers), () => f.emit(atomics.notifyAll(current)));
      },
      () => {
        const spins = f.local("i32", "spins");
        f.block(() =>
          f.loop(() => {
            // Some 8 µs. With 50, the time that sleeping and waking take, MobileNetV2 on two
            // threads ran a seventh slower beside a busy process.
            f.set(spins, 20000);
            f.loop(() => {
              f.brIf(i32.ne(atomics.load(current), generation), 2);
              f.bump(spins, -1);
              f.brIf(spins, 0);
            });
            f.if(maySleep, () => {
              f.emit(atomics.add(sleepers, 1), [{ op: "drop", imm: [] }]);
              f.emit(atomics.wait(current, generation, 50e6));
              f.emit(atomics.add(sleepers, -1), [{ op: "drop", imm: [] }]);
            });
            f.call(check);
            f.br(0);
          }),
        );
      },
    );
  });
}
