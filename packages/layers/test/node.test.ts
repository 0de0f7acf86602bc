import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeSafetensors } from "../src/index.ts";
import { checkSave, loadFile, loadSafetensors, saveFile } from "../src/node.ts";
import { failure } from "./tiny.ts";

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
  await expect(saveFile(path, Uint8Array.of(1))).rejects.toThrow(
    failure("FileError", `saveFile: ${path} is a folder`),
  );
  expect(await readdir(folder)).toEqual(["taken"]);
  await expect(saveFile(join(folder, "none", "m"), Uint8Array.of(1))).rejects.toThrow("ENOENT");
});

test("a file larger than expected is not read", async () => {
  const path = join(folder, "large");
  await writeFile(path, new Uint8Array(11));
  await expect(loadFile(path, { maxBytes: 10 })).rejects.toThrow(
    failure("FileError", `loadFile: ${path} has 11 bytes, the limit is 10`),
  );
  expect(await loadFile(path, { maxBytes: 11 })).toHaveLength(11);
});

// Links, modes and pipes are those of POSIX.
describe.runIf(process.platform !== "win32")("what a path names", () => {
  test("a link is followed, to a file and to a place where none is yet", async () => {
    await mkdir(join(folder, "real"));
    await writeFile(join(folder, "real", "old"), "old");
    await symlink("real/old", join(folder, "link"));
    await symlink("link", join(folder, "second"));
    await symlink("real/new", join(folder, "dangling"));
    await saveFile(join(folder, "second"), Uint8Array.of(1));
    await saveFile(join(folder, "dangling"), Uint8Array.of(2));
    expect((await lstat(join(folder, "link"))).isSymbolicLink()).toBe(true);
    expect((await lstat(join(folder, "dangling"))).isSymbolicLink()).toBe(true);
    expect([...(await readFile(join(folder, "real", "old")))]).toEqual([1]);
    expect([...(await readFile(join(folder, "real", "new")))]).toEqual([2]);
    expect((await readdir(join(folder, "real"))).toSorted()).toEqual(["new", "old"]);
  });

  test("a chain of links without an end is refused", async () => {
    await symlink("b", join(folder, "a"));
    await symlink("a", join(folder, "b"));
    await expect(saveFile(join(folder, "a"), Uint8Array.of(1))).rejects.toThrow("ELOOP");
  });

  test.each([0o600, 0o640, 0o444, 0o755])(
    "an existing file keeps its mode %o, a new one has that of the umask",
    async (mode) => {
      const path = join(folder, "m");
      await writeFile(path, "old");
      await chmod(path, mode);
      // Where it may not be written to, it is not replaced either; root may write to all.
      const allowed = await open(path, "r+").then(
        (file) => file.close().then(() => true),
        () => false,
      );
      if (allowed) await saveFile(path, Uint8Array.of(1));
      else await expect(saveFile(path, Uint8Array.of(1))).rejects.toThrow("EACCES");
      expect((await stat(path)).mode & 0o777).toBe(mode);
      await saveFile(join(folder, "new"), Uint8Array.of(1));
      expect((await stat(join(folder, "new"))).mode & 0o777).toBe(0o666 & ~process.umask());
    },
  );

  test("a device, a pipe and a socket are neither written nor read, and nothing waits for them", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    const socket = createServer().listen(join(folder, "socket"));
    await once(socket, "listening");
    for (const [path, kind] of [
      ["/dev/null", "a device"],
      ["/dev/full", "a device"],
      ["/dev/zero", "a device"],
      [pipe, "a pipe"],
      [join(folder, "socket"), "a socket"],
    ]) {
      for (const work of [() => saveFile(path, Uint8Array.of(1)), () => checkSave(path)])
        await expect(work()).rejects.toThrow(
          failure("FileError", `saveFile: ${path} is ${kind}, not a regular file`),
        );
      for (const work of [() => loadFile(path), () => loadSafetensors(path)])
        await expect(work()).rejects.toThrow(
          failure("FileError", `loadFile: ${path} is ${kind}, not a regular file`),
        );
    }
    socket.close();
    expect((await stat("/dev/null")).isCharacterDevice()).toBe(true);
  });
});

