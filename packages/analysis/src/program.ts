// What a program of a back end really holds, read off its layout: plain numbers to set beside what
// the graph alone says.

import { checkOptions, type Step, type Value } from "@conv/tensor";
import { most, sum, timelineOf } from "./traced.ts";

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

/**
 * What a back end tells of a program: `layoutOf` of @conv/kernels-cpu/explain does without making
 * it, its programs do themselves.
 */
export interface ProgramLayout {
  readonly bytes: number;
  readonly blocks: readonly LayoutBlock[];
  readonly steps: readonly Pick<Step, "nodes" | "persistent">[];
  readonly buffers: { readonly inputs: readonly number[]; readonly outputs: readonly number[] };
}

/** Bytes, plain data. */
export interface ProgramMemory {
  /**
   * Buffers of the network's inputs, its tensors among them, and of its outputs, rounded up as the
   * back end does.
   */
  readonly inputs: number;
  readonly outputs: number;
  /** Memory of the program itself. */
  readonly program: number;
  /**
   * Of that, the most at one time of results of nodes, and what each kind of block of the kernels'
   * own takes at most.
   */
  readonly values: number;
  readonly kernels: Readonly<Record<string, number>>;
  /** Everything: what the back end's memory grows by. */
  readonly total: number;
}

export interface ProgramMemoryOptions {
  /** How many outputs, the last ones, are written over inputs: what a training step changes. */
  readonly inPlace?: number | undefined;
}

export function programMemoryOf(
  { bytes: program, blocks, buffers }: ProgramLayout,
  options: ProgramMemoryOptions = {},
): ProgramMemory {
  checkOptions("programMemoryOf", options, "inPlace");
  const { inPlace = 0 } = options;
  const [inputs, outputs] = [
    sum(buffers.inputs),
    sum(buffers.outputs.slice(0, buffers.outputs.length - inPlace)),
  ];
  const kinds = [...new Set(blocks.map((b) => b.kind))].filter((kind) => kind !== "value");
  const stages = most(blocks.map(({ to }) => to)) + 1;
  const mostOf = (kind: string) =>
    most(
      timelineOf(
        blocks.filter((b) => b.kind === kind),
        stages,
      ),
    );
  return {
    inputs,
    outputs,
    program,
    values: mostOf("value"),
    kernels: Object.fromEntries(kinds.map((kind) => [kind, mostOf(kind)])),
    total: inputs + outputs + program,
  };
}
