// The GPU back end of Conv: WGSL generated for the shapes at hand.

export { createGpu, type GpuBackend, type GpuOptions } from "./backend.ts";
export type { Caps, Storage } from "./caps.ts";
export type { GpuProgram } from "./program.ts";
