// The GPU back end: buffers and programs of one WebGPU device, and the order of what is asked of
// it.

import { createPacks } from "@conv/compiler";
import { MOST_ROUNDOFF, mustBePrecision } from "@conv/ops";
import { checkOptions, manageBackend, rangeError, unsupported } from "@conv/tensor";
import type { GpuBackend, GpuOptions } from "./api.ts";
import { createArena } from "./compile/arena.ts";
import type { Caps } from "./compile/caps.ts";
import { roundUp } from "./compile/place.ts";
import { compileProgram, type CompiledProgram } from "./compile/program.ts";
import { openDevice, useDevice } from "./runtime/device.ts";
import { SUBGROUP_MATRIX } from "./runtime/matrices.ts";
import { createRuntime, USAGE, type GpuTensorBuffer } from "./runtime/runtime.ts";

/**
 * Starts the GPU back end on the device that is given, or else on the fastest adapter that WebGPU
 * offers. Throws UnsupportedError, in one line, where there is none, or none that has what was
 * asked for.
 */
export async function createGpu(options: GpuOptions = {}): Promise<GpuBackend> {
  checkOptions("gpu", options, "gpu device onProgress precision storage prefer");
  const {
    gpu,
    device: given,
    onProgress = () => {},
    precision = "balanced",
    storage = "float32",
    prefer = [],
  } = options;
  mustBePrecision("gpu", precision);
  if (storage !== "float32" && storage !== "float16")
    throw rangeError("gpu", `storage "${String(storage)}" is neither float32 nor float16`);
  const { device, adapter, offers } = given
    ? await useDevice(given)
    : await openDevice(gpu, precision === "fast" ? [SUBGROUP_MATRIX] : []);
  if (storage === "float16" && !offers.f16) {
    if (!given) device.destroy();
    throw unsupported(
      "gpu",
      `storage float16 needs the feature shader-f16, which ${adapter} does not have`,
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
  const shared = { runtime, arena, packs, mustHold: managed.mustHold };
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
    async read(b) {
      const staging = runtime.create(
        roundUp(b.bytes),
        "a tensor that is read",
        USAGE.mapRead | USAGE.copyDst,
      );
      try {
        await runtime.later(() => {
          const encoder = device.createCommandEncoder();
          encoder.copyBufferToBuffer(b.gpu, 0, staging, 0, roundUp(b.bytes));
          device.queue.submit([encoder.finish()]);
        });
        return (await runtime.mapped(staging)).slice(0, b.bytes);
      } finally {
        runtime.destroy([staging]);
      }
    },
    compile: (graph, options) =>
      compileProgram(graph, options?.prefer ? { ...caps, prefer: options.prefer } : caps, shared),
    programBytes: (programs) =>
      [...programs, ...packs.all()].reduce(
        (sum, p) => sum + ("ownBytes" in p ? p.ownBytes : p.bytes),
        arena.bytes(),
      ),
    close: () => runtime.close(),
  });
  return Object.assign(backend, { caps, adapter, software: caps.software, lost: runtime.lost });
}
