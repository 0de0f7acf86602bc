// What passes between the planner and the kernels: the task to be done, and the code that does it,
// in stages.

import {
  inputAt,
  scratchAt,
  type Epilogue,
  type Place,
  type PlanKernel,
  type ScratchRequest,
  type Task,
} from "@conv/compiler";
import type { Op } from "@conv/tensor";
import type { Local } from "../wasm/asm.ts";
import type { Func, Module } from "../wasm/module.ts";
import type { Caps } from "./caps.ts";

export { inputAt, outputAt, scratchAt } from "@conv/compiler";
export type { Epilogue, EpilogueOperand, Place, Task } from "@conv/compiler";

/** The operands of an epilogue, which follow the two inputs of a product. */
export const operandsAt = (epilogue: Epilogue | null): Place[] =>
  (epilogue?.operands ?? []).map((_, i) => inputAt(2 + i));

/**
 * Part of a kernel that runs between two barriers. Its pieces of work 0 … items−1 are divided among
 * the threads.
 */
export interface Stage {
  /** The key of the generated function; equal keys must mean equal code. */
  readonly name: string;
  readonly items: number;
  readonly reads: readonly Place[];
  readonly writes: readonly Place[];
  /** Memory that each thread has for itself, in bytes; its address comes as `threadScratch`. */
  readonly threadScratch?: number | undefined;
  /** May run at the same time as the stage before it: both write disjoint parts of one output. */
  readonly disjointFromPrevious?: boolean | undefined;
  /** Emits the pieces lo … hi−1. `at` holds the addresses of reads, then writes. */
  emit(
    m: Module,
    f: Func,
    at: readonly Local[],
    range: { lo: Local; hi: Local; threadScratch: Local },
  ): void;
}

/**
 * Memory that a kernel asks for. Programs share what stages of equal names pack of an input of
 * theirs.
 */
export type Scratch = ScratchRequest;

export interface CpuCode {
  readonly scratch: readonly Scratch[];
  readonly stages: readonly Stage[];
}

/** Code as it is put together, stage by stage. */
export interface Draft extends CpuCode {
  readonly stages: Stage[];
  /** Asks for more scratch, and gives its place. */
  room(scratch: Scratch): Place;
}

export function draft(): Draft {
  const scratch: Scratch[] = [];
  return { scratch, stages: [], room: (more) => scratchAt(scratch.push(more) - 1) };
}

/** The work of a kernel for a task, by kind; kernels/costs.ts has the cost of each kind. */
export interface Work {
  /**
   * Multiply-adds. Those of unused lanes and rows count, and so do those for which there is time
   * while sums wait for one another.
   */
  readonly products?: number | undefined;
  /** Vectors, or steps of a product's depth, that are loaded for multiply-adds. */
  readonly steps?: number | undefined;
  /** Elements copied in vectors: to pad, to fill panels. */
  readonly moved?: number | undefined;
  /** Elements loaded or stored one at a time. */
  readonly gathered?: number | undefined;
  /** Points of transformed tiles. */
  readonly transformed?: number | undefined;
  /** Bytes from the outer caches or memory, mostly weights. */
  readonly streamed?: number | undefined;
  /** Tiles or rows, each of which takes time to begin. */
  readonly tiles?: number | undefined;
}

/** Nanoseconds that a kernel takes for each unit of its work; kinds without a number take none. */
export interface CostRow extends Work {
  /** For each call, whatever its work: more than 0, and so is every estimate. */
  readonly call: number;
}

/** A kernel of this back end. */
export interface CpuKernel<P = unknown> extends PlanKernel<Caps, CpuCode, P> {
  readonly ops: readonly Op<P>[];
  /** The work that its estimate is made of, if the estimate is fitted to measurements. */
  work?(task: Task<P>, caps: Caps): Work;
  /** Bytes that its transformed weights take beyond those of the weights; 0 if absent. */
  persistentBytes?(task: Task<P>, caps: Caps): number;
}
