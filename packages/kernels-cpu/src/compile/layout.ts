// What a program holds and where, found before any code is made: the memory of a graph on this back
// end can be told without compiling it.

import {
  distinctDependencies,
  packBlocks,
  place as placeTasks,
  root,
  type Block as BlockOf,
  type BlockKind,
  type Dependencies,
  type Pack,
  type Placed as PlacedOf,
  type Placement as PlacementOf,
} from "@conv/compiler";
import { bytesOf, type Graph, type Node, type Step, type Value } from "@conv/tensor";
import { ALIGNMENT, allocated } from "../runtime/memory.ts";
import type { Caps } from "./caps.ts";
import type { Place, Scratch, Stage } from "./code.ts";
import type { Planned } from "./selection.ts";

export type Block = BlockOf<Planned, Scratch>;
export type Placed = PlacedOf<Planned, Stage>;
export type Placement = PlacementOf<Planned, Stage, Scratch>;

/** Assigns memory to the values of a plan and to what its kernels ask for. */
export const place = (graph: Graph, planned: readonly Planned[], caps: Caps): Placement =>
  placeTasks(graph, planned, {
    build: ({ kernel, task }) => kernel.build(task, caps),
    placeOf: (operand: Place) => operand,
    bytes: (v) => bytesOf(v.spec),
    aliasing: { alignment: ALIGNMENT },
    threads: caps.threads,
  });

/** A part of a program's memory. Parts that are not in use at the same time may overlap. */
export interface ProgramBlock {
  readonly bytes: number;
  /** Bytes from the start of the first part. */
  readonly offset: number;
  /**
   * First and last of the program's stages (a step has one or several) during which it is in use,
   * both included.
   */
  readonly from: number;
  readonly to: number;
  readonly kind: BlockKind;
  /** The first value that it holds; null where the kind is another. */
  readonly value: Value | null;
  /** Of the step that asked for it. */
  readonly nodes: readonly Node[];
}

export interface ProgramLayout {
  /**
   * Bytes that the program needs in the heap: its blocks, packed by their lifetimes, and a few
   * words for the run itself. Several programs need less than the sum: what does not outlast a run,
   * and packed weights, are shared.
   */
  readonly bytes: number;
  readonly blocks: readonly ProgramBlock[];
  readonly steps: readonly Step[];
  /** Bytes that a buffer for each input, and for each output, takes in the heap. */
  readonly buffers: { readonly inputs: readonly number[]; readonly outputs: readonly number[] };
}

/** A layout, and what code is made of. */
export interface LaidOut extends Placement {
  readonly graph: Graph;
  readonly layout: ProgramLayout;
  /** The distinct dependencies of persistent stages. */
  readonly dependencies: readonly Dependencies[];
  /**
   * The words at the start: one for each input and output, then from `dependencies` on one for each
   * of these (whether it has changed), from `packs` on two for each pack (its address, and whether
   * it is out of date), the address of the arena, from `counters` on one for each stage that
   * threads share.
   */
  readonly words: {
    readonly dependencies: number;
    readonly packs: number;
    readonly arena: number;
    readonly counters: number;
    readonly end: number;
  };
  /** Bytes of these words, rounded up. The blocks follow. */
  readonly head: number;
  /** Bytes of the program's own memory: words, tables, and values that persist. */
  readonly own: number;
  /** The packed weights that it may share, with their blocks, in the order of the words. */
  readonly packs: readonly (Pack & { readonly id: number })[];
  /** Bytes of memory that does not outlast a run. */
  readonly arena: number;
  /** Of the blocks, after the words: the program's own, then packed weights, then the arena. */
  readonly offsets: readonly number[];
}

/** Lays out the program of a plan of an optimized graph. */
export function layOut(graph: Graph, planned: readonly Planned[], caps: Caps): LaidOut {
  const placement = place(graph, planned, caps);
  const { stages, blocks, busy, persistent } = placement;
  const dependencies = distinctDependencies(stages.filter((s) => s.pack === null));
  const packs = blocks.flatMap((block, id) =>
    block.pack
      ? [{ input: block.pack.input, bytes: block.bytes, key: keyOf(block, stages), id }]
      : [],
  );
  const flags = graph.inputs.length + graph.outputs.length;
  const arenaWord = flags + dependencies.length + 2 * packs.length;
  const counters = arenaWord + 1;
  const end = counters + (caps.threads > 1 ? stages.length : 0);
  const head = allocated(end * 4);
  const offsets = blocks.map(() => 0);
  let at = 0;
  const put = (belongs: (b: Block) => boolean): number => {
    const ids = [...blocks.keys()].filter((id) => belongs(blocks[id]));
    const packed = packBlocks(
      ids.map((id) => blocks[id]),
      ALIGNMENT,
    );
    ids.forEach((id, i) => (offsets[id] = at + packed.offsets[i]));
    at += packed.bytes;
    return packed.bytes;
  };
  const outlasts = ({ to }: Block) => to === stages.length;
  const own = head + put((b) => outlasts(b) && !b.pack);
  put((b) => b.pack !== null);
  const arena = put((b) => !outlasts(b));
  const held = (values: readonly Value[]) => values.map((v) => allocated(bytesOf(v.spec)));
  const layout: ProgramLayout = {
    bytes: head + at,
    blocks: blocks.map(({ bytes, from, to, kind, value, by }, i) => ({
      bytes,
      offset: offsets[i],
      from,
      to,
      kind,
      value,
      nodes: by.nodes,
    })),
    steps: busy.map((p) => stepOf(p, persistent)),
    buffers: { inputs: held(graph.inputs), outputs: held(graph.outputs) },
  };
  const words = {
    dependencies: flags,
    packs: flags + dependencies.length,
    arena: arenaWord,
    counters,
    end,
  };
  return { ...placement, graph, layout, dependencies, words, head, own, packs, arena, offsets };
}

/** Equal keys: equal bytes are packed alike. The names of stages are the keys of their code. */
const keyOf = ({ pack, bytes }: Block, stages: readonly Placed[]): string =>
  [
    pack!.offset,
    bytes,
    ...pack!.stages.map((i) => `${stages[i].stage.name} ${stages[i].stage.items}`),
  ].join("\n");

function stepOf(
  { nodes, kernel, estimate, others, writes }: Planned,
  values: ReadonlySet<Value>,
): Step {
  const persistent = writes.filter((v) => values.has(v));
  return {
    kernel: kernel.name,
    nodes,
    estimate,
    roundoff: kernel.roundoff,
    others,
    ...(persistent.length > 0 && { persistent }),
  };
}

/**
 * For each output the inputs whose buffer it must not share: inputs that are read after any of the
 * output is written, or at the same time but not element by element.
 */
export function unsafeInputs({ graph, planned, allocations }: LaidOut): number[][] {
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
