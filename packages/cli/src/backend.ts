// The back end that the commands compute on. Its name, the reason for the choice, and a progress
// bar during compilation appear on standard error.

import { wrap } from "@conv/analysis";
import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import type { GpuBackend } from "@conv/kernels-gpu";
import { createBest } from "@conv/layers";
import type { Precision } from "@conv/ops";
import type { devices } from "./arguments.ts";
import { complain } from "./output.ts";
import { createCompilation } from "./progress.ts";
import { colorsOf } from "./terminal.ts";

/** Options of every command that computes. */
export interface DeviceOptions {
  readonly device?: (typeof devices)[number];
  /**
   * Threads of the CPU; default: one for each core. A number selects the CPU, unless a device is
   * named as well.
   */
  readonly threads?: number;
  readonly precision?: Precision;
}

export interface Opened {
  readonly backend: CpuBackend | GpuBackend;
  /** What it runs on, in words. */
  readonly on: string;
  /**
   * Names the device and the reason on standard error. Call it when the input is checked and
   * computing begins.
   */
  announce(): void;
}

/**
 * WebGPU or WebAssembly: unless a device is named, the GPU where there is one, else the CPU. Throws
 * UnsupportedError where the GPU is named and cannot be used. The GPU package is loaded only where
 * the GPU is tried.
 */
export async function openBackend({
  threads,
  device = threads === undefined ? "best" : "cpu",
  precision,
}: DeviceOptions = {}): Promise<Opened> {
  const cpu = () =>
    createCpu({ ...(threads !== undefined && { threads }), ...(precision && { precision }) });
  const gpu = async () =>
    (await import("@conv/kernels-gpu")).createGpu({
      onProgress: createCompilation(),
      ...(precision && { precision }),
    });
  const { backend, passed } =
    device === "best"
      ? await createBest({ gpu, cpu })
      : { backend: await { gpu, cpu }[device](), passed: [] };
  const on =
    backend.kind === "gpu"
      ? `GPU: ${backend.adapter}`
      : `CPU: ${backend.caps.threads === 1 ? "one thread" : `${backend.caps.threads} threads`}`;
  const why = passed
    .map(({ name, reason }) => `; ${name.toUpperCase()} not used: ${reason}`)
    .join("");
  return {
    backend,
    on,
    announce: () =>
      complain(
        wrap(`on the ${on}${why}`, process.stderr.columns ?? Infinity)
          .map(colorsOf(process.stderr).dim)
          .join("\n"),
      ),
  };
}
