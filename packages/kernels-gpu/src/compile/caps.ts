// What an adapter offers: features and limits that kernels may use, and how fast it is, roughly, so
// that kernels can be compared.

import type { Choosing } from "@conv/compiler";
import { GUESSES, SWIFTSHADER } from "../kernels/costs.ts";

/**
 * Element type in which a program keeps what lies between its steps. Sums are made in float32
 * either way.
 */
export type Storage = "float32" | "float16";

/**
 * Matrices of rows × depth and depth × columns, multiplied by a subgroup, which has at most so many
 * lanes.
 */
export interface Matrices {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly lanes: number;
}

export interface Caps extends Choosing {
  /**
   * The adapter computes on the processor (SwiftShader, llvmpipe): its memory is near, its threads
   * are few.
   */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly f16: boolean;
  /** How subgroups multiply matrices of float16 with sums in float32, if they can. */
  readonly matrices: Matrices | null;
  readonly timestamps: boolean;
  readonly storage: Storage;
  /** In what kernels may multiply, where they state their error. */
  readonly arithmetic: Storage;
  /** Storage buffers that one kernel may read and write. */
  readonly storageBuffers: number;
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  readonly workgroupBytes: number;
  readonly threads: number;
  /**
   * Multiply-adds a second, bytes a second, and seconds to start a kernel: orders of magnitude, to
   * rank kernels by.
   */
  readonly macs: number;
  readonly bandwidth: number;
  readonly launch: number;
}

/** Rates by the kind of adapter: measured on SwiftShader, guessed for a GPU. */
export function speedsOf(software: boolean): Pick<Caps, "macs" | "bandwidth" | "launch"> {
  const { macs, bandwidth, launch } = software ? SWIFTSHADER : GUESSES;
  return { macs, bandwidth, launch };
}
