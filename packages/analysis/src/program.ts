// What a program of a back end really holds, read off its layout: plain numbers to set beside what the graph alone says.

import { checkOptions, type Step, type Value } from "@conv/tensor";

/** A part of a program's memory. */
export interface LayoutBlock {
  readonly bytes: number;
  /** First and last stage of the program that uses it, both included. */
  readonly from: number;
  readonly to: number;
  /** `value` for results of nodes; all else is a kernel's own. */
  readonly kind: string;
  readonly value: Value | null;
}

/** What a back end tells of a program: `layoutOf` of @conv/kernels-cpu/explain does without making it, its programs do themselves. */
export interface ProgramLayout {
  readonly bytes: number;
  readonly blocks: readonly LayoutBlock[];
  readonly steps: readonly Pick<Step, "nodes" | "keeps">[];
  readonly buffers: { readonly inputs: readonly number[]; readonly outputs: readonly number[] };
}

/** Bytes, plain data. */
export interface ProgramMemory {
  /** Buffers of the network's inputs, its tensors among them, and of its outputs, rounded up as the back end does. */
  readonly inputs: number;
  readonly outputs: number;
  /** Memory of the program itself. */
  readonly program: number;
  /** Of that, the most at one time of results of nodes, and what each kind of block of the kernels' own takes at most. */
  readonly values: number;
  readonly kernels: Readonly<Record<string, number>>;
  /** Everything: what the back end's memory grows by. */
  readonly total: number;
}

export interface ProgramMemoryOptions {
  /** How many outputs, the last ones, are written over inputs: what a training step changes. */
  readonly inPlace?: number | undefined;
}

export function programMemoryOf({ bytes: program, blocks, buffers }: ProgramLayout, options: ProgramMemoryOptions = {}): ProgramMemory {
  checkOptions("programMemoryOf", options, "inPlace");
  const { inPlace = 0 } = options;
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const [inputs, outputs] = [sum(buffers.inputs), sum(buffers.outputs.slice(0, buffers.outputs.length - inPlace))];
  const kinds = [...new Set(blocks.map((b) => b.kind))].filter((kind) => kind !== "value");
  const most = (kind: string) => peakOf(blocks.filter((b) => b.kind === kind));
  return {
    inputs,
    outputs,
    program,
    values: most("value"),
    kernels: Object.fromEntries(kinds.map((kind) => [kind, most(kind)])),
    total: inputs + outputs + program,
  };
}

/** The most bytes that are in use during one stage. */
function peakOf(blocks: readonly LayoutBlock[]): number {
  const change = new Map<number, number>();
  for (const { bytes, from, to } of blocks) {
    change.set(from, (change.get(from) ?? 0) + bytes);
    change.set(to + 1, (change.get(to + 1) ?? 0) - bytes);
  }
  let [now, most] = [0, 0];
  for (const at of [...change.keys()].toSorted((a, b) => a - b)) most = Math.max(most, (now += change.get(at)!));
  return most;
}
