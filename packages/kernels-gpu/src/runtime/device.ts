// Finds WebGPU (that of the page, or in Node that of the optional package `webgpu`, which is Dawn)
// and requests a device with the features and limits of its adapter.

import type { SelectionCaps } from "@conv/compiler";
import { message, unsupported } from "@conv/tensor";
import type { WebGpu, WebGpuDevice } from "../api.ts";
import { speedsOf, type Caps } from "../compile/caps.ts";
import { adapterName } from "./adapter.ts";
import { matricesOf } from "./matrices.ts";

/** Features and limits that a device is requested with, where the adapter has them. */
const FEATURES = ["subgroups", "shader-f16", "timestamp-query"] as const;
const LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** The used part of the package `webgpu`. */
interface Dawn {
  create(options: readonly string[]): GPU;
}

declare global {
  /** Kept for the life of the process: when it is collected, the process crashes. */
  var convDawn: GPU | undefined;
}

/**
 * By default Dawn hides f16 on NVIDIA and subgroup matrices everywhere, and rounds timestamps to
 * 100 µs.
 */
const DAWN = [
  "enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis",
  "disable-dawn-features=timestamp_quantization",
];

/** The library through which Dawn reaches a GPU on Linux. */
const VULKAN = "libvulkan.so.1";

async function findGpu(): Promise<GPU> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu ?? globalThis.convDawn;
  if (gpu) return gpu;
  if (!("process" in globalThis))
    throw unsupported(
      "gpu",
      "webgpu-missing",
      message`WebGPU not found: this browser has none, or the page is not served over https or from localhost`,
    );
  const { create } = await importDawn();
  if (process.platform === "linux" && !hasLibrary(VULKAN))
    throw unsupported("gpu", "vulkan-missing", message`Vulkan not found (${{ library: VULKAN }})`);
  return (globalThis.convDawn = create(DAWN));
}

async function importDawn(): Promise<Dawn> {
  const name = "webgpu"; // a name that bundlers do not follow
  try {
    return (await import(/* @vite-ignore */ name)) as Dawn;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")
      throw unsupported(
        "gpu",
        "webgpu-package-missing",
        message`the package webgpu, which provides WebGPU in Node, is not installed: npm install webgpu`,
      );
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw unsupported(
      "gpu",
      "webgpu-package-failed",
      message`the package webgpu does not load (${{ reason }})`,
    );
  }
}

/** Whether the system finds a library. Tested first, because Dawn prints warnings without it. */
function hasLibrary(name: string): boolean {
  try {
    process.dlopen({ exports: {} }, name);
  } catch (error) {
    // A library that is found fails as well: it is no module of Node.
    return !(error instanceof Error && error.message.includes("No such file"));
  }
  return true;
}

export interface Opened {
  readonly device: GPUDevice;
  readonly adapter: string;
  /** All capabilities that options do not choose. */
  readonly offers: Omit<Caps, "storage" | "arithmetic" | keyof SelectionCaps>;
}

/**
 * A new device of the fastest adapter, with additional features where the adapter has them. Throws
 * UnsupportedError where there is none.
 */
export async function openDevice(
  given?: WebGpu,
  additional: readonly string[] = [],
): Promise<Opened> {
  const gpu = (given as GPU | undefined) ?? (await findGpu());
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw unsupported(
      "gpu",
      "adapter-missing",
      message`WebGPU offers no adapter: the machine has no GPU, or no driver for it (Vulkan, Metal or Direct3D 12)`,
    );
  const features = [...FEATURES, ...additional].filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  return opened(
    await adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits }),
    adapter.info,
  );
}

/** A device of the application, with its features and limits. */
export const useDevice = (given: WebGpuDevice): Promise<Opened> => {
  const device = given as GPUDevice;
  return opened(
    device,
    device.adapterInfo ?? { vendor: "", architecture: "", device: "", description: "" },
  );
};

async function opened(
  device: GPUDevice,
  info: Partial<GPUAdapterInfo> & Parameters<typeof adapterName>[0],
): Promise<Opened> {
  const { architecture, device: model, description } = info;
  const software =
    info.isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(
      `${architecture} ${model} ${description}`,
    );
  const { limits } = device;
  return {
    device,
    adapter: adapterName(info),
    offers: {
      software,
      subgroups: device.features.has("subgroups"),
      f16: device.features.has("shader-f16"),
      matrices: await matricesOf(device, info),
      timestamps: device.features.has("timestamp-query"),
      storageBuffers: limits.maxStorageBuffersPerShaderStage,
      bindingBytes: limits.maxStorageBufferBindingSize,
      bufferBytes: limits.maxBufferSize,
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      threads: limits.maxComputeInvocationsPerWorkgroup,
      ...speedsOf(software),
    },
  };
}
