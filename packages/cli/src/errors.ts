// What goes wrong through no fault of the program: one line for the user, exit code 2.

import { ShapeError, UnsupportedError } from "@conv/tensor";

/** A mistake in what was asked, or a file that is not what it should be. The message is one line. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** Exit code after Ctrl-C, as shells count it: 128 + SIGINT. */
export const INTERRUPTED = 130;

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "no such file or folder",
  EISDIR: "is a folder",
  EACCES: "not allowed",
  EPERM: "not allowed",
  ENOSPC: "the disk is full",
  EROFS: "the disk can't be written to",
};

/** Runs `work` on a file; what fails becomes a {@link UserError} that begins with the file's name. */
export async function about<R>(file: string, work: () => R | Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = "code" in error && typeof error.code === "string" ? reasons[error.code] : undefined;
    if (reason || isMistake(error) || error instanceof RangeError) throw new UserError(`${file}: ${reason ?? error.message}`, { cause: error });
    throw error;
  }
}

/** Whether an error says what the user did wrong, rather than what the program did. */
export const isMistake = (error: unknown): boolean => error instanceof UserError || error instanceof ShapeError || error instanceof UnsupportedError;
