// @conv/layers/node: files. A file is written to a temporary file in the same folder and renamed
// when it is complete, so that readers, also after a crash, find the old contents or the new ones,
// never a part.

import { createHash, randomBytes } from "node:crypto";
import { constants, readlinkSync, type Stats } from "node:fs";
import {
  access,
  lstat,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  type FileHandle,
} from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, resolve } from "node:path";
import { checkOptions, message, fileError } from "@conv/tensor";
import { decodeSafetensors, headerSize, readHeader, type Decoded } from "./state/safetensors.ts";

/**
 * Writes a file atomically: to a temporary file in the same folder, which is flushed to the disk
 * and then renamed. Symbolic links are followed; the mode and the owner of an existing file are
 * kept. Rejects with FileError, and writes nothing, if the path names a folder, a device, a pipe or
 * a socket.
 */
export async function saveFile(path: string, bytes: Uint8Array): Promise<void> {
  await syncFolder(dirname(await withTemporary(path, bytes, rename)));
}

/**
 * Tests whether {@link saveFile} could write `bytes` bytes now: a temporary file of that size is
 * written and removed. The file at the path does not change. Rejects with the error of saveFile.
 */
export async function checkSave(path: string, bytes = 0): Promise<void> {
  // The file system refuses a name that is too long at the first `stat`, before a temporary file is
  // written.
  await withTemporary(path, new Uint8Array(bytes));
}

/**
 * Writes a temporary file in the folder of the target of a path, and returns the target. The file
 * is removed unless `use` renames it.
 */
async function withTemporary(
  path: string,
  bytes: Uint8Array,
  use?: typeof rename,
): Promise<string> {
  const { path: place, before } = await targetOf(path);
  await removeStale(dirname(place));
  const temporary = temporaryOf(place);
  try {
    await writeNew(temporary, bytes, before);
    await use?.(temporary, place);
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
  return place;
}

async function writeNew(temporary: string, bytes: Uint8Array, before: Stats | null): Promise<void> {
  const file = await open(temporary, "wx", before ? 0o600 : 0o666);
  try {
    await file.writeFile(bytes);
    if (before) {
      await file.chown(before.uid, before.gid).catch(() => {}); // only root may change the owner
      await file.chmod(before.mode & 0o7777);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

const LINKS = 40; // the limit of Linux

/** The target of a path after all symbolic links, also if it does not exist yet, and its status. */
async function targetOf(path: string): Promise<{ path: string; before: Stats | null }> {
  if (path === "") throw fileError("saveFile", "empty-path", message`the path is empty`);
  const before = await stat(path).catch(absent);
  if (before) {
    if (!before.isFile())
      throw fileError(
        "saveFile",
        "not-a-file",
        message`${{ path }} is ${{ kind: kindOf(before) }}`,
      );
    await access(path, constants.W_OK);
    return { path: await realpath(path), before };
  }
  let place = path;
  for (let links = 0; (await lstat(place).catch(absent))?.isSymbolicLink(); links++) {
    if (links === LINKS)
      throw fileError(
        "saveFile",
        "link-chain",
        message`${{ path }} is a chain of more than ${{ most: LINKS }} links`,
      );
    place = resolve(await realpath(dirname(place)), await readlink(place));
  }
  if (/[/\\]$/.test(place))
    throw fileError(
      "saveFile",
      "no-folder",
      message`${{ path }} names a folder that does not exist`,
    );
  return { path: place, before: null };
}

function absent(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}

const kindOf = (there: Stats): string =>
  there.isDirectory()
    ? "a folder"
    : `a ${there.isFIFO() ? "pipe" : there.isSocket() ? "socket" : "device"}, not a regular file`;

// The name of a temporary file has the machine and the process that writes it, so that only files
// of killed processes are removed.
const machine = createHash("sha256")
  .update(`${hostname()} ${processSpace()}`)
  .digest("hex")
  .slice(0, 8);
const temporaryOf = (path: string) =>
  join(dirname(path), `.conv-${machine}-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);

/**
 * The PID namespace: containers may share a folder and a host name, but have separate process ids.
 */
function processSpace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

const swept = new Set<string>();

/**
 * Removes the temporary files of ended processes of this machine, once for each folder. Files that
 * cannot be removed stay.
 */
async function removeStale(folder: string): Promise<void> {
  if (swept.has(folder)) return;
  swept.add(folder);
  for (const name of await readdir(folder).catch(() => [])) {
    const [, where, pid] = /^\.conv-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.tmp$/.exec(name) ?? [];
    if (where === machine && !isAlive(Number(pid)))
      await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

// A rename is durable once the folder is flushed. Windows cannot open a folder, and does not need
// it.
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export interface LoadOptions {
  /** Limit of the file size in bytes, checked before the file is read. Default: 2³¹ − 1. */
  readonly maxBytes?: number | undefined;
}

/**
 * Reads a whole file. Rejects with FileError if it is not a regular file or has more than
 * `maxBytes` bytes, and with the error of Node if it cannot be opened.
 */
export const loadFile = (path: string, options: LoadOptions = {}): Promise<Uint8Array> =>
  withFile(path, options, (file, size) => readBytes(file, 0, size));

/**
 * Reads a safetensors file. The header is read first and checked against the size of the file,
 * before the data are read. Rejects with the errors of {@link loadFile} and of `decodeSafetensors`.
 */
export const loadSafetensors = (
  path: string,
  options: LoadOptions = {},
): Promise<Decoded & { readonly bytes: Uint8Array }> =>
  withFile(path, options, async (file, size) => {
    const head = await readBytes(file, 0, Math.min(8, size));
    readHeader(await readBytes(file, 0, headerSize(head, size)), size);
    const bytes = await readBytes(file, 0, size);
    return { ...decodeSafetensors(bytes), bytes };
  });

async function withFile<R>(
  path: string,
  options: LoadOptions,
  work: (file: FileHandle, size: number) => Promise<R>,
): Promise<R> {
  checkOptions("loadFile", options, "maxBytes");
  const { maxBytes = 2 ** 31 - 1 } = options;
  const regular = (there: Stats) => {
    if (!there.isFile())
      throw fileError("loadFile", "not-a-file", message`${{ path }} is ${{ kind: kindOf(there) }}`);
  };
  regular(await stat(path)); // opening a device may have side effects
  // O_NONBLOCK: opening does not block if the path has become a pipe since
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const there = await file.stat();
    regular(there);
    if (there.size > maxBytes)
      throw fileError(
        "loadFile",
        "too-large",
        message`${{ path }} has ${{ bytes: there.size }} bytes, the limit is ${{ most: maxBytes }}`,
      );
    return await work(file, there.size);
  } finally {
    await file.close();
  }
}

/** Reads `length` bytes of a file, or fewer at its end. */
async function readBytes(file: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(
      bytes,
      filled,
      Math.min(length - filled, 2 ** 30),
      from + filled,
    );
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled === length ? bytes : bytes.subarray(0, filled);
}
