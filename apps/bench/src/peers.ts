// The libraries that are compared with: where they are installed (a folder of their own, exact
// versions) and how they are loaded.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { PeerPackage, Peers } from "./engines/context.ts";

const wanted = new URL("../peers/", import.meta.url);
const installed = new URL("../.peers/", import.meta.url);
const require = createRequire(new URL("package.json", installed));

/**
 * Installs the peers unless exactly these versions are there; 500 MB unpacked. No install script
 * runs: onnxruntime-node's would download.
 */
export async function ensurePeers(say: (line: string) => void): Promise<void> {
  const lock = await readFile(new URL("package-lock.json", wanted), "utf8");
  const done = new URL("installed.json", installed);
  const complete = (await readFile(done, "utf8").catch(() => "")) === lock;
  if (complete && existsSync(folder(GRADIENTS))) return;
  say("Installing the libraries to compare with into apps/bench/.peers (500 MB, once)…");
  await mkdir(installed, { recursive: true });
  for (const file of ["package.json", "package-lock.json"])
    await copyFile(new URL(file, wanted), new URL(file, installed));
  await promisify(execFile)(
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    {
      cwd: fileURLToPath(installed),
      shell: process.platform === "win32",
      maxBuffer: 2 ** 24,
    },
  );
  await bundleGradients();
  await writeFile(done, lock);
}

/**
 * The gradients of TensorFlow.js are apart from its core, in modules that neither Node nor a page
 * can load as they are.
 */
const GRADIENTS = "@tensorflow/tfjs-gradients.mjs";
async function bundleGradients(): Promise<void> {
  const { build } = await import("esbuild");
  const entry = folder("@tensorflow/tfjs-core/dist/register_all_gradients.js");
  await build({
    entryPoints: [entry],
    outfile: folder(GRADIENTS),
    bundle: true,
    format: "esm",
    logLevel: "error",
  });
}

const folder = (path: string): string => fileURLToPath(new URL(`node_modules/${path}`, installed));

/** Packages that have an ES module only, or offer another build at a path of their own. */
const entries: Partial<Record<PeerPackage, string>> = {
  "@jax-js/jax": "@jax-js/jax/dist/index.js",
  "onnxruntime-web/webgpu": "onnxruntime-web/dist/ort.webgpu.min.mjs",
  "@tensorflow/tfjs-gradients": GRADIENTS,
};

/** The installed libraries in a process of Node: by their CommonJS entries, where they have any. */
export const installedPeers: Peers = {
  async load<T>(name: PeerPackage): Promise<T> {
    const entry = entries[name];
    return entry ? ((await import(pathToFileURL(folder(entry)).href)) as T) : (require(name) as T);
  },
  async version(name) {
    const { version }: { version: string } = JSON.parse(
      await readFile(folder(`${name}/package.json`), "utf8"),
    );
    return version;
  },
  folder,
};
