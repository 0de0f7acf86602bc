// The public types. None of them names a type of WebGPU, so that projects without those types
// compile.

import type { Precision } from "@conv/ops";
import type { Backend, Buffer, Graph, Program } from "@conv/tensor";
import type { Caps, Storage } from "./compile/caps.ts";
import type { GpuKernel } from "./compile/code.ts";

/** WebGPU: `navigator.gpu`, or the result of `create` of the package `webgpu`. */
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

export type { GpuKernel, Precision };

export interface GpuOptions {
  /** The WebGPU to use. Default: `navigator.gpu`, or in Node that of the package `webgpu`. */
  readonly gpu?: WebGpu | undefined;
  /**
   * A `GPUDevice` that the application owns. `dispose` frees what was made on it, and leaves the
   * device alive.
   */
  readonly device?: WebGpuDevice | undefined;
  /** Called when a pipeline is compiled, with the number compiled and the number requested. */
  readonly onProgress?: ((ready: number, total: number) => void) | undefined;
  /**
   * Which algorithms may run, by how they round; `balanced` by default:
   * - `exact`: plain sums in blocks, in float32;
   * - `balanced`: also algorithms with an error bound relative to the largest value of a plane
   *   (Winograd's short convolutions);
   * - `fast`: also products in float16, by subgroup matrices too, where the adapter offers them.
   */
  readonly precision?: Precision | undefined;
  /**
   * How programs store values between their steps; `float32` by default. `float16` takes half the
   * memory and bandwidth, and rounds each of these values to 11 bits (a relative error of 2⁻¹¹;
   * beyond 65,504 it is infinite). Sums, inputs, outputs and weights stay float32.
   */
  readonly storage?: Storage | undefined;
  /**
   * The kernels that programs are made of; all kernels by default. The `createGpu` of
   * `@conv/kernels-gpu/core` takes the same option, and lets bundlers leave out all other kernels.
   */
  readonly kernels?: readonly GpuKernel[] | undefined;
  /**
   * Names of kernels that are chosen wherever they can compute a task, the first name first,
   * whatever their estimates: to compare kernels.
   */
  readonly prefer?: readonly string[] | undefined;
}

/** Options of the `createGpu` that has no kernels by itself. */
export interface CoreOptions extends Omit<GpuOptions, "kernels"> {
  readonly kernels: readonly GpuKernel[];
}

export interface GpuProgram extends Program {
  /** Resolves when all pipelines are compiled or have failed. Runs wait for it in order. */
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
  /** The adapter, as its driver names it. */
  readonly adapter: string;
  /** The adapter emulates a GPU on the CPU, where the CPU back end is faster. */
  readonly software: boolean;
  /** Resolves with the reason when the device is lost or the back end is disposed. */
  readonly lost: Promise<string>;
  /**
   * Returns at once: pipelines are compiled in the background, and runs wait for them in order.
   * `prefer` replaces that of the back end for this program.
   */
  compile(graph: Graph, options?: Pick<GpuOptions, "prefer">): GpuProgram;
}
