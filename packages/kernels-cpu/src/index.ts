// @conv/kernels-cpu: a back end that runs on WebAssembly SIMD, in Node and browsers.

import { createCpuWith, type CpuBackend, type CpuOptions } from "./backend.ts";
import { kernels } from "./kernels/index.ts";

/**
 * Starts the CPU back end: WebAssembly SIMD on `threads` threads. Where memory cannot be shared (a
 * page without cross-origin isolation) it runs on one, and says so once on the console. Throws
 * UnsupportedError where WebAssembly or SIMD is missing or may not be compiled, and where
 * `offThread` cannot have a worker.
 */
export const createCpu = (options?: CpuOptions): Promise<CpuBackend> =>
  createCpuWith(kernels, options);

export { kernels, type CpuBackend, type CpuOptions };
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
export { choose } from "./compile/plan.ts";
export type { ProgramBlock, ProgramLayout } from "./compile/layout.ts";
export type { CpuProgram } from "./compile/program.ts";
