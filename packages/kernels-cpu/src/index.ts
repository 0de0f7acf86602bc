// @conv/kernels-cpu: a back end that runs on WebAssembly SIMD, in Node and browsers.

export { createCpu, type CpuBackend, type CpuOptions } from "./backend.ts";
export type { Caps } from "./caps.ts";
export type { CpuCode, CpuKernel, Epilogue, EpilogueOperand, Place, Scratch, Stage, Task } from "./code.ts";
export { kernels } from "./kernels/index.ts";
export { inference } from "./kernels/inference.ts";
export { choose } from "./plan.ts";
export type { ProgramBlock, ProgramLayout } from "./layout.ts";
export type { CpuProgram } from "./program.ts";
