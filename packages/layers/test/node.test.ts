import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadFile, saveFile } from "../src/node.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "layers-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a file is written, replaced and read whole, and nothing is left beside it", async () => {
  const path = join(folder, "model.safetensors");
  await saveFile(path, Uint8Array.of(1, 2, 3));
  await saveFile(path, Uint8Array.of(4));
  expect([...(await loadFile(path))]).toEqual([4]);
  expect(await readdir(folder)).toEqual(["model.safetensors"]);
});

test("writers at the same time leave one of their files, whole", async () => {
  const path = join(folder, "m");
  const files = Array.from({ length: 8 }, (_, i) => new Uint8Array(100_000).fill(i));
  await Promise.all(files.map((bytes) => saveFile(path, bytes)));
  const bytes = await readFile(path);
  expect(bytes).toHaveLength(100_000);
  expect(new Set(bytes).size).toBe(1);
  expect(await readdir(folder)).toEqual(["m"]);
});

test("what fails leaves the old file and no other", async () => {
  const path = join(folder, "taken");
  await mkdir(path);
  await writeFile(join(path, "inside"), "x");
  await expect(saveFile(path, Uint8Array.of(1))).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
  expect(await readdir(folder)).toEqual(["taken"]);
  await expect(saveFile(join(folder, "none", "m"), Uint8Array.of(1))).rejects.toThrow("ENOENT");
});

test("a file larger than expected is not read", async () => {
  const path = join(folder, "large");
  await writeFile(path, new Uint8Array(11));
  await expect(loadFile(path, { maxBytes: 10 })).rejects.toThrow(new RangeError(`loadFile: ${path} has 11 bytes, the limit is 10`));
  expect(await loadFile(path, { maxBytes: 11 })).toHaveLength(11);
});
