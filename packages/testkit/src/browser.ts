// A real browser for tests, on any machine that has Node: headless Chromium out of an npm package, unpacked once beside it.
// Where that package has no binary for the machine (it is for Linux on x64), the installed Chrome is used instead.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium, type Browser, type LaunchOptions } from "playwright-core";
import sirv from "sirv";

const run = promisify(execFile);

const FLAGS = [
  "--no-sandbox",
  "--headless=shell",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-quic",
  "--disable-background-networking",
];

/** Starts headless Chromium with WebGPU on SwiftShader. End it by `close()`, or by `await using`. */
export const launchBrowser = async (): Promise<Browser> => chromium.launch(await browserOptions());

/** What Playwright needs to start that browser, for those who start it themselves (Vitest does). */
export async function browserOptions(): Promise<LaunchOptions> {
  if (process.platform !== "linux" || process.arch !== "x64") return { channel: "chrome", args: FLAGS.filter((flag) => flag !== "--headless=shell") };
  const folder = await unpacked();
  const executablePath = join(folder, "chromium");
  const env: NodeJS.ProcessEnv = { ...process.env, FONTCONFIG_FILE: join(folder, "fonts.conf") };
  // The libraries of the machine first: those in the package are newer than what an old C library can load.
  const runsAlone = await run(executablePath, ["--version"], { env }).then(
    () => true,
    () => false,
  );
  if (!runsAlone) env.LD_LIBRARY_PATH = [join(folder, "al2023", "lib"), env.LD_LIBRARY_PATH].filter(Boolean).join(":");
  return { executablePath, args: FLAGS, env };
}

/** The folder of the unpacked browser. Unpacks under a name of its own and renames, so that several processes may start at once. */
async function unpacked(): Promise<string> {
  const archives = new URL("../bin/", import.meta.resolve("@sparticuz/chromium"));
  const { version } = JSON.parse(await readFile(new URL("../package.json", archives), "utf8")) as { version: string };
  const cache = fileURLToPath(new URL("../node_modules/.cache/", import.meta.url));
  const folder = join(cache, `browser-${version}`);
  if (existsSync(folder)) return folder;

  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, "unpacking-"));
  try {
    // In a process of its own, since `inflate` writes into the temporary folder of the process and reuses whatever lies there.
    const paths = ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"].map((name) => fileURLToPath(new URL(name, archives)));
    const script = `import { inflate } from "@sparticuz/chromium"; await Promise.all(${JSON.stringify(paths)}.map((path) => inflate(path)));`;
    await run(process.execPath, ["--input-type=module", "--eval", script], {
      cwd: dirname(fileURLToPath(import.meta.url)),
      env: { ...process.env, TMPDIR: staging },
    });
    await writeFile(join(staging, "fonts.conf"), fontConfig(join(folder, "fonts")));
    await rename(staging, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error; // else another process was faster
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
}

/** The fonts of the machine and those in the package: without any font, the first text ends the browser. */
const fontConfig = (fonts: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>${fonts}</dir>
  <cachedir>${fonts}-cache</cachedir>
</fontconfig>
`;

/** A server of files. End it by `close()`, or by `await using`. */
export interface StaticServer extends AsyncDisposable {
  /** With a trailing slash. */
  readonly url: string;
  close(): Promise<void>;
}

/** The two headers that make a page cross-origin isolated, which threads over shared memory need. */
export const ISOLATION: Readonly<Record<string, string>> = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

/** Serves a folder on a free port of this machine; `isolated` sends the headers that allow shared memory. */
export async function serve(folder: string, { isolated }: { isolated: boolean }): Promise<StaticServer> {
  const files = sirv(folder, {
    dev: true,
    setHeaders: (response) => {
      if (isolated) for (const [name, value] of Object.entries(ISOLATION)) response.setHeader(name, value);
    },
  });
  const server = createServer((request, response) => files(request, response, () => void response.writeHead(404).end()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("serve: the server has no port");
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${address.port}/`, close, [Symbol.asyncDispose]: close };
}
