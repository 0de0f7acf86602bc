// What a program holds and where, found before any code is made: the memory of a graph on this back
// end can be told without compiling it.

import { distinctDependencies, type Dependencies, type Pack } from "@conv/compiler";
import { bytesOf, optimize, type Graph, type Node, type Step, type Value } from "@conv/tensor";
import { allocated } from "../runtime/memory.ts";
import { packArena } from "./arena.ts";
import type { Caps } from "./caps.ts";
import type { CpuKernel } from "./code.ts";
import { place, type Block, type BlockKind, type Placement } from "./place.ts";
import { plan } from "./plan.ts";

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
  /** Groups of inputs on which stages depend that need not run at every run. */
  readonly causes: readonly Dependencies[];
  /**
   * The words at the start: one for each input and output, then from `causes` on for each of these,
   * from `packs` on two for each pack (its address, and whether it must be made), the address of
   * the arena, from `counters` on one for each stage that threads share.
   */
  readonly words: {
    readonly causes: number;
    readonly packs: number;
    readonly arena: number;
    readonly counters: number;
    readonly end: number;
  };
  /** Bytes of these words, rounded up: what is the program's own begins behind them. */
  readonly head: number;
  /** Bytes that are the program's own: words, tables, and what it keeps from run to run. */
  readonly own: number;
  /** What it packs and may share, in the order of the words. */
  readonly packs: readonly (Pack & { readonly id: number })[];
  /** Bytes of what does not outlast a run. */
  readonly arena: number;
  /** Of the blocks, behind the words: the program's own first, then packs, then the arena. */
  readonly offsets: readonly number[];
}

export function layOut(
  source: Graph,
  caps: Caps,
  kernels: readonly CpuKernel[],
  remedy?: string,
): LaidOut {
  const graph = optimize(source);
  const placement = place(graph, plan(graph, caps, kernels, remedy), caps);
  const { stages, blocks, busy, lasting } = placement;
  const causes = distinctDependencies(stages.filter((s) => !s.pack));
  const packs = blocks.flatMap(({ pack }, id) => (pack ? [{ ...pack, id }] : []));
  const flags = graph.inputs.length + graph.outputs.length;
  const arenaWord = flags + causes.length + 2 * packs.length;
  const counters = arenaWord + 1;
  const end = counters + (caps.threads > 1 ? stages.length : 0);
  const head = allocated(end * 4);
  const offsets = blocks.map(() => 0);
  let at = 0;
  const put = (belongs: (b: Block) => boolean): number => {
    const ids = [...blocks.keys()].filter((id) => belongs(blocks[id]));
    const packed = packArena(ids.map((id) => blocks[id]));
    ids.forEach((id, i) => (offsets[id] = at + packed.offsets[i]));
    at += packed.bytes;
    return packed.bytes;
  };
  const lasts = ({ to }: Block) => to === stages.length;
  const own = head + put((b) => lasts(b) && !b.pack);
  put((b) => b.pack !== null);
  const arena = put((b) => !lasts(b));
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
    steps: busy.map(({ nodes, kernel, estimate, others, writes }) => {
      const persistent = writes.filter((v) => lasting.has(v));
      return {
        kernel: kernel.name,
        nodes,
        estimate,
        roundoff: kernel.roundoff,
        others,
        ...(persistent.length > 0 && { persistent }),
      };
    }),
    buffers: { inputs: held(graph.inputs), outputs: held(graph.outputs) },
  };
  const words = { causes: flags, packs: flags + causes.length, arena: arenaWord, counters, end };
  return { ...placement, graph, layout, causes, words, head, own, packs, arena, offsets };
}
