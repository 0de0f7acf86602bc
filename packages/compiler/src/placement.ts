// From a plan to stages and memory, for all back ends: the code of each kernel with its operands
// resolved to allocations, the blocks of memory of the program with their lifetimes, and what lets a
// stage be skipped.

import { concatOp, sliceOp } from "@conv/ops";
import { bytesOf, type Graph, type Value } from "@conv/tensor";
import { allocateValues, partsOf, type Allocation, type Part } from "./allocation.ts";
import { root } from "./fusion.ts";
import type { Lifetime } from "./lifetimes.ts";
import { persistentFirst, sameDependencies, type Dependencies } from "./persistent.ts";
import type { Planned } from "./plan.ts";
import type { Place } from "./task.ts";

/** Memory that a kernel asks for, beside its operands. */
export interface ScratchRequest {
  readonly bytes: number;
  /** Written once, when the program is made (tables). */
  readonly data?: Float32Array | Int32Array | undefined;
  /**
   * Holds a rearrangement of this input of the task and of nothing else. If that input is persistent
   * (see persistent.ts), the stages that write the scratch are skipped until it changes: weights are
   * packed once. Programs share what they pack alike of an input of theirs.
   */
  readonly packs?: number | undefined;
}

/** A part of a kernel that runs after all stages before it. `B` names operands for the kernel's code. */
export interface StageRequest<B> {
  readonly reads: readonly B[];
  readonly writes: readonly B[];
  /** Bytes of memory that each thread has for itself. */
  readonly threadScratch?: number | undefined;
  /**
   * May run at the same time as the stage before it: both write disjoint parts of the same output.
   */
  readonly disjointFromPrevious?: boolean | undefined;
}

/** What a kernel makes of a task. */
export interface KernelCode<S> {
  readonly scratch: readonly ScratchRequest[];
  readonly stages: readonly S[];
}

/**
 * What a block is for: a value, or for a kernel, packed weights, a table, room to work in, or room
 * for each thread.
 */
export type BlockKind = "value" | "packed" | "table" | "scratch" | "threads";

/** A block of a program's memory. What outlasts a run has a lifetime that ends after the last stage. */
export interface Block<P, C> extends Lifetime {
  /** The task that asked for it. */
  readonly by: P;
  readonly kind: BlockKind;
  /** The first value in it, of kind "value"; else null. */
  readonly value: Value | null;
  /** The request of the kernel, of kinds "packed", "table" and "scratch"; else null. */
  readonly scratch: C | null;
  /**
   * For weights that programs may share: the input of the program that is packed, from which byte
   * on, and the stages that pack it.
   */
  readonly pack: {
    readonly input: number;
    readonly offset: number;
    readonly stages: number[];
  } | null;
}

/** A stage with its operands resolved. */
export interface Placed<P, S> {
  readonly stage: S;
  readonly by: P;
  readonly reads: readonly Allocation[];
  readonly writes: readonly Allocation[];
  readonly threadScratch: Allocation | null;
  readonly disjointFromPrevious: boolean;
  /** The inputs whose change makes the stage run again; null: it runs every time. */
  readonly invalidatedBy: Dependencies | null;
  /** The block of shared packed weights that it writes: it runs only when they are out of date. */
  readonly pack: number | null;
}

export interface Placement<P, S, C> {
  /** All tasks in the order in which they run. */
  readonly planned: readonly P[];
  /** Tasks that have a stage. */
  readonly busy: readonly P[];
  readonly stages: readonly Placed<P, S>[];
  /** Lifetimes count stages. */
  readonly blocks: readonly Block<P, C>[];
  readonly allocations: ReadonlyMap<Value, Allocation>;
  /** Values whose memory outlasts a run, since what makes them does not run every time. */
  readonly persistent: ReadonlySet<Value>;
}

/** How a back end uses memory. */
export interface PlacementRules<P, B, S extends StageRequest<B>, C extends ScratchRequest> {
  build(task: P): { readonly scratch: readonly C[]; readonly stages: readonly S[] };
  /** The place in the task that an operand of a stage stands for. */
  placeOf(operand: B): Place;
  bytes(v: Value): number;
  /**
   * Values may share memory: parts that end at multiples of so many bytes, and results with operands
   * that they replace (see allocation.ts). null: none may.
   */
  readonly aliasing: { readonly alignment: number } | null;
  readonly threads: number;
}

