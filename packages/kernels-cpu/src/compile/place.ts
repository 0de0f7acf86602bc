// Where every value and every scratch block of a plan lives, and for how long.

import {
  allocationsOf,
  persistentFirst,
  partsOf,
  root,
  sameDependencies,
  type Dependencies,
  type Pack,
} from "@conv/compiler";
import { concatOp, sliceOp } from "@conv/ops";
import { bytesOf, type Graph, type Value } from "@conv/tensor";
import type { Lifetime } from "./arena.ts";
import type { Caps } from "./caps.ts";
import type { CpuCode, Place, Stage } from "./code.ts";
import type { Planned } from "./plan.ts";

/** A range of bytes: in a buffer given at run time, or in a block of the program's own memory. */
export type Home = { readonly offset: number; readonly bytes: number } & (
  | { readonly kind: "input" | "output"; readonly index: number }
  | Own
);
type Own = { readonly kind: "own"; readonly id: number };

/**
 * What a block is for: a value, or for a kernel, packed weights, a table written when the program
 * is made, room to work in, or room for each thread.
 */
export type BlockKind = "value" | "packed" | "table" | "scratch" | "threads";

export interface Block extends Lifetime {
  /** The task that asked for it. */
  readonly by: Planned;
  readonly kind: BlockKind;
  /** The first value in it; null where the kind is another. */
  readonly value: Value | null;
  readonly data?: Float32Array | Int32Array | undefined;
  /** For packed weights that programs may share: the input that they are made of, and how. */
  readonly pack: Pack | null;
}

/** A stage with its places resolved, and what lets it be skipped. */
export interface Placed {
  readonly stage: Stage;
  /** It has nothing to fear from the stage before it (see {@link Stage}). */
  readonly beside: boolean;
  readonly reads: readonly Home[];
  readonly writes: readonly Home[];
  readonly own: Home | null;
  /** The inputs that it depends on, if it need not run as long as they stay the same. */
  readonly once: Dependencies | null;
  /**
   * The block that it packs, where programs may share that: it need not run while the block is
   * right.
   */
  readonly pack: number | null;
}

export interface Placement {
  /** All tasks, in the order in which they run. */
  readonly planned: readonly Planned[];
  readonly stages: readonly Placed[];
  /** Lifetimes are counted in stages; what outlasts a run ends with the number of stages. */
  readonly blocks: readonly Block[];
  readonly homes: ReadonlyMap<Value, Home>;
  /** The tasks that are left with anything to do. */
  readonly busy: readonly Planned[];
  /**
   * Values that are kept from run to run: what makes them need not run every time that they are
   * read.
   */
  readonly lasting: ReadonlySet<Value>;
}

/** Gives every value and every scratch block its home and its lifetime. */
export function place(graph: Graph, inOrder: readonly Planned[], caps: Caps): Placement {
  const parts = partsOf(graph);
  const { once, planned, causes } = persistentFirst(
    graph,
    inOrder,
    new Set([...parts.keys(), ...[...parts.values()].map((p) => p.whole)]),
  );
  const blocks: (Block & { from: number; to: number })[] = [];
  const stages: Placed[] = [];
  /** Memory from the next stage on; `to` is known later. */
  const block = (
    by: Planned,
    kind: BlockKind,
    bytes: number,
    { value = null, data, pack = null }: Partial<Block> = {},
  ): Home & Own => ({
    kind: "own",
    id:
      blocks.push({ by, kind, value, bytes, from: stages.length, to: stages.length, data, pack }) -
      1,
    offset: 0,
    bytes,
  });
  const { homes, visit } = allocationsOf<Home>(graph, planned, parts, causes.keys(), {
    external: (kind, index, { spec }) => ({ kind, index, offset: 0, bytes: bytesOf(spec) }),
    allocate: (v, i) => block(planned[i], "value", bytesOf(v.spec), { value: v }),
    within: (whole, offset, { spec }) => ({
      ...whole,
      offset: whole.offset + offset,
      bytes: bytesOf(spec),
    }),
  });
  const permanent: Home[] = [];
  const busy: Planned[] = [];
  planned.forEach((p, i) => {
    const start = stages.length;
    const [y] = p.writes;
    // what no task makes is empty: it needs an address, but no memory
    const { writes, reads } = visit(i);
    if (p.task.op === sliceOp && parts.get(y)?.whole === root(p.reads[0])) return;
    const before = (index: number) =>
      p.reads.slice(0, index).reduce((sum, v) => sum + bytesOf(v.spec), 0);
    const isInPlace = (index: number) =>
      ((part) => part?.whole === y && part.offset === before(index))(
        parts.get(root(p.reads[index])),
      );
    const code = p.kernel.build(p.task, caps);
    const { scratch, stages: own } = code;
    const always = once.get(p) ?? null;
    // A slice lies in an input, whose number decides.
    const causeOf = (index: number): Dependencies | undefined => {
      const home = reads[index];
      return home.kind === "input" ? [home.index] : causes.get(root(p.reads[index]));
    };
    const packed = scratch.map(({ packs }) =>
      packs === undefined || always ? undefined : causeOf(packs),
    );
    const shared = scratch.map(({ packs }, j) => packed[j] && packOf(code, j, reads[packs!]));
    const rooms = scratch.map((s, j) => {
      const room = block(p, s.data ? "table" : packed[j] ? "packed" : "scratch", s.bytes, {
        data: s.data,
        pack: shared[j],
      });
      if (s.data || packed[j]) permanent.push(room);
      return room;
    });
    const at = ({ of, index }: Place): Home =>
      (of === "in" ? reads : of === "out" ? writes : rooms)[index];
    for (const stage of own) {
      if (p.task.op === concatOp && isInPlace(stage.reads[0].index)) continue;
      const into =
        stage.writes.length === 1 && stage.writes[0].of === "scratch" ? stage.writes[0].index : -1;
      const when = always ?? packed[into] ?? null;
      for (const { of, index } of stage.reads)
        if (of === "in" && !sameDependencies(causeOf(index), when)) permanent.push(reads[index]);
      stages.push({
        stage,
        beside: Boolean(stage.disjointFromPrevious) && stages.length > start,
        reads: stage.reads.map(at),
        writes: stage.writes.map(at),
        own: stage.threadScratch ? block(p, "threads", stage.threadScratch * caps.threads) : null,
        once: when,
        pack: shared[into] ? rooms[into].id : null,
      });
    }
    const last = Math.max(start, stages.length - 1);
    for (const home of [...reads, ...writes, ...rooms])
      if (home.kind === "own") blocks[home.id].to = last;
    if (stages.length > start) busy.push(p);
  });
  for (const home of permanent)
    if (home.kind === "own") Object.assign(blocks[home.id], { from: 0, to: stages.length });
  const lasting = new Set([...causes.keys()].filter((v) => permanent.includes(homes.get(v)!)));
  return { planned, stages, blocks, homes, busy, lasting };
}

/** How scratch `index` is packed, if all that is in it comes of an input of the program alone. */
function packOf({ scratch, stages }: CpuCode, index: number, from: Home): Pack | null {
  const { packs, bytes } = scratch[index];
  const by = stages.filter(({ writes }) =>
    writes.some((w) => w.of === "scratch" && w.index === index),
  );
  const alone = by.every(
    ({ reads, writes }) =>
      writes.length === 1 && reads.every((r) => r.of === "in" && r.index === packs),
  );
  const key = () =>
    [from.offset, bytes, ...by.map(({ name, items }) => `${name} ${items}`)].join("\n");
  return from.kind === "input" && by.length && alone
    ? { input: from.index, bytes, key: key() }
    : null;
}
