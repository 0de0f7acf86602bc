// What users see. Nothing here names a type of WebGPU's, so that projects without those types
// compile.

import type { Precision } from "@conv/ops";
import type { Backend, Buffer, Graph, Program } from "@conv/tensor";
import type { Caps, Storage } from "./compile/caps.ts";

/** What is asked of WebGPU: `navigator.gpu`, or what `create` of the package `webgpu` gives. */
export interface WebGpu {
  requestAdapter(): Promise<object | null>;
}

/** A `GPUDevice`. */
export interface WebGpuDevice {
  readonly features: object;
  readonly limits: object;
  readonly queue: object;
  readonly lost: Promise<object>;
  createCommandEncoder(): object;
}

export type { Precision };

export interface GpuOptions {
  /** The WebGPU to use: `navigator.gpu` unless given, or in Node that of the package `webgpu`. */
  readonly gpu?: WebGpu | undefined;
  /**
   * A `GPUDevice` of the application to run on. `dispose` frees what was made on it, and leaves the
   * device alive.
   */
  readonly device?: WebGpuDevice | undefined;
  /** Called whenever a pipeline is compiled, with how many are, of those asked for so far. */
  readonly onProgress?: ((ready: number, total: number) => void) | undefined;
  /**
   * Which algorithms may run, by how they round; `balanced` by default:
   * - `exact`: plain sums in blocks, in float32;
   * - `balanced`: also those whose bound is relative to the largest value of a plane (Winograd's
   *   short convolutions);
   * - `fast`: also products in float16, by matrices of subgroups too, where the adapter offers
   *   them.
   */
  readonly precision?: Precision | undefined;
  /**
   * How programs keep what lies between their steps. `float16` takes half the memory and bandwidth,
   * and rounds each of these values to 11 bits (a relative error of 2⁻¹¹; beyond 65,504 it is
   * infinite); sums are float32 all the same, as are inputs, outputs and weights.
   */
  readonly storage?: Storage | undefined;
  /**
   * Names of kernels that are taken wherever they can be, whatever they estimate: to measure one
   * against another.
   */
  readonly prefer?: readonly string[] | undefined;
}

export interface GpuProgram extends Program {
  /** All pipelines are compiled, or never will be. Runs before that wait in order. */
  readonly ready: Promise<void>;
  /** The shaders, in the order in which they run. */
  readonly shaders: readonly {
    readonly label: string;
    readonly code: string;
    readonly groups: number;
    readonly step: number;
  }[];
  /**
   * Runs once and gives the seconds that the device took for each step. Throws UnsupportedError
   * where the adapter has no timestamps.
   */
  time(inputs: readonly Buffer[], outputs: readonly Buffer[]): Promise<number[]>;
}

export interface GpuBackend extends Backend {
  readonly kind: "gpu";
  readonly caps: Caps;
  /** What it runs on, in the words of the driver. */
  readonly adapter: string;
  /** The adapter computes on the processor, where the CPU back end is faster. */
  readonly software: boolean;
  /** Comes, with the reason, when the device is lost, or the back end disposed of. */
  readonly lost: Promise<string>;
  /**
   * Returns at once; pipelines are compiled in the background, and runs wait for them in order.
   * `prefer` is for this program alone.
   */
  compile(graph: Graph, options?: Pick<GpuOptions, "prefer">): GpuProgram;
}
