// The GPU back end: buffers and programs of one WebGPU device, and the order of calls to it.

import { createPacks } from "@conv/compiler";
import { MOST_ROUNDOFF, mustBePrecision } from "@conv/ops";
import {
  checkOptions,
  kindOf,
  manageBackend,
  message,
  rangeError,
  unsupported,
} from "@conv/tensor";
import type { CoreOptions, GpuBackend, GpuKernel, GpuOptions } from "./api.ts";
import { createArena } from "./compile/arena.ts";
import type { Caps } from "./compile/caps.ts";
import { roundUp } from "./compile/place.ts";
import { compileProgram, type CompiledProgram } from "./compile/program.ts";
import { openDevice, useDevice } from "./runtime/device.ts";
import { SUBGROUP_MATRIX } from "./runtime/matrices.ts";
import { createRuntime, USAGE, type GpuTensorBuffer, type Runtime } from "./runtime/runtime.ts";

/** The end of errors about tasks that no kernel of a given list computes. */
const REMEDY = "; other kernels are in @conv/kernels-gpu/core, all of them in its list kernels";

/** Starts the back end. `all` are the kernels unless options list some. */
export async function createGpuWith(
  options: GpuOptions | CoreOptions = {},
  all?: readonly GpuKernel[],
): Promise<GpuBackend> {
  const { kernels, precision, storage, prefer, onProgress } = checked(options, all);
  const { device: given, gpu } = options;
  const { device, adapter, offers } = given
    ? await useDevice(given)
    : await openDevice(gpu, precision === "fast" ? [SUBGROUP_MATRIX] : []);
  if (storage === "float16" && !offers.f16) {
    if (!given) device.destroy();
    throw unsupported(
      "gpu",
      "float16-missing",
      message`storage float16 needs the WebGPU feature shader-f16, which ${{ adapter }} does not have; use storage float32`,
    );
  }
  const arithmetic = precision === "fast" && offers.f16 ? "float16" : "float32";
  const caps: Caps = { ...offers, storage, arithmetic, roundoff: MOST_ROUNDOFF[precision], prefer };
  const managed = manageBackend<GpuTensorBuffer, CompiledProgram, Pick<GpuOptions, "prefer">>(
    "gpu",
  );
  const runtime = createRuntime(device, caps, onProgress, managed, given !== undefined);
  const arena = createArena(runtime);
  const packs = createPacks<GpuTensorBuffer, GpuTensorBuffer>({
    alloc: (bytes) => runtime.buffer(bytes, "transformed weights"),
    free: ({ gpu: freed }) => runtime.destroy([freed]),
  });
  const remedy = all && !options.kernels ? "" : REMEDY;
  const shared = { runtime, kernels, remedy, arena, packs };
  const backend = managed.backend("gpu", {
    alloc: (bytes) => runtime.buffer(bytes, "a tensor"),
    free(buffer) {
      packs.forget(buffer);
      runtime.destroy([buffer.gpu]);
    },
    write(buffer, data) {
      // Whole words are written, and only now are the contents the caller's to lend.
      const bytes = new Uint8Array(Math.ceil(data.length / 4) * 4);
      bytes.set(data);
      void runtime.later(() => {
        device.queue.writeBuffer(buffer.gpu, 0, bytes);
        buffer.version = runtime.next();
      });
    },
    read: (buffer) => readBuffer(runtime, buffer),
    compile: (graph, own) =>
      compileProgram(graph, own?.prefer ? { ...caps, prefer: own.prefer } : caps, shared),
    programBytes: (programs) =>
      [...programs, ...packs.all()].reduce(
        (sum, p) => sum + ("ownBytes" in p ? p.ownBytes : p.bytes),
        arena.bytes(),
      ),
    close: () => runtime.close(),
  });
  return Object.assign(backend, { caps, adapter, software: caps.software, lost: runtime.lost });
}

/** Options with their defaults. Throws RangeError for invalid ones. */
function checked(options: GpuOptions | CoreOptions, all?: readonly GpuKernel[]) {
  checkOptions("gpu", options, "gpu device onProgress precision storage kernels prefer");
  const {
    kernels = all,
    precision = "balanced",
    storage = "float32",
    prefer = [],
    onProgress = () => {},
  } = options;
  mustBePrecision("gpu", precision);
  if (storage !== "float32" && storage !== "float16")
    throw rangeError(
      "gpu",
      "storage",
      message`storage is ${{ storage: String(storage) }}, must be float32 or float16`,
    );
  if (!Array.isArray(kernels) || !kernels.every((kernel) => kernel?.build && kernel.ops))
    throw rangeError(
      "gpu",
      "kernels",
      message`kernels is ${{ kernels: kindOf(kernels) }}, must be a list of kernels: convolution, inference or kernels of @conv/kernels-gpu/core, or some kernels of it`,
    );
  return { kernels, precision, storage, prefer, onProgress };
}

/** The bytes of a buffer after all calls before. */
async function readBuffer(runtime: Runtime, { gpu, bytes }: GpuTensorBuffer): Promise<ArrayBuffer> {
  const size = roundUp(bytes);
  const staging = runtime.create(
    size,
    "the copy of a tensor that is read",
    USAGE.mapRead | USAGE.copyDst,
  );
  try {
    await runtime.later(() => {
      const encoder = runtime.device.createCommandEncoder();
      encoder.copyBufferToBuffer(gpu, 0, staging, 0, size);
      runtime.device.queue.submit([encoder.finish()]);
    });
    return (await runtime.mapped(staging)).slice(0, bytes);
  } finally {
    runtime.destroy([staging]);
  }
}
