// What a program holds and where, found before any code is made: the memory of a graph on this back end can be told without compiling it.

import { distinctCauses, type Causes } from "@conv/ops/plan";
import { bytesOf, optimise, type Graph, type Node, type Step, type Value } from "@conv/tensor";
import { packArena } from "./arena.ts";
import type { Caps } from "./caps.ts";
import { allocated } from "./memory.ts";
import { place, type BlockKind, type Placement } from "./place.ts";
import { plan } from "./plan.ts";

/** A part of a program's memory. Parts that are not in use at the same time may overlap. */
export interface ProgramBlock {
  readonly bytes: number;
  /** Bytes from the start of the first part. */
  readonly offset: number;
  /** First and last of the program's stages (a step has one or several) during which it is in use, both included. */
  readonly from: number;
  readonly to: number;
  readonly kind: BlockKind;
  /** The first value that it holds; null where the kind is another. */
  readonly value: Value | null;
  /** Of the step that asked for it. */
  readonly nodes: readonly Node[];
}

export interface ProgramLayout {
  /** Bytes of the program's memory in the heap: its blocks, packed by their lifetimes, and a few words for the run itself. */
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
  readonly causes: readonly Causes[];
  /** The words at the start: one for each input and output, then from `causes` on for each of these, from `counters` on for each stage that threads share. */
  readonly words: { readonly causes: number; readonly counters: number; readonly end: number };
  /** Bytes of these words, rounded up: the blocks begin behind them. */
  readonly head: number;
  /** Of the blocks, from there on. */
  readonly offsets: readonly number[];
}

export function layOut(source: Graph, caps: Caps): LaidOut {
  const graph = optimise(source);
  const placement = place(graph, plan(graph, caps), caps);
  const { stages, blocks, busy, lasting } = placement;
  const causes = distinctCauses(stages);
  const flags = graph.inputs.length + graph.outputs.length;
  const counters = flags + causes.length;
  const end = counters + (caps.threads > 1 ? stages.length : 0);
  const head = Math.ceil((end * 4) / 64) * 64;
  const arena = packArena(blocks);
  const held = (values: readonly Value[]) => values.map((v) => allocated(bytesOf(v.spec)));
  const layout: ProgramLayout = {
    bytes: head + arena.bytes,
    blocks: blocks.map(({ bytes, from, to, kind, value, by }, i) => ({ bytes, offset: arena.offsets[i], from, to, kind, value, nodes: by.nodes })),
    steps: busy.map(({ nodes, kernel, estimate, others, writes }) => {
      const keeps = writes.filter((v) => lasting.has(v));
      return { kernel: kernel.name, nodes, estimate, roundoff: kernel.roundoff, others, ...(keeps.length > 0 && { keeps }) };
    }),
    buffers: { inputs: held(graph.inputs), outputs: held(graph.outputs) },
  };
  return { ...placement, graph, layout, causes, words: { causes: flags, counters, end }, head, offsets: arena.offsets };
}

/** What a program of the graph would hold with these capabilities, to the byte, without compiling it. Throws UnsupportedError where no kernel can do a step. */
export const layoutOf = (graph: Graph, caps: Caps): ProgramLayout => layOut(graph, caps).layout;
