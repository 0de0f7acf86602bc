// Runs the command as a user does: a process of its own, from the sources, in a folder of its own.

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inOneProcess as sharedProcess, type Result } from "@conv/testkit/processes";
import { afterAll } from "vitest";

/** The program. */
export const bin = fileURLToPath(new URL("../src/bin.ts", import.meta.url));

/** What is said on standard error before anything is computed. */
export const onCpu = (threads = availableParallelism()): string =>
  `on the CPU: ${threads === 1 ? "one thread" : `${threads} threads`}\n`;

/**
 * Starts `conv …args`, on the CPU unless `env` has another device; `onStdout` sees everything
 * written so far and may send signals.
 */
export function conv(
  args: readonly string[],
  cwd: string,
  onStdout?: (stdout: string, kill: (signal: NodeJS.Signals) => void) => void,
  env: NodeJS.ProcessEnv = { CONV_DEVICE: "cpu" },
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env: {
        ...process.env,
        NO_COLOR: "1",
        FORCE_COLOR: undefined,
        CONV_DEVICE: undefined,
        ...env,
      },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      onStdout?.(stdout, (signal) => child.kill(signal));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", reject).on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

/**
 * As `conv`, but all calls in one process: for the many that end as soon as the arguments or files
 * are read.
 */
export const inOneProcess = (env: NodeJS.ProcessEnv = {}) =>
  sharedProcess(new URL("../src/main.ts", import.meta.url), {
    NO_COLOR: "1",
    FORCE_COLOR: undefined,
    CONV_DEVICE: "cpu",
    ...env,
  });

/** An empty folder, gone after the tests of the file. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "conv-cli-"));
  afterAll(() => rm(path, { recursive: true }));
  return path;
}

/** Names of what is in a folder, sorted. */
export const list = async (path: string): Promise<string[]> => (await readdir(path)).toSorted();