/** Assigns memory to every value and every scratch request of a plan, and resolves its stages. */
export function place<P extends Planned, B, S extends StageRequest<B>, C extends ScratchRequest>(
  graph: Graph,
  inOrder: readonly P[],
  rules: PlacementRules<P, B, S, C>,
): Placement<P, S, C> {
  const { bytes, aliasing, placeOf } = rules;
  const parts = aliasing ? partsOf(graph, aliasing.alignment) : new Map<Value, Part>();
  const shared = new Set([...parts.keys(), ...[...parts.values()].map((p) => p.whole)]);
  const { planned, invalidatedBy, dependencies } = persistentFirst(graph, inOrder, shared);
  const memory = createBlocks<P, C>(() => stages.length);
  const stages: Placed<P, S>[] = [];
  const busy: P[] = [];
  const { allocations, visit } = allocateValues(graph, planned, {
    parts: aliasing && parts,
    persistent: dependencies.keys(),
    bytes,
    block: (v, i) => memory.add(planned[i], "value", bytes(v), { value: v }).index,
  });
  planned.forEach((p, i) => {
    const start = stages.length;
    const { writes, reads } = visit(i);
    if (isSliceInPlace(p, parts)) return;
    const { scratch, stages: requested } = rules.build(p);
    const always = invalidatedBy.get(p) ?? null;
    // A slice lies in an input, whose number decides.
    const dependenciesOf = (index: number): Dependencies | undefined => {
      const { kind, index: input } = reads[index];
      return kind === "input" ? [input] : dependencies.get(root(p.reads[index]));
    };
    const packed = scratch.map(({ packs }) =>
      packs === undefined || always ? undefined : dependenciesOf(packs),
    );
    const rooms = scratch.map((s, j) => {
      const kind = s.data ? "table" : packed[j] ? "packed" : "scratch";
      const room = memory.add(p, kind, s.bytes, { scratch: s });
      if (kind !== "scratch") memory.keep(room);
      return room;
    });
    const at = (operand: B): Allocation => {
      const { of, index } = placeOf(operand);
      return (of === "in" ? reads : of === "out" ? writes : rooms)[index];
    };
    for (const stage of requested) {
      const [source] = stage.reads;
      if (p.task.op === concatOp && source && isPieceInPlace(p, placeOf(source).index, parts))
        continue;
      const [into] = stage.writes.map(placeOf);
      const when =
        always ?? (stage.writes.length === 1 && into.of === "scratch" ? packed[into.index] : null);
      for (const { of, index } of stage.reads.map(placeOf))
        if (of === "in" && !sameDependencies(dependenciesOf(index), when ?? null))
          memory.keep(reads[index]);
      stages.push({
        stage,
        by: p,
        reads: stage.reads.map(at),
        writes: stage.writes.map(at),
        threadScratch: stage.threadScratch
          ? memory.add(p, "threads", stage.threadScratch * rules.threads)
          : null,
        disjointFromPrevious: Boolean(stage.disjointFromPrevious) && stages.length > start,
        invalidatedBy: when ?? null,
        pack: null,
      });
    }
    rooms.forEach((room, j) => {
      const from = packed[j] && reads[scratch[j].packs!];
      if (from) sharePack(room, from, stages, start, memory.blocks);
    });
    // No two operands of a task share memory: each lives until the last stage of the task.
    memory.use([...reads, ...writes, ...rooms], Math.max(start, stages.length - 1));
    if (stages.length > start) busy.push(p);
  });
  const kept = memory.finish();
  const persistent = new Set([...dependencies.keys()].filter((v) => kept.has(allocations.get(v)!)));
  return { planned, busy, stages, blocks: memory.blocks, allocations, persistent };
}

/** The blocks of a program, and their lifetimes in stages. `now` is the number of the next stage. */
function createBlocks<P, C>(now: () => number) {
  type Mutable<T> = { -readonly [K in keyof T]: T[K] };
  const blocks: Mutable<Block<P, C>>[] = [];
  const kept = new Set<Allocation>();
  return {
    blocks,
    /** A block from the next stage on. */
    add(
      by: P,
      kind: BlockKind,
      bytes: number,
      { value = null, scratch = null }: Partial<Pick<Block<P, C>, "value" | "scratch">> = {},
    ): Allocation {
      const [from, to] = [now(), now()];
      const index = blocks.push({ by, kind, value, scratch, bytes, from, to, pack: null }) - 1;
      return { kind: "block", index, offset: 0, bytes };
    },
    /** These are in use until this stage. */
    use(allocations: readonly Allocation[], stage: number) {
      for (const { kind, index } of allocations) if (kind === "block") blocks[index].to = stage;
    },
    /** This outlasts the run. */
    keep: (allocation: Allocation) => void kept.add(allocation),
    /** To be called after the last stage. Returns all that outlasts the run. */
    finish(): ReadonlySet<Allocation> {
      for (const { kind, index } of kept)
        if (kind === "block") Object.assign(blocks[index], { from: 0, to: now() });
      return kept;
    },
  };
}

/** Whether a task only cuts a slice that is read from its operand. */
const isSliceInPlace = ({ task, reads, writes }: Planned, parts: ReadonlyMap<Value, Part>) =>
  task.op === sliceOp && parts.get(writes[0])?.whole === root(reads[0]);

/** Whether operand `index` of a concatenation has been written into the result. */
function isPieceInPlace(
  { reads, writes }: Planned,
  index: number,
  parts: ReadonlyMap<Value, Part>,
): boolean {
  const part = parts.get(root(reads[index]));
  const before = reads.slice(0, index).reduce((sum, v) => sum + bytesOf(v.spec), 0);
  return part?.whole === writes[0] && part?.offset === before;
}

/**
 * Marks a room and the stages from `start` on that write it as shared packed weights, if it is made
 * of an input of the program alone.
 */
function sharePack<P, S, C>(
  room: Allocation,
  from: Allocation,
  stages: Placed<P, S>[],
  start: number,
  blocks: { pack: Block<P, C>["pack"] }[],
): void {
  const by = [...stages.keys()].slice(start).filter((i) => stages[i].writes.includes(room));
  const alone = by.every((i) => {
    const { reads, writes } = stages[i];
    return writes.length === 1 && reads.every((r) => r === from);
  });
  if (from.kind !== "input" || !by.length || !alone) return;
  blocks[room.index].pack = { input: from.index, offset: from.offset, stages: by };
  for (const i of by) stages[i] = { ...stages[i], pack: room.index };
}
