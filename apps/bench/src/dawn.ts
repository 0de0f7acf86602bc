// WebGPU in Node: Dawn, from the optional package `webgpu`, on the driver of Vulkan, Metal or
// Direct3D that the process finds.

import { UnsupportedError } from "@conv/tensor";

declare global {
  /** The object of Dawn; the process crashes if it is collected. */
  var convBenchGpu: GPU | undefined;
}

/** Without these, f16 on NVIDIA is hidden, and timestamps are rounded to 0.1 ms. */
const TOGGLES = [
  "enable-dawn-features=vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization",
];
/**
 * SwiftShader compiles workgroup memory many times faster when Dawn initializes it in a loop.
 */
const SWIFTSHADER = [
  "enable-dawn-features=vulkan_enable_f16_on_nvidia",
  "disable-dawn-features=timestamp_quantization,use_vulkan_zero_initialize_workgroup_memory_extension",
];

/**
 * Defines `navigator.gpu` in this process as in a browser, for all libraries. Throws
 * UnsupportedError where the package is not installed.
 */
export async function defineGpu(): Promise<GPU> {
  if (globalThis.convBenchGpu) return globalThis.convBenchGpu;
  const { create, globals } = await import("webgpu").catch((cause: unknown) => {
    throw new UnsupportedError(
      "webgpu: the package is not installed, or has no binary for this machine",
      { cause },
    );
  });
  Object.assign(globalThis, globals);
  const gpu = create(process.env.VK_DRIVER_FILES?.includes("swiftshader") ? SWIFTSHADER : TOGGLES);
  globalThis.convBenchGpu = gpu;
  Object.defineProperty(globalThis.navigator, "gpu", { value: gpu, configurable: true });
  return gpu;
}
