// WebGPU for tests in Node, on any machine: Dawn on SwiftShader, the driver that comes with the
// browser's package; and Dawn's null back end. Where that package has no driver for the machine, or
// VK_DRIVER_FILES names another, Dawn runs on what the machine has.

import { constants } from "node:os";
import { join } from "node:path";
import { isMainThread } from "node:worker_threads";
import { create, globals } from "webgpu";
import { hasPackaged, unpacked } from "./unpacked.ts";

export { asCore, asHardware, dressed } from "./disguised.ts";

/**
 * SwiftShader unrolls a workgroup's zeros into one store an element; written by Dawn as a loop they
 * compile up to twenty times faster.
 */
const LOOPED_ZEROS = "disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension";

/**
 * Dawn offers subgroup matrices, where the driver has them, to those who ask for what is not yet
 * safe for the pages of strangers.
 */
const EXPERIMENTS = "enable-dawn-features=allow_unsafe_apis";

/**
 * Keep a library loaded when Node finds that it is no module of its own (glibc's RTLD_NODELETE).
 */
const NODELETE = 0x1000;

/**
 * Makes Dawn find SwiftShader in this process, whoever loads it. Vulkan's loader reads the
 * environment of the process, so call it in the main thread (Vitest: pool "forks"), before the
 * first adapter.
 */
export async function useSoftwareDriver(): Promise<void> {
  const env = await softwareEnv();
  if (!env.VK_DRIVER_FILES) return;
  if (!isMainThread)
    throw new Error("useSoftwareDriver: a worker cannot change the environment of its process");
  Object.assign(process.env, env); // for this process and its children
  // Dawn asks for the loader by its bare name, and gets the one that is loaded already.
  const loader = join(await unpacked(), "libvulkan.so.1");
  try {
    process.dlopen(
      { exports: {} },
      loader,
      constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | NODELETE,
    );
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("Module did not self-register")))
      throw error;
  }
}

/**
 * The variables that make Dawn find SwiftShader in a process that is yet to start; none where it
 * needs none.
 */
export async function softwareEnv(): Promise<NodeJS.ProcessEnv> {
  if (!hasPackaged || process.env.VK_DRIVER_FILES) return {};
  const folder = await unpacked();
  return {
    VK_DRIVER_FILES: join(folder, "vk_swiftshader_icd.json"),
    LD_LIBRARY_PATH: [folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(":"),
  };
}

/** WebGPU that computes, on SwiftShader. One object a process. */
export async function softwareGpu(): Promise<GPU> {
  await useSoftwareDriver();
  return (pins.software ??= dawn([LOOPED_ZEROS, EXPERIMENTS]));
}

/**
 * WebGPU that computes nothing, yet validates each shader and call. It needs no driver and takes no
 * time.
 */
export const validatingGpu = (): GPU => (pins.validating ??= dawn(["backend=null"]));

declare global {
  var convTestkitGpus: { software?: GPU; validating?: GPU } | undefined;
}

/**
 * Reachable for as long as the process lives: Dawn ends the process once such an object is
 * collected.
 */
const pins = (globalThis.convTestkitGpus ??= {});

/**
 * While it waits, Dawn asks for answers at every turn of the event loop, each time by a new
 * function: that takes a core, which software adapters compute on. From here it asks every
 * millisecond.
 */
function askSeldom(): void {
  const soon = globalThis.setImmediate;
  const isNative = (fn: unknown) =>
    Function.prototype.toString.call(fn) === "function () { [native code] }";
  const seldom = (fn: (...args: unknown[]) => void, ...args: unknown[]) =>
    isNative(fn) ? setTimeout(fn, 1, ...args) : soon(fn, ...args);
  Object.assign(globalThis, {
    setImmediate: Object.defineProperties(seldom, Object.getOwnPropertyDescriptors(soon)),
  });
}

function dawn(options: string[]): GPU {
  if (!pins.software && !pins.validating) askSeldom();
  Object.assign(globalThis, globals); // GPUBufferUsage and the like, as in a browser
  return create(options);
}
