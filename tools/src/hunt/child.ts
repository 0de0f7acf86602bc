// Processes of the command line, each with an end: a limit of seconds, and one of memory where the
// system tells what a process holds.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const bin = fileURLToPath(new URL("../../../packages/cli/src/bin.ts", import.meta.url));

export interface Ended {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What was too much: seconds or bytes. */
  readonly over: "time" | "memory" | null;
}

export interface ChildOptions {
  readonly cwd: string;
  /** Default: 120. */
  readonly seconds?: number;
  /** Bytes of resident memory. Default: no limit. */
  readonly bytes?: number;
  /** A line for the shell, in which "$@" is the command. Default: the command alone. */
  readonly shell?: string;
  /** Ends it after so many milliseconds by this signal. */
  readonly kill?: { readonly after: number; readonly signal: NodeJS.Signals };
}

const MOST = 2 ** 20; // characters that are kept of what it prints

/** Runs `conv` with these arguments, on the CPU, to its end. */
export function runConv(
  args: readonly string[],
  { cwd, seconds = 120, bytes, shell, kill }: ChildOptions,
): Promise<Ended> {
  const command = [process.execPath, bin, ...args];
  const [file, ...rest] =
    shell === undefined ? command : ["/bin/bash", "-c", shell, "hunt", ...command];
  return new Promise((resolve, reject) => {
    const child = spawn(file, rest, {
      cwd,
      env: { ...process.env, NO_COLOR: "1", CONV_DEVICE: "cpu" },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    let [stdout, stderr] = ["", ""];
    let over: Ended["over"] = null;
    const end = (signal: NodeJS.Signals) => {
      try {
        // the shell and what it started
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // it has ended
      }
    };
    const stop = (what: Ended["over"]) => {
      over = what;
      end("SIGKILL");
    };
    const timers = [setTimeout(() => stop("time"), 1000 * seconds)];
    if (kill) timers.push(setTimeout(() => end(kill.signal), kill.after));
    const watch = setInterval(() => {
      if (bytes !== undefined && residentOf(child.pid) > bytes) stop("memory");
    }, 50);
    child.stdout
      .setEncoding("utf8")
      .on("data", (text: string) => (stdout = (stdout + text).slice(0, MOST)));
    child.stderr
      .setEncoding("utf8")
      .on("data", (text: string) => (stderr = (stderr + text).slice(0, MOST)));
    child.on("error", reject).on("close", (code, signal) => {
      timers.forEach(clearTimeout);
      clearInterval(watch);
      resolve({ code, signal, stdout, stderr, over });
    });
  });
}

/** Bytes of memory that a process holds; 0 where the system does not tell. */
function residentOf(pid: number | undefined): number {
  try {
    return (
      1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
    );
  } catch {
    return 0;
  }
}
