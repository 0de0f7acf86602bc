// @conv/layers/node: files. A file is written beside its place and moved there when it is whole, so that a reader, or a
// machine that stops, finds the old contents or the new and never a part.

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file atomically: a temporary file beside it, flushed to the disk, then renamed over it. */
export async function saveFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

// The rename itself is on the disk once the folder is; Windows can't open a folder, and needs it not.
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
  /** Larger files are refused before they are read. */
  readonly maxBytes?: number;
}

/** Reads a whole file. Throws RangeError if it has more than `maxBytes` (default 2³¹ − 1). */
export async function loadFile(path: string, { maxBytes = 2 ** 31 - 1 }: LoadOptions = {}): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new RangeError(`loadFile: ${path} has ${size} bytes, the limit is ${maxBytes}`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
