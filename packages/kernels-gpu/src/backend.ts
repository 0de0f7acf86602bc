// The GPU back end: buffers and programs of one WebGPU device, and the order of what is asked of it.

import { manageBackend, unsupported, type Backend, type Graph } from "@conv/tensor";
import type { Caps, Storage } from "./caps.ts";
import { openDevice } from "./device.ts";
import { HALF_ROUNDOFF } from "./kernels/half.ts";
import { SUBGROUP_MATRIX } from "./matrices.ts";
import { roundUp } from "./place.ts";
import { compileProgram, type GpuProgram, type GpuTensorBuffer } from "./program.ts";
import { createRuntime, USAGE } from "./runtime.ts";

export interface GpuOptions {
  /** The WebGPU to use: `navigator.gpu` unless given, or in Node that of the package `webgpu`. */
  readonly gpu?: GPU;
  /** Called whenever a pipeline is compiled, with how many are, of those asked for so far. */
  readonly onProgress?: (ready: number, total: number) => void;
  /**
   * How programs keep what lies between their steps. `float16` takes half the memory and bandwidth, and rounds each of these values to 11
   * bits (a relative error of 2⁻¹¹; beyond 65,504 it is infinite); sums are float32 all the same, as are inputs, outputs and weights.
   */
  readonly storage?: Storage;
  /**
   * In what products of matrices are multiplied. With `float16` kernels may round operands, products and sums of up to 16 products to 11 bits,
   * and longer sums to float32: |Δy| ≤ 20·2⁻¹¹·Σ|x|·|w|, for numbers between 2⁻¹⁴ and 65,504.
   */
  readonly arithmetic?: Storage;
  /** The largest factor c that a kernel may state for its rounding errors, |Δy| ≤ c·2⁻²³·Σ|x|*·|w| (see `Step.roundoff`). */
  readonly roundoff?: number;
  /** Names of kernels that are taken wherever they can be, whatever they estimate: to measure one against another. */
  readonly prefer?: readonly string[];
}

export interface GpuBackend extends Backend {
  readonly kind: "gpu";
  readonly caps: Caps;
  /** What it runs on, in the words of the driver. */
  readonly adapter: string;
  /** The adapter computes on the processor, where the CPU back end is faster. */
  readonly software: boolean;
  /** Comes, with the reason, when the device is lost, or disposed of. */
  readonly lost: Promise<string>;
  /** Returns at once; pipelines are compiled in the background, and runs wait for them in order. `prefer` is for this program alone. */
  compile(graph: Graph, options?: Pick<GpuOptions, "prefer">): GpuProgram;
}

/**
 * Starts the GPU back end on the fastest adapter that WebGPU offers. Throws UnsupportedError, in one line, where there is none, or none that
 * has what was asked for.
 */
export async function createGpu({
  gpu,
  onProgress = () => {},
  storage = "float32",
  arithmetic = "float32",
  roundoff = 256,
  prefer = [],
}: GpuOptions = {}): Promise<GpuBackend> {
  if (!(roundoff >= 0)) throw new RangeError(`gpu: roundoff ${roundoff} is not a number ≥ 0`);
  const { device, adapter, offers } = await openDevice(gpu, arithmetic === "float16" ? [SUBGROUP_MATRIX] : []);
  for (const [what, type] of Object.entries({ storage, arithmetic }))
    if (type === "float16" && !offers.f16) {
      device.destroy();
      throw unsupported("gpu", `${what} float16 needs the feature shader-f16, which ${adapter} does not have`);
    }
  const most = arithmetic === "float16" ? Math.max(roundoff, HALF_ROUNDOFF) : roundoff;
  const caps: Caps = { ...offers, storage, arithmetic, roundoff: most, prefer };
  const managed = manageBackend<GpuTensorBuffer, GpuProgram, Pick<GpuOptions, "prefer">>("gpu");
  const runtime = createRuntime(device, caps, onProgress, managed);
  let [ids, version] = [0, 0];
  const nextVersion = () => ++version;
  const backend = managed.backend("gpu", {
    alloc: (bytes) => ({ bytes, gpu: runtime.create(roundUp(bytes), "a tensor"), id: ++ids, version: nextVersion() }),
    free: ({ gpu: freed }) => runtime.later(() => freed.destroy()),
    write(buffer, data) {
      // Whole words are written, and only now are the contents the caller's to lend.
      const bytes = new Uint8Array(Math.ceil(data.length / 4) * 4);
      bytes.set(data);
      runtime.later(() => {
        device.queue.writeBuffer(buffer.gpu, 0, bytes);
        buffer.version = nextVersion();
      });
    },
    async read(b) {
      const staging = runtime.create(roundUp(b.bytes), "a tensor that is read", USAGE.mapRead | USAGE.copyDst);
      await new Promise<void>((resolve) =>
        runtime.later(() => {
          const encoder = device.createCommandEncoder();
          encoder.copyBufferToBuffer(b.gpu, 0, staging, 0, roundUp(b.bytes));
          device.queue.submit([encoder.finish()]);
          resolve();
        }),
      );
      try {
        return (await runtime.mapped(staging)).slice(0, b.bytes);
      } finally {
        staging.destroy();
      }
    },
    compile: (graph, options) => compileProgram(graph, { ...caps, prefer: options?.prefer ?? caps.prefer }, runtime, nextVersion, managed.mustHold),
    close: () => runtime.close(),
  });
  return Object.assign(backend, { caps, adapter, software: caps.software, lost: runtime.lost });
}
