// Where every value of a plan lives and for how long. What only joins or cuts values moves nothing if it can be helped: the pieces of a
// concatenation are written where they belong in it, a slice is read where it lies, and a result takes the memory of an input that dies.

import { concatOp, sliceOp, type ConcatParams, type SliceParams } from "@conv/ops";
import { onceFirst, root, sameCauses, type Causes, type Pack } from "@conv/ops/plan";
import { bytesOf, sizeOf, stridesOf, type Graph, type Value } from "@conv/tensor";
import type { Lifetime } from "./arena.ts";
import type { Caps } from "./caps.ts";
import type { CpuCode, Place, Stage } from "./code.ts";
import type { Planned } from "./plan.ts";

/** A range of bytes: in a buffer given at run time, or in a block of the program's own memory. */
export type Home = { readonly offset: number; readonly bytes: number } & ({ readonly kind: "input" | "output"; readonly index: number } | Own);
type Own = { readonly kind: "own"; readonly id: number };

/** What a block is for: a value, or for a kernel, packed weights, a table written when the program is made, room to work in, or room for each thread. */
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
  readonly once: Causes | null;
  /** The block that it packs, where programs may share that: it need not run while the block is right. */
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
  /** Values that are kept from run to run: what makes them need not run every time that they are read. */
  readonly lasting: ReadonlySet<Value>;
}

/** A value that is part of another, from this byte on. */
interface Part {
  readonly whole: Value;
  readonly offset: number;
}

/** Kernels may store whole cache lines at the end of a value, so that no piece may end within one but the last. */
const LINE = 64;

/** Gives every value and every scratch block its home and its lifetime. */
export function place(graph: Graph, inOrder: readonly Planned[], caps: Caps): Placement {
  const homes = new Map<Value, Home>();
  graph.inputs.forEach((v, index) => homes.set(v, { kind: "input", index, offset: 0, bytes: bytesOf(v.spec) }));
  graph.outputs.forEach((v, index) => {
    if (!homes.has(root(v))) homes.set(root(v), { kind: "output", index, offset: 0, bytes: bytesOf(v.spec) });
  });
  const parts = partsOf(graph, inOrder);
  const { once, planned, causes } = onceFirst(graph, inOrder, new Set([...parts.keys(), ...[...parts.values()].map((p) => p.whole)]));
  const dying = lastReads(graph, planned, parts);
  for (const v of causes.keys()) dying.delete(v);
  const blocks: (Block & { from: number; to: number })[] = [];
  const stages: Placed[] = [];
  /** Memory from the next stage on; `to` is known later. */
  const block = (by: Planned, kind: BlockKind, bytes: number, { value = null, data, pack = null }: Partial<Block> = {}): Home & Own => ({
    kind: "own",
    id: blocks.push({ by, kind, value, bytes, from: stages.length, to: stages.length, data, pack }) - 1,
    offset: 0,
    bytes,
  });
  const homeOf = (v: Value, by: Planned): Home => {
    const known = homes.get(v);
    if (known) return known;
    const part = parts.get(v);
    const whole = part && homeOf(part.whole, by);
    const bytes = bytesOf(v.spec);
    const home = whole ? { ...whole, offset: whole.offset + part.offset, bytes } : block(by, "value", bytes, { value: v });
    homes.set(v, home);
    return home;
  };
  const permanent: Home[] = [];
  const busy: Planned[] = [];
  planned.forEach((p, i) => {
    const start = stages.length;
    // The memory of an input that nobody reads after, if this task reads it element by element, becomes that of a result.
    const heirs = once.has(p) ? [] : [...p.elementwise].filter((v) => dying.get(v) === i && homes.get(v)?.kind === "own");
    for (const y of p.writes) {
      const at = homes.has(y) || parts.has(y) ? -1 : heirs.findIndex((v) => bytesOf(v.spec) === bytesOf(y.spec));
      if (at >= 0) homes.set(y, homes.get(heirs.splice(at, 1)[0])!);
    }
    const [y] = p.writes;
    const writes = p.writes.map((v) => homeOf(v, p));
    const reads = p.reads.map((v) => homeOf(root(v), p)); // what no task makes is empty: it needs an address, but no memory
    if (p.task.op === sliceOp && parts.get(y)?.whole === root(p.reads[0])) return;
    const before = (index: number) => p.reads.slice(0, index).reduce((sum, v) => sum + bytesOf(v.spec), 0);
    const isInPlace = (index: number) => ((part) => part?.whole === y && part.offset === before(index))(parts.get(root(p.reads[index])));
    const code = p.kernel.build(p.task, caps);
    const { scratch, stages: own } = code;
    const always = once.get(p) ?? null;
    const causeOf = (index: number): Causes | null => {
      const home = reads[index];
      return home.kind === "input" ? [home.index] : (causes.get(root(p.reads[index])) ?? null);
    };
    const packed = scratch.map(({ packs }) => (packs === undefined || always ? null : causeOf(packs)));
    const shared = scratch.map(({ packs }, j) => packed[j] && packOf(code, j, reads[packs!]));
    const rooms = scratch.map((s, j) => {
      const room = block(p, s.data ? "table" : packed[j] ? "packed" : "scratch", s.bytes, { data: s.data, pack: shared[j] });
      if (s.data || packed[j]) permanent.push(room);
      return room;
    });
    const at = ({ of, index }: Place): Home => (of === "in" ? reads : of === "out" ? writes : rooms)[index];
    for (const stage of own) {
      if (p.task.op === concatOp && isInPlace(stage.reads[0].index)) continue;
      const into = stage.writes.length === 1 && stage.writes[0].of === "scratch" ? stage.writes[0].index : -1;
      const packs = packed[into] ?? null;
      const when = always ?? packs;
      for (const { of, index } of stage.reads) if (of === "in" && !sameCauses(causes.get(root(p.reads[index])), when)) permanent.push(reads[index]);
      stages.push({
        stage,
        beside: Boolean(stage.beside) && stages.length > start,
        reads: stage.reads.map(at),
        writes: stage.writes.map(at),
        own: stage.perThread ? block(p, "threads", stage.perThread * caps.threads) : null,
        once: when,
        pack: shared[into] ? rooms[into].id : null,
      });
    }
    const last = Math.max(start, stages.length - 1);
    for (const home of [...reads, ...writes, ...rooms]) if (home.kind === "own") blocks[home.id].to = last;
    if (stages.length > start) busy.push(p);
  });
  for (const home of permanent) if (home.kind === "own") Object.assign(blocks[home.id], { from: 0, to: stages.length });
  const lasting = new Set([...causes.keys()].filter((v) => permanent.includes(homes.get(v)!)));
  return { planned, stages, blocks, homes, busy, lasting };
}

