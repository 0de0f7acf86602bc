// Where every value of a plan lives and for how long: in a buffer given at run time, or in one of
// the program's own.

import {
  allocationsOf,
  persistentFirst,
  root,
  sameDependencies,
  type Dependencies,
  type Pack,
  type Place,
} from "@conv/compiler";
import { sizeOf, type Graph, type Value } from "@conv/tensor";
import { BYTES, shaderOf, type Element } from "../wgsl/wgsl.ts";
import type { Caps } from "./caps.ts";
import type { GpuStage } from "./code.ts";
import type { Planned } from "./plan.ts";
import { shareSlots, type Lifetime } from "./slots.ts";

/** A buffer given at run time, or (`own`) one of the program's blocks. */
export interface Home {
  readonly kind: "input" | "output" | "own";
  readonly index: number;
}

export interface Block extends Lifetime {
  readonly element: Element;
  readonly by: Planned;
  readonly data?: Float32Array | Int32Array | undefined;
  /** For transformed weights that programs may share. */
  pack?: Pack | undefined;
}

/** A stage with its places resolved. */
export interface Placed {
  readonly stage: GpuStage;
  readonly by: Planned;
  readonly reads: readonly Home[];
  readonly writes: readonly Home[];
  /** How each of the reads, then of the writes, is stored. */
  readonly elements: readonly Element[];
  readonly code: string;
  /** The inputs that it depends on, if it need not run as long as they stay the same. */
  readonly once: Dependencies | null;
  /**
   * The block that it packs, where programs may share that: it need not run while the block is
   * right.
   */
  pack?: number | undefined;
}

/** A buffer for blocks that are not in use at the same time. */
export interface Slot {
  readonly bytes: number;
  /** What is in it outlasts a run. */
  readonly lasts: boolean;
  readonly pack: Pack | undefined;
}

export interface Placement {
  readonly stages: readonly Placed[];
  /** Lifetimes are counted in stages. */
  readonly blocks: readonly Block[];
  /** The slot of each block, and all slots, the largest first. */
  readonly slotOf: readonly number[];
  readonly slots: readonly Slot[];
  readonly homes: ReadonlyMap<Value, Home>;
}

/** Whole vectors of four, also where the last one is not full. */
export const roundUp = (bytes: number): number => Math.max(16, Math.ceil(bytes / 16) * 16);

/** Gives every value and every scratch block its home and its lifetime. */
export function place(graph: Graph, inOrder: readonly Planned[], caps: Caps): Placement {
  const { once, planned, causes } = persistentFirst(graph, inOrder, new Set());
  const blocks: (Block & { from: number; to: number })[] = [];
  const stages: Placed[] = [];
  const block = (
    by: Planned,
    element: Element,
    bytes: number,
    data?: Float32Array | Int32Array,
  ): Home => ({
    kind: "own",
    index:
      blocks.push({
        by,
        element,
        bytes: roundUp(bytes),
        from: stages.length,
        to: stages.length,
        data,
      }) - 1,
  });
  const storedAs = (v: Value): Element =>
    v.dtype === "int32" ? "i32" : caps.storage === "float16" ? "f16" : "f32";
  // A kernel may not read and write one buffer: no result takes the memory of an input.
  const tasks = planned.map((p) => ({ ...p, elementwise: new Set<Value>() }));
  const { homes, visit } = allocationsOf<Home>(graph, tasks, new Map(), [], {
    external: (kind, index) => ({ kind, index }),
    allocate: (v, i) => block(planned[i], storedAs(v), sizeOf(v.shape) * BYTES[storedAs(v)]),
    within: (whole) => whole,
  });
  const elementOf = (home: Home, v: Value | null): Element =>
    home.kind === "own" ? blocks[home.index].element : v?.dtype === "int32" ? "i32" : "f32";
  const permanent: Home[] = [];
  planned.forEach((p, i) => {
    const start = stages.length;
    const { scratch, stages: own } = p.kernel.build(p.task, caps);
    const always = once.get(p) ?? null;
    const { writes, reads } = visit(i);
    const causeOf = (index: number): Dependencies | undefined => causes.get(root(p.reads[index]));
    const packed = scratch.map(({ packs }) =>
      packs === undefined || always ? undefined : causeOf(packs),
    );
    const rooms = scratch.map((s, i) => {
      const room = block(p, s.element ?? "f32", s.bytes, s.data);
      if (s.data || packed[i]) permanent.push(room);
      return room;
    });
    const at = ({ of, index }: Place): Home =>
      (of === "in" ? reads : of === "out" ? writes : rooms)[index];
    const valueAt = ({ of, index }: Place): Value | null =>
      of === "in" ? p.reads[index] : of === "out" ? p.writes[index] : null;
    for (const stage of own) {
      const [{ place: into }] = stage.writes;
      const when =
        always ??
        (stage.writes.length === 1 && into.of === "scratch" ? packed[into.index] : null) ??
        null;
      for (const { place: from } of stage.reads)
        if (from.of === "in" && !sameDependencies(causeOf(from.index), when))
          permanent.push(reads[from.index]);
      const bound = [...stage.reads, ...stage.writes];
      const all = bound.map((b) => at(b.place));
      const elements = all.map((home, i) => elementOf(home, valueAt(bound[i].place)));
      stages.push({
        stage,
        by: p,
        reads: all.slice(0, stage.reads.length),
        writes: all.slice(stage.reads.length),
        elements,
        code: shaderOf(stage, elements),
        once: when,
      });
    }
    // Programs share what is packed of an input of theirs and of nothing else.
    scratch.forEach(({ packs }, i) => {
      const from = packed[i] && reads[packs!];
      const by = stages.slice(start).filter(({ writes }) => writes.includes(rooms[i]));
      if (
        from?.kind !== "input" ||
        !by.every((s) => s.writes.length === 1 && s.reads.every((r) => r === from))
      )
        return;
      const { index } = rooms[i];
      blocks[index].pack = {
        input: from.index,
        bytes: blocks[index].bytes,
        key: by.map(({ code }) => code).join(),
      };
      for (const s of by) s.pack = index;
    });
    // What a task writes in several stages lives from its first, and its inputs until its last: no
    // two of them share a buffer.
    const last = Math.max(start, stages.length - 1);
    for (const home of [...reads, ...writes, ...rooms])
      if (home.kind === "own") blocks[home.index].to = last;
  });
  for (const home of permanent)
    if (home.kind === "own") Object.assign(blocks[home.index], { from: 0, to: stages.length });
  const { slotOf, bytes } = shareSlots(blocks);
  const slots = bytes.map((size, slot): Slot => {
    const [{ to, pack }] = blocks.filter((_, i) => slotOf[i] === slot); // what lasts is alone
    return { bytes: size, lasts: to === stages.length, pack };
  });
  return { stages, blocks, slotOf, slots, homes };
}

