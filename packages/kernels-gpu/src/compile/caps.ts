// Capabilities of an adapter: features and limits that kernels may use, and its rates, by which
// kernels are ranked.

import type { SelectionCaps } from "@conv/compiler";
import { GUESSES, SWIFTSHADER } from "../kernels/costs.ts";

/** Element type in which a program stores values between its steps. Sums are float32. */
export type Storage = "float32" | "float16";

/** Matrices of rows × depth and depth × columns that a subgroup of at most `lanes` multiplies. */
export interface Matrices {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly lanes: number;
}

export interface Caps extends SelectionCaps {
  /** The adapter computes on the CPU (SwiftShader, llvmpipe): with few threads, near its memory. */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly f16: boolean;
  /** Matrices of float16 that subgroups multiply, with sums in float32; null if they cannot. */
  readonly matrices: Matrices | null;
  readonly timestamps: boolean;
  readonly storage: Storage;
  /** Element type in which kernels may multiply, if they state their error. */
  readonly arithmetic: Storage;
  /** The most storage buffers that one shader may bind. */
  readonly storageBuffers: number;
  readonly bindingBytes: number;
  readonly bufferBytes: number;
  readonly workgroupBytes: number;
  readonly threads: number;
  /** Multiply-adds a second, bytes a second, and seconds to start a kernel: orders of magnitude. */
  readonly macs: number;
  readonly bandwidth: number;
  readonly launch: number;
}

/** Rates by the kind of adapter: measured on SwiftShader, guessed for a GPU. */
export function speedsOf(software: boolean): Pick<Caps, "macs" | "bandwidth" | "launch"> {
  const { macs, bandwidth, launch } = software ? SWIFTSHADER : GUESSES;
  return { macs, bandwidth, launch };
}
