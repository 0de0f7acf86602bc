// Where the network computes: the processor, by WebAssembly, or the GPU, by WebGPU. Opened when
// first asked for, and kept.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { createGpu, type GpuBackend } from "@conv/kernels-gpu";
import { createBest } from "@conv/layers";
import type { Backend } from "@conv/tensor";
import type { DeviceChoice, DeviceInfo, NotGpu } from "./protocol.ts";

export interface Device {
  readonly backend: Backend;
  readonly info: DeviceInfo;
  /** Settles, with the reason, if the device is lost. */
  readonly lost: Promise<string>;
}

/** A device, and why it is not the GPU where that was asked for or would have been preferred. */
export interface Opened {
  readonly device: Device;
  readonly notGpu: NotGpu | null;
}

export interface Devices {
  /** The device of that choice. Throws UnsupportedError where it can't be had. */
  open(choice: DeviceChoice): Promise<Opened>;
  /** Forgets one that was lost: it is made again when it is next asked for. */
  forget(device: Device): void;
}

/** `onProgress` tells how many of the shaders that are waited for are compiled. */
export function createDevices(onProgress: (ready: number, total: number) => void): Devices {
  const known = new Map<DeviceChoice, Device>();
  // A device counts all shaders that it ever compiled; a reader waits for those since it last had
  // all.
  const progress = () => {
    let done = 0;
    return (ready: number, total: number) => {
      onProgress(ready - done, total - done);
      if (ready === total) done = total;
    };
  };
  // Plain sums on both: what the page explains term by term is what was computed.
  const creators = {
    gpu: () => createGpu({ precision: "exact", onProgress: progress() }),
    cpu: () => createCpu({ precision: "exact" }),
  };
  const keep = (backend: CpuBackend | GpuBackend): Device => {
    const device = deviceOf(backend);
    known.set(device.info.name, device);
    return device;
  };
  return {
    async open(choice) {
      if (choice === "best") {
        let reached = false;
        const gpu = async () => {
          const made = await creators.gpu();
          reached = true;
          return made;
        };
        const { backend, passed } = await createBest({ gpu, cpu: creators.cpu });
        const missed = passed.find(({ name }) => name === "gpu");
        return {
          device: keep(backend),
          notGpu: missed ? (reached ? "software" : await whyNot(missed.reason)) : null,
        };
      }
      return { device: known.get(choice) ?? keep(await creators[choice]()), notGpu: null };
    },
    forget(device) {
      const { name } = device.info;
      if (known.get(name) === device) known.delete(name);
    },
  };
}

/** Why a GPU can't be had. */
export async function whyNot(message: string): Promise<NotGpu> {
  if (!("gpu" in navigator)) return "noWebGpu";
  return (await navigator.gpu.requestAdapter()) ? { message } : "noAdapter";
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
