// @conv/kernels-gpu/core: the back end with kernels that the caller lists, so that bundles have no
// others.

import type { CoreOptions, GpuBackend, GpuKernel } from "./api.ts";
import { createGpuWith } from "./backend.ts";

/**
 * `createGpu` of `@conv/kernels-gpu`, where `kernels` must be given: a list of this module, or some
 * of its kernels. Programs that need other kernels throw UnsupportedError.
 */
export const createGpu = (options: CoreOptions): Promise<GpuBackend> => createGpuWith(options);

export type { CoreOptions, GpuBackend, GpuKernel };
export { convolution, inference, kernels } from "./kernels/index.ts";
export * from "./kernels/convolution.ts";
export * from "./kernels/inference.ts";
export * from "./kernels/training.ts";
