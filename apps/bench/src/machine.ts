// What the figures belong to: the machine with its measured peak, the engine, and the commit.

import { execFile } from "node:child_process";
import { arch, cpus, platform, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { measurePeak } from "./peak.ts";

/** The V8 flag that joins pairs of 128-bit operations into 256-bit ones. */
export const PAIRING = "--experimental-wasm-revectorize";
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
  /** What percentages are of: the best that WebAssembly reached here. */
  readonly peak: Peak;
  readonly peaks: readonly Peak[];
}

export interface Engine {
  readonly node: string;
  readonly v8: string;
}

/** Measures the peak too, which takes two seconds. */
export async function describeMachine(threads: number): Promise<Machine> {
  const peaks = [await peak([], threads), await peak([PAIRING], threads)].filter((p) => p !== null);
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    threads,
    peak: peaks.reduce((best, p) => (p.gflops > best.gflops ? p : best)),
    peaks,
  };
}

export const describeEngine = (): Engine => ({ node: process.versions.node, v8: process.versions.v8 });

/** The commit, marked where the working tree differs; "unknown" outside a checkout. */
export const describeCommit = (): Promise<string> =>
  run("git", ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], { cwd: fileURLToPath(new URL(".", import.meta.url)) }).then(
    ({ stdout }) => stdout.trim(),
    () => "unknown",
  );

/** The sum over as many processes as threads, at the same time; null where the engine does not know a flag. */
async function peak(flags: readonly string[], threads: number): Promise<Peak | null> {
  const script = fileURLToPath(new URL("peak.ts", import.meta.url));
  try {
    const outputs = await Promise.all(Array.from({ length: threads }, () => run(process.execPath, [...flags, script])));
    const results = outputs.map(({ stdout }): ReturnType<typeof measurePeak> => JSON.parse(stdout));
    const what = `${results[0].fused ? "f32x4.relaxed_madd" : "f32x4.mul and f32x4.add"} in registers${flags.length ? `, paired by ${flags.join(" ")}` : ""}`;
    const total = (figure: "gflops" | "bandwidth") => results.reduce((sum, r) => sum + r[figure], 0);
    return { gflops: total("gflops"), bandwidth: total("bandwidth"), of: `${what}, ${threads === 1 ? "one thread" : `${threads} threads`}` };
  } catch (error) {
    if (flags.length) return null;
    throw error;
  }
}
