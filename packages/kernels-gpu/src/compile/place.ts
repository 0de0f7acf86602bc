// Where the values of a plan live and for how long: in buffers given at run time, or in buffers of
// the program.

import {
  align,
  place as placeTasks,
  root,
  shareBuffers,
  type Allocation,
  type Pack,
  type Placed as PlacedOf,
  type Placement as PlacementOf,
} from "@conv/compiler";
import type { Graph, Value } from "@conv/tensor";
import { elementFor, shaderOf, storageOf, type Element } from "../wgsl/wgsl.ts";
import type { Caps } from "./caps.ts";
import type { Binding, GpuStage, Planned, Scratch } from "./code.ts";

export interface Placed extends PlacedOf<Planned, GpuStage> {
  /** How each of the reads, then of the writes, is stored. */
  readonly elements: readonly Element[];
  readonly code: string;
}

/** A buffer for blocks that are not in use at the same time. */
export interface Slot {
  readonly bytes: number;
  /** Its contents outlast a run. */
  readonly persistent: boolean;
  readonly pack: Pack | null;
}

export interface Placement extends PlacementOf<Planned, GpuStage, Scratch> {
  readonly stages: readonly Placed[];
  /** The slot of each block, and all slots, the largest first. */
  readonly slotOf: readonly number[];
  readonly slots: readonly Slot[];
}

/** Whole vectors of four, also where the last one is not full. */
export const roundUp = (bytes: number): number => align(bytes, 16);

/** Assigns a slot to every value and every scratch request of a plan, and makes its shaders. */
export function place(graph: Graph, inOrder: readonly Planned[], caps: Caps): Placement {
  const storedAs = (v: Value): Element =>
    v.dtype === "float32" && caps.storage === "float16" ? "f16" : elementFor(v.dtype);
  const placement = placeTasks(graph, inOrder, {
    build({ kernel, task }) {
      const { scratch, stages } = kernel.build(task, caps);
      return { stages, scratch: scratch.map((s) => ({ ...s, bytes: roundUp(s.bytes) })) };
    },
    placeOf: (binding: Binding) => binding.place,
    bytes: (v) => roundUp(storageOf(storedAs(v), v.spec)),
    aliasing: null, // a kernel may not read and write one buffer
    threads: 1,
  });
  const { blocks } = placement;
  const elementOf = ({ kind, index }: Allocation, v: Value | undefined): Element => {
    if (kind !== "block") return elementFor(v?.dtype ?? "float32");
    const { value, scratch } = blocks[index];
    return value ? storedAs(value) : (scratch?.element ?? "f32");
  };
  const stages = placement.stages.map((placed): Placed => {
    const { stage, by, reads, writes } = placed;
    const bound = [...stage.reads, ...stage.writes];
    const elements = [...reads, ...writes].map((allocation, i) => {
      const { of, index } = bound[i].place;
      return elementOf(allocation, (of === "in" ? by.reads : by.writes)[index]);
    });
    return { ...placed, elements, code: shaderOf(stage, elements) };
  });
  const { bufferOf, bytes } = shareBuffers(blocks);
  const slots = bytes.map((size, slot): Slot => {
    const { to, pack } = blocks[bufferOf.indexOf(slot)]; // what persists is alone
    return {
      bytes: size,
      persistent: to === stages.length,
      pack: pack && {
        input: pack.input,
        bytes: size,
        key: pack.stages.map((i) => stages[i].code).join(),
      },
    };
  });
  return { ...placement, stages, slotOf: bufferOf, slots };
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
  { stages, allocations }: Placement,
): { unsafe: number[][]; inPlace: Map<number, Replacement[]> } {
  const [written, read] = [graph.outputs.map(() => stages.length), graph.inputs.map(() => -1)];
  stages.forEach(({ reads, writes }, at) => {
    for (const { kind, index } of reads) if (kind === "input") read[index] = at;
    for (const { kind, index } of writes)
      if (kind === "output") written[index] = Math.min(written[index], at);
  });
  // What is an output itself is copied after the last stage.
  for (const v of graph.outputs) {
    const allocation = allocations.get(root(v));
    if (allocation?.kind === "input") read[allocation.index] = stages.length;
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
