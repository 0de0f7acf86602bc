// @conv/kernels-cpu/core: the back end with kernels that the caller lists, so that bundles have no
// others.

import { createCpuWith, type CoreOptions, type CpuBackend } from "./backend.ts";
import type { CpuKernel } from "./compile/code.ts";

/**
 * `createCpu` of `@conv/kernels-cpu`, where `kernels` must be given: a list of this module, or some
 * of its kernels. Programs that need other kernels throw UnsupportedError.
 */
export const createCpu = (options: CoreOptions): Promise<CpuBackend> => createCpuWith(options);

export type { CoreOptions, CpuBackend, CpuKernel };
export { simd256, type Simd256 } from "./runtime/simd256.ts";
export { convolution, inference, kernels } from "./kernels/index.ts";
export * from "./kernels/convolution.ts";
export * from "./kernels/inference.ts";
export * from "./kernels/training.ts";
