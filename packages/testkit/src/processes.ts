// Programs under test, many calls in one process. Node only.

import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

/** What a program printed, and its exit code. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the main module of a program in one process that is kept, one call after the other, until
 * the tests of the file are over: for the many calls that end as soon as arguments or files are
 * read, since starting Node is most of what they would take. What runs long, is killed or ends the
 * process itself needs a process of its own.
 */
export function inOneProcess(
  main: URL,
  env: NodeJS.ProcessEnv,
): (args: readonly string[], cwd?: string) => Promise<Result> {
  const child = fork(fileURLToPath(new URL("again.ts", import.meta.url)), [main.href], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    execArgv: [],
  });
  afterAll(() => void child.kill());
  return (args, cwd = process.cwd()) =>
    new Promise((resolve, reject) => {
      const ended = (code: number | null) =>
        reject(new Error(`${args.join(" ")}: it ended the process with code ${code}`));
      child.once("exit", ended).once("message", (result) => {
        child.off("exit", ended);
        resolve(result as Result);
      });
      child.send({ args, cwd });
    });
}
