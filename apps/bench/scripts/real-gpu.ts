// Packs all that a machine with a GPU needs to be measured, and that it may lack: Node, Dawn, this
// bench as JavaScript, libraries of Vulkan's loader, and if wanted the other libraries. One
// archive, for machines without a network; unpacked, `./run.sh` there prints one table.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { describeCommit } from "../src/machine.ts";
import { ensurePeers } from "../src/peers.ts";

const USAGE = `Usage: node apps/bench/scripts/real-gpu.ts [--out <file>] [--peers]

Writes an archive (real-gpu.tar.xz) for a machine with Linux on x64. There:
  tar -xJf real-gpu.tar.xz && real-gpu/run.sh [--minutes 8] [--out <folder>] [--tiny]

  --out <file>   where to write it
  --peers        onnxruntime-node, TensorFlow.js and jax-js too: 45 MB in all`;

/** Packages of Debian and Ubuntu with what Vulkan's loader and NVIDIA's driver for it want. */
const PACKAGES = [
  "libvulkan1",
  "libglvnd0",
  "libglx0",
  "libegl1",
  "libx11-6",
  "libxext6",
  "libxcb1",
  "libxau6",
  "libxdmcp6",
  "libbsd0",
  "libmd0",
];

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "real-gpu.tar.xz" },
    peers: { type: "boolean", default: false },
    help: { type: "boolean" },
  },
});
if (values.help) console.log(USAGE);
else await pack(resolve(values.out), values.peers);

async function pack(out: string, withPeers: boolean): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new Error(
      `the archive is for Linux on x64, and made there; this is ${process.platform} on ${process.arch}`,
    );
  const staging = mkdtempSync(join(tmpdir(), "real-gpu-"));
  try {
    const root = join(staging, "real-gpu");
    const bench = join(root, "bench");
    mkdirSync(join(bench, "engines"), { recursive: true });
    await bundle(bench);
    cpSync(source("engines/torch_engine.py"), join(bench, "engines/torch_engine.py"));
    writeFileSync(join(bench, "package.json"), '{ "type": "module" }\n');
    packDawn(join(bench, "node_modules/webgpu"));
    cpSync(process.execPath, join(root, "node"));
    cpSync(fileURLToPath(new URL("real-gpu.sh", import.meta.url)), join(root, "run.sh"));
    chmodSync(join(root, "run.sh"), 0o755);
    packLibraries(join(root, "lib"), staging);
    if (withPeers) await packPeers(root);
    strip([
      join(root, "node"),
      ...globSync("**/*.{node,so,so.*}", { cwd: root }).map((file) => join(root, file)),
    ]);
    execFileSync("tar", ["-cJf", out, "-C", staging, "real-gpu"], {
      env: { ...process.env, XZ_OPT: process.env.XZ_OPT ?? "-9" },
    });
    console.log(`${out}: ${(statSync(out).size / 1e6).toFixed(1)} MB`);
  } finally {
    rmSync(staging, { recursive: true });
  }
}

function source(path: string): string {
  return fileURLToPath(new URL(`../src/${path}`, import.meta.url));
}

/**
 * The bench as JavaScript, in the same places; what only pages, reports and tests need stays out.
 */
async function bundle(folder: string): Promise<void> {
  const entries = ["main", "worker", "gpu-peak-main", "gpu-tiles-main", "real-gpu"].map((name) =>
    source(`${name}.ts`),
  );
  await build({
    entryPoints: entries,
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node24",
    define: { "process.env.CONV_COMMIT": JSON.stringify(await describeCommit()) },
    external: ["webgpu", "vega", "esbuild", "playwright-core", "@conv/testkit/*"],
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; var require = requireOf(import.meta.url);',
    },
    logLevel: "error",
  });
}

function packDawn(folder: string): void {
  const installed = dirname(fileURLToPath(import.meta.resolve("webgpu")));
  for (const file of ["index.js", "package.json", "LICENSE.md", "dist/linux-x64"])
    cpSync(join(installed, file), join(folder, file), { recursive: true });
}

function packLibraries(folder: string, staging: string): void {
  mkdirSync(folder);
  const [debs, tree] = [join(staging, "debs"), join(staging, "tree")];
  mkdirSync(debs);
  try {
    execFileSync("apt-get", ["download", "-q", ...PACKAGES], { cwd: debs, stdio: "pipe" });
  } catch (error) {
    console.log(
      `without libraries of Vulkan's loader, which the machine must have itself: ${error instanceof Error ? error.message.split("\n")[0] : error}`,
    );
    return;
  }
  for (const deb of globSync("*.deb", { cwd: debs }))
    execFileSync("dpkg-deb", ["-x", join(debs, deb), tree]);
  // By their names as the loader asks for them: links become files.
  for (const file of globSync("usr/lib/x86_64-linux-gnu/*.so.[0-9]", { cwd: tree }))
    cpSync(realpathSync(join(tree, file)), join(folder, basename(file)));
}

/** Those parts of the other libraries that run on a GPU in Node. */
async function packPeers(root: string): Promise<void> {
  await ensurePeers(console.log);
  const wanted = fileURLToPath(new URL("../peers", import.meta.url));
  const installed = fileURLToPath(new URL("../.peers", import.meta.url));
  cpSync(wanted, join(root, "peers"), { recursive: true });
  const put = (file: string) =>
    cpSync(join(installed, file), join(root, ".peers", file), {
      recursive: true,
      dereference: true,
    });
  put("installed.json");
  put("package.json");
  put("node_modules/@tensorflow/tfjs-gradients.mjs");
  const at = (name: string, files: readonly string[]) =>
    ["package.json", ...files].forEach((file) => put(`node_modules/${name}/${file}`));
  at("onnxruntime-node", ["dist", "bin/napi-v6/linux/x64"]);
  at("onnxruntime-common", ["dist/cjs"]);
  at("@jax-js/jax", ["dist"]);
  at("@tensorflow/tfjs-core", ["dist/tf-core.node.js"]);
  at("@tensorflow/tfjs-backend-webgpu", ["dist/tf-backend-webgpu.node.js"]);
  at("@tensorflow/tfjs-backend-cpu", ["dist/tf-backend-cpu.node.js"]);
  // What these require, and what that requires.
  const require = createRequire(join(installed, "package.json"));
  const more = ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-cpu"];
  const seen = new Set(more);
  for (const name of more) {
    const { dependencies = {} }: { dependencies?: Record<string, string> } = JSON.parse(
      readFileSync(join(installed, `node_modules/${name}/package.json`), "utf8"),
    );
    for (const dependency of Object.keys(dependencies)) {
      if (
        seen.has(dependency) ||
        dependency.startsWith("@types/") ||
        dependency.startsWith("@webgpu/")
      )
        continue;
      seen.add(dependency);
      more.push(dependency);
      if (
        existsSync(join(installed, "node_modules", dependency)) &&
        require.resolve.paths(dependency)
      )
        put(`node_modules/${dependency}`);
    }
  }
}

/** Leaves out what only debuggers read. */
function strip(files: readonly string[]): void {
  for (const file of files)
    try {
      execFileSync("strip", ["--strip-unneeded", file], { stdio: "pipe" });
    } catch {
      // without binutils, or a file that is none of theirs: it stays as it is
    }
}
