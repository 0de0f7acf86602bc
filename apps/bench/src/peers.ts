// The libraries that are compared with: where they are installed (a folder of their own, exact versions) and how they are loaded.

import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const wanted = new URL("../peers/", import.meta.url);
const installed = new URL("../.peers/", import.meta.url);
const require = createRequire(new URL("package.json", installed));

/** Installs the peers unless exactly these versions are there; 500 MB unpacked. No install script runs: onnxruntime-node's would download. */
export async function ensurePeers(say: (line: string) => void): Promise<void> {
  const lock = await readFile(new URL("package-lock.json", wanted), "utf8");
  const done = new URL("installed.json", installed);
  if ((await readFile(done, "utf8").catch(() => "")) === lock) return;
  say("Installing the libraries to compare with into apps/bench/.peers (500 MB, once)…");
  await mkdir(installed, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) await copyFile(new URL(file, wanted), new URL(file, installed));
  await promisify(execFile)("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: fileURLToPath(installed),
    shell: process.platform === "win32",
    maxBuffer: 2 ** 24,
  });
  await writeFile(done, lock);
}

/** A peer's module by its CommonJS entry, seen through the few members that are used of it. */
export const requirePeer = <T>(name: string): T => require(name) as T;

/** A peer that has an ES module only; `path` is relative to the folder of all peers. */
export const importPeer = async <T>(path: string): Promise<T> => (await import(new URL(`node_modules/${path}`, installed).href)) as T;

/** The version that is installed. */
export async function peerVersion(name: string): Promise<string> {
  const { version }: { version: string } = JSON.parse(await readFile(new URL(`node_modules/${name}/package.json`, installed), "utf8"));
  return version;
}

export const peerPath = (path: string): string => fileURLToPath(new URL(`node_modules/${path}`, installed));
