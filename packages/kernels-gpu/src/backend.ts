// The GPU back end: buffers and programs of one WebGPU device, and the order of what is asked of it.

import { checkOptions, manageBackend, rangeError, unsupported } from "@conv/tensor";
import type { GpuBackend, GpuOptions, GpuProgram, Precision } from "./api.ts";
import type { Caps } from "./caps.ts";
import { openDevice, useDevice } from "./device.ts";
import { HALF_ROUNDOFF } from "./kernels/half.ts";
import { SUBGROUP_MATRIX } from "./matrices.ts";
import { roundUp } from "./place.ts";
import { compileProgram, type GpuTensorBuffer } from "./program.ts";
import { createRuntime, USAGE } from "./runtime.ts";

/** The largest factor c that kernels may state for their rounding errors (see `Step.roundoff`). */
const ROUNDOFF: Readonly<Record<Precision, number>> = { exact: 0, balanced: 256, fast: HALF_ROUNDOFF };

/**
 * Starts the GPU back end on the device that is given, or else on the fastest adapter that WebGPU offers. Throws UnsupportedError, in one line,
 * where there is none, or none that has what was asked for.
 */
export async function createGpu(options: GpuOptions = {}): Promise<GpuBackend> {
  checkOptions("gpu", options, "gpu device onProgress precision storage prefer");
  const { gpu, device: given, onProgress = () => {}, precision = "balanced", storage = "float32", prefer = [] } = options;
  if (!Object.hasOwn(ROUNDOFF, precision)) throw rangeError("gpu", `precision "${precision}" is none of ${Object.keys(ROUNDOFF).join(", ")}`);
  if (storage !== "float32" && storage !== "float16") throw rangeError("gpu", `storage "${String(storage)}" is neither float32 nor float16`);
  const { device, adapter, offers } = given ? await useDevice(given) : await openDevice(gpu, precision === "fast" ? [SUBGROUP_MATRIX] : []);
  if (storage === "float16" && !offers.f16) {
    if (!given) device.destroy();
    throw unsupported("gpu", `storage float16 needs the feature shader-f16, which ${adapter} does not have`);
  }
  const arithmetic = precision === "fast" && offers.f16 ? "float16" : "float32";
  const caps: Caps = { ...offers, storage, arithmetic, roundoff: ROUNDOFF[precision], prefer };
  const managed = manageBackend<GpuTensorBuffer, GpuProgram, Pick<GpuOptions, "prefer">>("gpu");
  const runtime = createRuntime(device, caps, onProgress, managed, given !== undefined);
  let [ids, version] = [0, 0];
  const nextVersion = () => ++version;
  const backend = managed.backend("gpu", {
    alloc: (bytes) => ({ bytes, gpu: runtime.create(roundUp(bytes), "a tensor"), id: ++ids, version: nextVersion() }),
    free: ({ gpu: freed }) => runtime.destroy([freed]),
    write(buffer, data) {
      // Whole words are written, and only now are the contents the caller's to lend.
      const bytes = new Uint8Array(Math.ceil(data.length / 4) * 4);
      bytes.set(data);
      void runtime.later(() => {
        device.queue.writeBuffer(buffer.gpu, 0, bytes);
        buffer.version = nextVersion();
      });
    },
    async read(b) {
      const staging = runtime.create(roundUp(b.bytes), "a tensor that is read", USAGE.mapRead | USAGE.copyDst);
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
    compile: (graph, options) => compileProgram(graph, { ...caps, prefer: options?.prefer ?? caps.prefer }, runtime, nextVersion, managed.mustHold),
    close: () => runtime.close(),
  });
  return Object.assign(backend, { caps, adapter, software: caps.software, lost: runtime.lost });
}
