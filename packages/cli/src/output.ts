// Standard output and standard error. A closed pipe or a full disk never ends a training, and is
// always reported.

import { reasonOf } from "./errors.ts";

let outlives = false;
let failed = false;

/** From here on the command continues when its output has no reader any more. */
export const outliveReader = (): void => void (outlives = true);

/** Watches standard output and standard error for the whole run. Call it once. */
export function watchOutput(): void {
  process.stderr.on("error", () => {}); // there is nowhere left to report it
  process.stdout.on("error", lost);
}

/** Prints a line, or lines, on standard output. */
export const print = (text: string): void => write(`${text}\n`);

/**
 * Prints text as it is. Never throws: a failure is reported on standard error and by the exit code.
 */
export function write(text: string): void {
  if (failed) return;
  try {
    process.stdout.write(text);
  } catch (error) {
    lost(error);
  }
}

/** Prints a line on standard error. */
export function complain(text: string): void {
  try {
    process.stderr.write(`${text}\n`);
  } catch {
    // a closed terminal
  }
}

function lost(error: unknown): void {
  if (failed) return;
  failed = true;
  const gone = error instanceof Error && "code" in error && error.code === "EPIPE";
  // A reader that closes the pipe (`conv summary lenet5 | head -1`) is no error.
  if (gone && !outlives) process.exit(process.exitCode ?? 0);
  if (gone) return;
  complain(`error: standard output: ${reasonOf(error)}`);
  process.exitCode ??= 1;
}
