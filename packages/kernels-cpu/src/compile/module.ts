// The WebAssembly module of a program: a function for each distinct stage, and `run`, which calls
// them in order with a barrier between dependent stages. Addresses of the program's own memory are
// constants. Those of inputs, outputs and shared memory are read from words at its start.

import type { Allocation } from "@conv/compiler";
import { WORDS } from "../runtime/runtime.ts";
import { atomics, i32, type Local, type Operand } from "../wasm/asm.ts";
import { Module, type Func } from "../wasm/module.ts";
import type { LaidOut, Placed } from "./layout.ts";

/**
 * The code of a program whose memory begins at `base`. `text`: the module keeps what moduleText
 * prints.
 */
export function generate(laidOut: LaidOut, base: number, threads: number, text: boolean): Module {
  const { stages, dependencies, words, packs, arena } = laidOut;
  const module = new Module({ text });
  const barrier = threads > 1 ? barrierFunc(module, threads) : null;
  const bodies = stages.map(({ stage }) => bodyOf(module, stage));
  const { word, addressIn } = addressing(laidOut, base);
  const conflicts = conflictsIn(laidOut);
  const dependencyOf = new Map(dependencies.map((d, i) => [d.join(), i]));
  const packOf = new Map(packs.map(({ id }, k) => [id, k]));
  const run = module.func("run", ["thread", "maySleep"], (f) => {
    const [thread, maySleep] = f.params;
    const part =
      threads > 1 ? { thread, from: f.local("i32", "from"), to: f.local("i32", "to") } : null;
    const arenaAt = arena ? f.let("i32", "arena", word(words.arena)) : 0;
    const address = (allocation: Allocation) => addressIn(arenaAt, allocation);
    let since: Access = { reads: [], writes: [] };
    stages.forEach((s, i) => {
      const { stage, reads, writes, threadScratch } = s;
      if (barrier && conflicts(s, since)) {
        f.call(barrier, maySleep);
        since = { reads: [], writes: [] };
      }
      since.reads.push(...reads);
      since.writes.push(...writes, ...(threadScratch ? [threadScratch] : []));
      const room = threadScratch
        ? i32.add(address(threadScratch), i32.mul(thread, stage.threadScratch!))
        : 0;
      const call = (from: Operand, to: Operand) =>
        f.call(bodies[i], ...[...reads, ...writes].map(address), from, to, room);
      const go = () =>
        part
          ? shareOut(f, stage.items, threads, base + 4 * (words.counters + i), part, call)
          : call(0, stage.items);
      if (s.pack !== null) f.if(word(words.packs + 2 * packOf.get(s.pack)! + 1), go);
      else if (s.invalidatedBy)
        f.if(word(words.dependencies + dependencyOf.get(s.invalidatedBy.join())!), go);
      else go();
    });
    if (barrier) f.call(barrier, maySleep);
  });
  module.export(run);
  return module;
}

/**
 * The function of a stage: addresses of its operands, a range of its pieces, its thread's scratch.
 */
const bodyOf = (module: Module, stage: Placed["stage"]): Func =>
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
  );

/** How `run` finds the words of the program and the addresses of allocations. */
function addressing({ graph, words, head, packs, arena, offsets, layout }: LaidOut, base: number) {
  const packOf = new Map(packs.map(({ id }, k) => [id, k]));
  const arenaStart = layout.bytes - head - arena;
  const word = (index: number) => i32.load(base + 4 * index);
  const addressIn = (arenaAt: Operand, { kind, index, offset }: Allocation): Operand => {
    if (kind !== "block")
      return i32.add(word(kind === "input" ? index : graph.inputs.length + index), offset);
    const pack = packOf.get(index);
    if (pack !== undefined) return i32.add(word(words.packs + 2 * pack), offset);
    const at = offsets[index] + offset;
    return at < arenaStart ? base + head + at : i32.add(arenaAt, at - arenaStart);
  };
  return { word, addressIn };
}

/** What has been read and written since the last barrier. */
interface Access {
  readonly reads: Allocation[];
  readonly writes: Allocation[];
}

/** Whether a stage must wait for those since the last barrier. */
function conflictsIn({ offsets }: LaidOut) {
  const start = ({ kind, index, offset }: Allocation) =>
    offset + (kind === "block" ? offsets[index] : 0);
  // One buffer may be several inputs, and an output too.
  const mayShare = (a: Allocation, b: Allocation): boolean => {
    if (a.kind !== b.kind) return a.kind !== "block" && b.kind !== "block";
    if (a.kind !== "block" && a.index !== b.index) return false;
    return start(a) < start(b) + b.bytes && start(b) < start(a) + a.bytes;
  };
  const meets = (a: readonly Allocation[], b: readonly Allocation[]) =>
    a.some((x) => b.some((y) => mayShare(x, y)));
  return (
    { reads, writes, threadScratch, disjointFromPrevious }: Placed,
    since: Access,
  ): boolean => {
    // If both write disjoint parts of one output, that output is no reason to wait.
    const [before, mine] = disjointFromPrevious
      ? [since.writes.filter((written) => !writes.includes(written)), []]
      : [since.writes, writes];
    const all = threadScratch ? [...mine, threadScratch] : mine;
    return meets(reads, before) || meets(all, since.reads) || meets(all, since.writes);
  };
}

/**
 * Divides pieces 0 … items−1 among the threads. Half of them are assigned in advance, equally, so
 * that a thread mostly finds in its caches what it wrote there. The rest is taken from a counter in
 * ever smaller parts, since cores and pieces are not equally fast: two threads then run 3×3 layers
 * of 14×14 and 28×28 1.85 times as fast as one thread, where equal halves gave 1.65.
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
      // other threads may have taken parts since: then this part is larger than necessary
      f.set(from, atomics.add(counter, to));
      f.brIf(i32.le(rest, from), 1);
      f.set(to, i32.add(from, to));
      call(i32.add(from, items - rest), i32.add(i32.min(to, rest), items - rest));
      f.br(0);
    }),
  );
}

/**
 * A barrier: the last thread that arrives releases the others. They spin for a while and then
 * sleep, if they may, for 50 ms at a time. In between they call `check`, which throws if a thread
 * has died.
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
            // About 8 µs. With 50, the time to sleep and wake up, MobileNetV2 on two threads ran a
            // seventh slower while another process was busy.
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
