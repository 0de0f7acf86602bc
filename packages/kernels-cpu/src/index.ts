// @conv/kernels-cpu: a back end that runs on WebAssembly SIMD, in Node and browsers.

import { createCpuWith, type CpuBackend, type CpuOptions } from "./backend.ts";
import { convolution, inference, kernels } from "./kernels/index.ts";
import { simd256 } from "./runtime/simd256.ts";

/**
 * Starts the CPU back end: WebAssembly SIMD on `threads` threads. Where memory cannot be shared (a
 * page without cross-origin isolation) it runs on one thread, and prints a warning once. Throws
 * RangeError for invalid options, and UnsupportedError where WebAssembly or SIMD is missing or must
 * not be compiled, or where `offThread` cannot have a worker.
 */
export const createCpu = (options?: CpuOptions): Promise<CpuBackend> =>
  createCpuWith(options, { kernels, simd256 });

export { convolution, inference, kernels, type CpuBackend, type CpuOptions };
export type { Caps } from "./compile/caps.ts";
export type {
  CpuCode,
  CpuKernel,
  Epilogue,
  EpilogueOperand,
  Place,
  Scratch,
  Stage,
  Task,
} from "./compile/code.ts";
export type { ProgramBlock, ProgramLayout } from "./compile/layout.ts";
export type { CpuProgram } from "./compile/program.ts";