/**
 * A stage reads an input and writes an output, element by element: if they are one buffer, it can
 * do so in place.
 */
export interface Replacement {
  readonly input: number;
  readonly output: number;
  /** Where among the stage's reads, and among its writes. */
  readonly read: number;
  readonly write: number;
}

/**
 * What happens where an output's buffer is an input's: `unsafe[output]` are the inputs read by the
 * stage that first writes the output, or later; but for those that `inPlace` has, by stage, where
 * that one is the last to read them, and does so element by element.
 */
export function replacements(
  graph: Graph,
  { stages, homes }: Placement,
): { unsafe: number[][]; inPlace: Map<number, Replacement[]> } {
  const [written, read] = [graph.outputs.map(() => stages.length), graph.inputs.map(() => -1)];
  stages.forEach(({ reads, writes }, at) => {
    for (const { kind, index } of reads) if (kind === "input") read[index] = at;
    for (const { kind, index } of writes)
      if (kind === "output") written[index] = Math.min(written[index], at);
  });
  // What is an output itself is copied after the last stage.
  for (const v of graph.outputs) {
    const home = homes.get(root(v));
    if (home?.kind === "input") read[home.index] = stages.length;
  }
  const inPlace = new Map<number, Replacement[]>();
  const unsafe = written.map((first, output) =>
    read.flatMap((last, input) => {
      if (last < first) return [];
      const pair =
        last === first && first < stages.length
          ? pairOf(stages[first], graph.inputs[input], input, output)
          : null;
      if (!pair) return [input];
      inPlace.set(first, [...(inPlace.get(first) ?? []), pair]);
      return [];
    }),
  );
  return { unsafe, inPlace };
}

function pairOf(
  { stage, by, reads, writes }: Placed,
  value: Value,
  input: number,
  output: number,
): Replacement | null {
  const read = reads.findIndex(({ kind, index }) => kind === "input" && index === input);
  const write = writes.findIndex(({ kind, index }) => kind === "output" && index === output);
  const alike =
    stage.inPlace &&
    by.elementwise.has(value) &&
    stage.reads[read].width === stage.writes[write].width;
  const once = reads.filter(({ kind, index }) => kind === "input" && index === input).length === 1;
  return alike && once ? { input, output, read, write } : null;
}

/**
 * The stage with each of these inputs read from the output that replaces it, and how its bindings
 * are stored.
 */
export function inPlace(
  { stage, elements }: Placed,
  pairs: readonly Replacement[],
): [GpuStage, Element[]] {
  const dropped = new Set(pairs.map(({ read }) => read));
  const sources = Object.fromEntries(
    pairs.map(({ read, write }) => [stage.reads[read].name, stage.writes[write].name]),
  );
  const code = stage.inPlace!(sources);
  return [
    { ...stage, code, reads: stage.reads.filter((_, i) => !dropped.has(i)) },
    elements.filter((_, i) => !dropped.has(i)),
  ];
}
