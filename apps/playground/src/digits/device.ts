// The devices of the page: the CPU, by WebAssembly, and the GPU, by WebGPU. Each is opened on first
// use, and kept.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { createGpu, type GpuBackend } from "@conv/kernels-gpu";
import { createBest } from "@conv/layers";
import { message, unsupported, UnsupportedError, type Backend } from "@conv/tensor";
import { failureOf, type Failure } from "../failure.ts";
import type { DeviceChoice, DeviceInfo, NotGpu } from "./protocol.ts";

export interface Device {
  readonly backend: Backend;
  readonly info: DeviceInfo;
  /** Resolves with the reason if the device is lost. */
  readonly lost: Promise<string>;
}

/** A device, and why it is not the GPU, where that was requested or preferred. */
export interface Opened {
  readonly device: Device;
  readonly notGpu: NotGpu | null;
}

export interface Devices {
  /** The device of that choice. Throws UnsupportedError where it cannot be opened. */
  open(choice: DeviceChoice): Promise<Opened>;
  /** Forgets a lost device; it is opened again on the next use. */
  forget(device: Device): void;
}

/** `onProgress` receives the number of compiled shaders, of those needed now. */
export function createDevices(onProgress: (ready: number, total: number) => void): Devices {
  const known = new Map<DeviceChoice, Device>();
  // A device counts all shaders so far; the page shows those since the last time all were compiled.
  const progress = () => {
    let done = 0;
    return (ready: number, total: number) => {
      onProgress(ready - done, total - done);
      if (ready === total) done = total;
    };
  };
  // Exact sums on both: the terms that the page shows are those that were summed.
  const creators = {
    gpu: () => createGpu({ precision: "exact", onProgress: progress() }),
    cpu: () => createCpu({ precision: "exact" }).catch(unavailable),
  };
  const keep = (backend: CpuBackend | GpuBackend): Device => {
    const device = deviceOf(backend);
    known.set(device.info.name, device);
    return device;
  };
  return {
    async open(choice) {
      if (choice === "best") {
        const { backend, chosen, passed } = await createBest(creators).catch(
          (error: unknown): never => {
            throw error instanceof UnsupportedError ? error.cause : error;
          },
        );
        const device = keep(backend);
        if (chosen === "gpu") return { device, notGpu: null };
        const [{ error }] = passed;
        return { device, notGpu: error ? await whyNot(failureOf(error)) : "software" };
      }
      return { device: known.get(choice) ?? keep(await creators[choice]()), notGpu: null };
    },
    forget(device) {
      const { name } = device.info;
      if (known.get(name) === device) known.delete(name);
    },
  };
}

/** Why the GPU cannot be used, where opening it failed with this error. */
export async function whyNot(failure: Failure): Promise<NotGpu> {
  if (!("gpu" in navigator)) return "noWebGpu";
  return (await navigator.gpu.requestAdapter()) ? failure : "noAdapter";
}

/** createCpu() refuses where WebAssembly, or its SIMD, is missing or forbidden. */
function unavailable(error: unknown): never {
  if (!(error instanceof UnsupportedError)) throw error;
  throw unsupported("cpu", "cpu-unavailable", message`${{ reason: error.message }}`);
}

function deviceOf(backend: CpuBackend | GpuBackend): Device {
  if (backend.kind === "gpu") {
    const { adapter, software, lost } = backend;
    return { backend, info: { name: "gpu", threads: 0, adapter, software }, lost };
  }
  return {
    backend,
    info: { name: "cpu", threads: backend.caps.threads, adapter: "", software: false },
    lost: new Promise(() => {}),
  };
}
