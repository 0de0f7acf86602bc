// Mistakes of the user, which end with one line and exit code 2.

import { FileError, isConvError, printable, ShapeError, UnsupportedError } from "@conv/tensor";

/**
 * A wrong argument, or a file that is not what it should be. The message is one line.
 */
export class UserError extends Error {
  override readonly name = "UserError";
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "no such file or folder",
  EISDIR: "is a folder",
  EACCES: "not allowed",
  EPERM: "not allowed",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is exceeded",
  EFBIG: "larger than the limit of file sizes",
  EROFS: "the disk is read-only",
  EMFILE: "too many open files",
  ENFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "a loop of symbolic links",
  EIO: "input/output error of the disk or terminal",
  ERR_INVALID_ARG_VALUE: "not a file name",
  Z_BUF_ERROR: "the gzip data are truncated",
  Z_DATA_ERROR: "the gzip data are damaged",
};

/** An error of the system in words, without the call and the path. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isConvError(error)) return error.message;
  return (
    reasons[codeOf(error) ?? ""] ??
    error.message.replace(/^[A-Z_]+: /, "").replace(/, \w+(?: '.*')?$/s, "")
  );
}

/** The code of an error of the system or of zlib. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && !isConvError(error) && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;

/** Runs `work` on a file; what fails becomes a {@link UserError} that names the file. */
export async function about<R>(file: string, work: () => R | Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const known = codeOf(error) !== undefined || isMistake(error);
    if (!known) throw error;
    const reason = reasonOf(error);
    const own = /^(?:loadFile|saveFile): /.exec(reason)?.[0]; // their messages name the file
    const rest =
      own && reason.startsWith(`${own}${file} `)
        ? reason.slice(own.length + file.length + 1)
        : reason;
    throw new UserError(`${file}: ${rest}`, { cause: error });
  }
}

/** Whether an error reports a mistake of the user, not of the program. */
export const isMistake = (error: unknown): boolean =>
  error instanceof UserError ||
  error instanceof ShapeError ||
  error instanceof FileError ||
  error instanceof UnsupportedError ||
  error instanceof RangeError;

/**
 * The line for an error, safe for a terminal: names of files, layers and tensors may contain
 * anything.
 */
export function lineOf(error: unknown): string {
  const plain =
    !(error instanceof Error) ||
    isMistake(error) ||
    error.constructor === Error ||
    codeOf(error) !== undefined;
  if (plain) return printable(error instanceof Error ? error.message : String(error), 4000);
  return (error.stack ?? error.message)
    .split("\n")
    .map((line) => printable(line))
    .join("\n");
}
