// The GPU back end of Conv: WGSL generated for the shapes at hand.

export type { GpuBackend, GpuOptions, GpuProgram, Precision, WebGpu, WebGpuDevice } from "./api.ts";
export { createGpu } from "./backend.ts";
export type { Caps, Storage } from "./compile/caps.ts";
