// What the figures belong to: the machine with its measured peak, the engine, and the commit.

import { execFile } from "node:child_process";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { lastError, PAIRING, scriptBeside } from "./competitor.ts";
import type { GpuPeak } from "./gpu-peak.ts";
import type { measurePeak } from "./peak.ts";

const run = promisify(execFile);

export interface Peak {
  /** All threads together. */
  readonly gflops: number;
  readonly of: string;
  /** GB/s that go over the memory bus when as many processes copy, read and written. */
  readonly bandwidth: number;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly threads: number;
  /** Where all ran on a GPU: its name, and what brought WebGPU. */
  readonly gpu?: { readonly adapter: string; readonly through: string };
  /** What percentages are of: the best that WebAssembly, or a shader in float32, reached here. */
  readonly peak: Peak;
  readonly peaks: readonly Peak[];
}

export interface Engine {
  readonly node: string;
  readonly v8: string;
}

const machines = new Map<number, Promise<Machine>>();

/** Measures the peak too, which takes two seconds: once for each number of threads. */
export function describeMachine(threads: number): Promise<Machine> {
  const known = machines.get(threads) ?? measureMachine(threads);
  machines.set(threads, known);
  return known;
}

async function measureMachine(threads: number): Promise<Machine> {
  const peaks = [await peak([], threads), await peak([PAIRING], threads)].filter((p) => p !== null);
  return {
    ...host(),
    threads,
    peak: peaks.reduce((best, p) => (p.gflops > best.gflops ? p : best)),
    peaks,
  };
}

/** The machine with a GPU whose peak was measured, by WebGPU `through` a browser or Node. */
export function describeGpuMachine(
  { adapter, gflops, of, f16, bandwidth }: GpuPeak,
  through: string,
): Machine {
  const peaks = [{ gflops, of, bandwidth }, ...(f16 ? [{ ...f16, bandwidth }] : [])];
  return { ...host(), threads: 1, gpu: { adapter, through }, peak: peaks[0], peaks };
}

/**
 * What a shader reaches on the GPU that a process of Node finds; throws an Error of one line where
 * it finds none.
 */
export async function nodeGpuPeak(env: NodeJS.ProcessEnv): Promise<GpuPeak> {
  try {
    return JSON.parse(
      (
        await run(process.execPath, [scriptBeside("gpu-peak-main")], {
          env: { ...process.env, ...env },
        })
      ).stdout,
    );
  } catch (error) {
    throw new Error(
      error instanceof Error && "stderr" in error ? lastError(String(error.stderr)) : String(error),
      { cause: error },
    );
  }
}

const host = (): Pick<Machine, "cpu" | "cores" | "memoryGiB" | "system"> => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: cpus().length,
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${release()} ${arch()}`,
});

export const describeEngine = (): Engine => ({
  node: process.versions.node,
  v8: process.versions.v8,
});

/**
 * The commit, marked where the working tree differs; that which a bundle was made of; "unknown"
 * elsewhere outside a checkout.
 */
export async function describeCommit(): Promise<string> {
  const bundled = process.env.CONV_COMMIT;
  if (bundled) return bundled;
  return run("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
  }).then(
    ({ stdout }) => stdout.trim(),
    () => "unknown",
  );
}

/**
 * The sum over as many processes as threads, at the same time; null where the engine does not know
 * a flag.
 */
async function peak(flags: readonly string[], threads: number): Promise<Peak | null> {
  try {
    const outputs = await Promise.all(
      Array.from({ length: threads }, () =>
        run(process.execPath, [...flags, scriptBeside("peak")]),
      ),
    );
    const results = outputs.map(({ stdout }): ReturnType<typeof measurePeak> => JSON.parse(stdout));
    const what = `${results[0].fused ? "f32x4.relaxed_madd" : "f32x4.mul and f32x4.add"} in registers${flags.length ? `, paired by ${flags.join(" ")}` : ""}`;
    const total = (figure: "gflops" | "bandwidth") =>
      results.reduce((sum, r) => sum + r[figure], 0);
    return {
      gflops: total("gflops"),
      bandwidth: total("bandwidth"),
      of: `${what}, ${threads === 1 ? "one thread" : `${threads} threads`}`,
    };
  } catch (error) {
    if (flags.length) return null;
    throw error;
  }
}