test("no path, and a folder that is not there, are refused", async () => {
  for (const work of [() => saveFile("", Uint8Array.of(1)), () => checkSave("")])
    await expect(work()).rejects.toThrow(failure("FileError", "saveFile: the path is empty"));
  await expect(checkSave(join(folder, "none", "m"))).rejects.toThrow("ENOENT");
  await expect(checkSave(`${join(folder, "none")}/`)).rejects.toThrow(
    "names a folder that does not exist",
  );
  await expect(checkSave(join(folder, "n".repeat(300)))).rejects.toThrow("ENAMETOOLONG");
});

test("a name as long as the file system allows can be written", async () => {
  const path = join(folder, "n".repeat(250));
  await checkSave(path, 1000);
  expect(await readdir(folder)).toEqual([]);
  await saveFile(path, Uint8Array.of(1));
  expect(await readdir(folder)).toEqual(["n".repeat(250)]);
});

test("what a killed process left is removed by the next; files of living ones and of others stay", async () => {
  const source = `
    import { readdirSync } from "node:fs";
    import { saveFile } from ${JSON.stringify(join(import.meta.dirname, "../src/node.ts"))};
    void saveFile(${JSON.stringify(join(folder, "m"))}, new Uint8Array(200e6));
    const timer = setInterval(() => {
      if (!readdirSync(${JSON.stringify(folder)}).some((name) => name.endsWith(".tmp"))) return;
      clearInterval(timer);
      process.kill(process.pid, "SIGKILL");
    }, 1);`;
  const run = () =>
    spawn(process.execPath, ["--input-type=module-typescript", "-e", source], { stdio: "ignore" });
  await once(run(), "close");
  const [left, ...others] = await readdir(folder);
  expect(others).toEqual([]);
  expect(left).toMatch(/^\.conv-[0-9a-f]{8}-\d+-[0-9a-f]{12}\.tmp$/);
  const [, where, pid] = left.split("-");
  const alive = `.conv-${where}-${process.pid}-0123456789ab.tmp`;
  const elsewhere = `.conv-${where === "00000000" ? "11111111" : "00000000"}-${pid}-0123456789ab.tmp`;
  const foreign = [alive, elsewhere, "notes.tmp", ".conv-notes.tmp"];
  for (const name of foreign) await writeFile(join(folder, name), "x");
  await checkSave(join(folder, "m"));
  expect((await readdir(folder)).toSorted()).toEqual(foreign.toSorted());
});

test("a safetensors file is held to its header before its data are read", async () => {
  const path = join(folder, "m.safetensors");
  const bytes = encodeSafetensors(new Map([["a", { shape: [2], data: Float32Array.of(1, 2) }]]), {
    k: "v",
  });
  await saveFile(path, bytes);
  const loaded = await loadSafetensors(path);
  expect([...loaded.state.get("a")!.data]).toEqual([1, 2]);
  expect(loaded.metadata).toEqual({ k: "v" });
  expect(loaded.bytes).toEqual(bytes);
  // Sparse files: nothing on the disk, and nothing may be read.
  await truncate(path, 2 ** 31);
  const before = process.memoryUsage().arrayBuffers;
  await expect(loadSafetensors(path, { maxBytes: 2 ** 40 })).rejects.toThrow(
    "bytes after the last tensor belong to no tensor",
  );
  await writeFile(path, "");
  await truncate(path, 2 ** 36);
  await expect(loadSafetensors(path, { maxBytes: 2 ** 40 })).rejects.toThrow(
    "not a safetensors file: the header is not valid JSON",
  );
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
  await expect(loadSafetensors(path)).rejects.toThrow(
    failure("FileError", `loadFile: ${path} has 68719476736 bytes, the limit is 2147483647`),
  );
});
