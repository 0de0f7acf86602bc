// An adapter in the dress of another: its kernels are chosen and cut as for a real GPU, wherever
// they really run.

const INFO = {
  vendor: "test",
  architecture: "",
  device: "",
  description: "a GPU in name",
  isFallbackAdapter: false,
};

/** The object with one property replaced; methods stay its own. */
export const dressed = <T extends object>(object: T, name: keyof T, value: unknown): T =>
  new Proxy(object, {
    get(target, key) {
      if (key === name) return value;
      const own: unknown = Reflect.get(target, key);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });

/** WebGPU whose adapters say that they are a GPU. */
export const asHardware = (gpu: GPU): GPU =>
  dressed(gpu, "requestAdapter", async (options?: GPURequestAdapterOptions) => {
    const adapter = await gpu.requestAdapter(options);
    return adapter && dressed(adapter, "info", INFO);
  });

/** Limits that every adapter of WebGPU has. */
const CORE = {
  maxStorageBuffersPerShaderStage: 8,
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** WebGPU whose adapters offer its core alone: no features, and the limits that all have. */
export const asCore = (gpu: GPU): GPU =>
  dressed(gpu, "requestAdapter", async (options?: GPURequestAdapterOptions) => {
    const adapter = await gpu.requestAdapter(options);
    return adapter && dressed(dressed(adapter, "features", new Set()), "limits", CORE);
  });