/** How scratch `index` is packed, if all that is in it comes of an input of the program alone. */
function packOf({ scratch, stages }: CpuCode, index: number, from: Home): Pack | null {
  const { packs, bytes } = scratch[index];
  const by = stages.filter(({ writes }) => writes.some((w) => w.of === "scratch" && w.index === index));
  const alone = by.every(({ reads, writes }) => writes.length === 1 && reads.every((r) => r.of === "in" && r.index === packs));
  const key = () => [from.offset, bytes, ...by.map(({ name, items }) => `${name} ${items}`)].join("\n");
  return from.kind === "input" && by.length && alone ? { input: from.index, bytes, key: key() } : null;
}

/** Pieces that can be written straight into a concatenation, and slices that can be read where they lie. What is asked for as an output stays itself. */
function partsOf(graph: Graph, planned: readonly Planned[]): Map<Value, Part> {
  const parts = new Map<Value, Part>();
  const kept = new Set(graph.outputs.map(root));
  const made = new Set(planned.flatMap((p) => p.writes));
  for (const { task, reads, writes } of planned) {
    const [y] = writes;
    if (task.op === sliceOp && !kept.has(y)) {
      const [{ shape }] = task.inputs;
      const { start, size } = task.params as SliceParams;
      const cut = size.findLastIndex((n, a) => n < shape[a]);
      const strides = stridesOf(shape);
      if (sizeOf(size.slice(0, Math.max(0, cut))) === 1)
        parts.set(y, { whole: root(reads[0]), offset: start.reduce((sum, s, a) => sum + s * strides[a], 0) * 4 });
    }
    if (task.op !== concatOp || sizeOf(y.shape.slice(0, (task.params as ConcatParams).axis)) !== 1) continue;
    let offset = 0;
    reads.forEach((v, i) => {
      const [x, bytes] = [root(v), bytesOf(v.spec)];
      const alone = offset % LINE === 0 && (bytes % LINE === 0 || i === reads.length - 1);
      if (alone && bytes && made.has(x) && !kept.has(x) && !parts.has(x)) parts.set(x, { whole: y, offset });
      offset += bytes;
    });
  }
  return parts;
}

/** The last task that reads each value which is neither part nor whole, an input or an output of the program. */
function lastReads(graph: Graph, planned: readonly Planned[], parts: ReadonlyMap<Value, Part>): Map<Value, number> {
  const last = new Map<Value, number>();
  planned.forEach((p, i) => p.reads.forEach((v) => last.set(root(v), i)));
  for (const v of [...graph.inputs, ...graph.outputs.map(root), ...parts.keys(), ...[...parts.values()].map((p) => p.whole)]) last.delete(v);
  return last;
}
