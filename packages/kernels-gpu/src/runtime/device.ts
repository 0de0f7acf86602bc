// Finding WebGPU: that of the page, or in Node that of the optional package `webgpu` (Dawn); and a
// device with all that its adapter offers.

import type { Choosing } from "@conv/compiler";
import { unsupported } from "@conv/tensor";
import type { WebGpu, WebGpuDevice } from "../api.ts";
import { speedsOf, type Caps } from "../compile/caps.ts";
import { matricesOf } from "./matrices.ts";
import { adapterWords } from "./words.ts";

/** What a device is asked for where the adapter has it. */
const FEATURES = ["subgroups", "shader-f16", "timestamp-query"] as const;
const LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

/** The parts of the package `webgpu` that are used. */
interface Dawn {
  create(options: readonly string[]): GPU;
}

declare global {
  /** Kept for as long as the process lives: once it is collected, the process dies. */
  var convDawn: GPU | undefined;
}

/**
 * Dawn hides f16 on NVIDIA and subgroup matrices everywhere unless asked for them, and rounds
 * timestamps to 100 µs.
 */
const DAWN = [
  "enable-dawn-features=vulkan_enable_f16_on_nvidia,allow_unsafe_apis",
  "disable-dawn-features=timestamp_quantization",
];

async function findGpu(): Promise<GPU> {
  const gpu = (globalThis.navigator as Navigator | undefined)?.gpu ?? globalThis.convDawn;
  if (gpu) return gpu;
  if (!("process" in globalThis))
    throw unsupported(
      "gpu",
      "this browser has no WebGPU, or the page is not served over https or from localhost",
    );
  const { create } = await importDawn();
  if (process.platform === "linux" && !hasLibrary("libvulkan.so.1"))
    throw unsupported(
      "gpu",
      "the machine has no Vulkan (libvulkan.so.1), by which programs on Linux reach a GPU",
    );
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
        "in Node WebGPU comes with the package webgpu, which is not installed: npm install webgpu",
      );
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw unsupported("gpu", `the package webgpu does not load (${reason})`);
  }
}

/**
 * Whether the system finds a library. Asked first, because Dawn writes warnings of its own where it
 * finds none.
 */
function hasLibrary(name: string): boolean {
  try {
    process.dlopen({ exports: {} }, name);
  } catch (error) {
    // What is found is refused, too: it is no module of Node's.
    return !(error instanceof Error && error.message.includes("No such file"));
  }
  return true;
}

export interface Opened {
  readonly device: GPUDevice;
  readonly adapter: string;
  /** All capabilities but those that are the user's choice. */
  readonly offers: Omit<Caps, "storage" | "arithmetic" | keyof Choosing>;
}

/**
 * A new device of the fastest adapter, with these features besides where it has them. Throws
 * UnsupportedError, with the reason in one line, where there is none.
 */
export async function openDevice(given?: WebGpu, besides: readonly string[] = []): Promise<Opened> {
  const gpu = (given as GPU | undefined) ?? (await findGpu());
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw unsupported(
      "gpu",
      "WebGPU is there, but no adapter: the machine has no GPU, or no driver for it (Vulkan, Metal or Direct3D 12)",
    );
  const features = [...FEATURES, ...besides].filter((name) => adapter.features.has(name));
  const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
  return opened(
    await adapter.requestDevice({ requiredFeatures: features as GPUFeatureName[], requiredLimits }),
    adapter.info,
  );
}

/** A device of the application, with what it was made with. */
export const useDevice = (given: WebGpuDevice): Promise<Opened> => {
  const device = given as GPUDevice;
  return opened(
    device,
    device.adapterInfo ?? { vendor: "", architecture: "", device: "", description: "" },
  );
};

async function opened(
  device: GPUDevice,
  info: Partial<GPUAdapterInfo> & Parameters<typeof adapterWords>[0],
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
    adapter: adapterWords(info),
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
