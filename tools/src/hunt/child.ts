// Processes of the command line, each with a time limit, and a memory limit where the system
// reports the memory of a process.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const bin = fileURLToPath(new URL("../../../packages/cli/src/bin.ts", import.meta.url));

export interface Ended {
  /** null if a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Which limit was exceeded. */
  readonly over: "time" | "memory" | null;
}

export interface ChildOptions {
  readonly cwd: string;
  /** Default: 120. */
  readonly seconds?: number;
  /** Bytes of resident memory. Default: no limit. */
  readonly bytes?: number;
  /** A shell line in which "$@" stands for the command. Default: no shell. */
  readonly shell?: string;
  /** Sends this signal after `after` milliseconds. */
  readonly kill?: { readonly after: number; readonly signal: NodeJS.Signals };
}

/** Characters of output that are kept. */
const MOST = 2 ** 20;

/** Runs `conv` with these arguments on the CPU until it ends. */
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
        // the whole process group: the shell and its children
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // the process has ended already
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

/** Resident memory of a process in bytes; 0 where the system does not report it. */
function residentOf(pid: number | undefined): number {
  try {
    return (
      1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0)
    );
  } catch {
    return 0;
  }
}
