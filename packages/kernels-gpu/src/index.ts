// @conv/kernels-gpu: a back end that runs on the GPU, by WGSL generated for the shapes of a
// program.

import type { GpuBackend, GpuOptions } from "./api.ts";
import { createGpuWith } from "./backend.ts";
import { convolution, inference, kernels } from "./kernels/index.ts";

/**
 * Starts the GPU back end on the given device, or else on the fastest adapter of WebGPU. Throws
 * RangeError for invalid options, and UnsupportedError where there is no WebGPU, no adapter, or an
 * adapter without a requested feature.
 */
export const createGpu = (options?: GpuOptions): Promise<GpuBackend> =>
  createGpuWith(options, kernels);

export { convolution, inference, kernels, type GpuBackend, type GpuOptions };
export type { GpuProgram, Precision, WebGpu, WebGpuDevice } from "./api.ts";
export type { Caps, Storage } from "./compile/caps.ts";
export type { GpuKernel } from "./compile/code.ts";
