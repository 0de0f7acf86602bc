// The browser side of the bench: headless Chromium with a page that runs all competitors (page.ts),
// and the server between the page and the bench.

import type { ServerResponse } from "node:http";
import { fileURLToPath } from "node:url";
import { browserOptions, ISOLATION } from "@conv/testkit/browser";
import { filesOf, startServer, type Handler } from "@conv/testkit/server";
import { build } from "esbuild";
import { chromium, type Browser, type Page } from "playwright-core";
import { encode, messages, type Message, type Reply, type Request } from "./channel.ts";
import { competitorOver, type Competitor, type CompetitorName } from "./competitor.ts";
import type { PeerPackage } from "./engines/context.ts";
import type { GpuPeak } from "./gpu-peak.ts";
import { installedPeers } from "./peers.ts";

/**
 * The adapter of a run: the GPU of the machine, SwiftShader, or (auto) the first of these that
 * exists.
 */
export type AdapterName = "auto" | "machine" | "swiftshader";

export interface BenchBrowser {
  /** `Chromium 153.0.0.0`. */
  readonly version: string;
  readonly peak: GpuPeak;
  openPage(): Promise<BrowserPage>;
  close(): Promise<void>;
}

export interface BrowserPage {
  /** Throws an Error of one line when it does not start. */
  start(name: CompetitorName): Promise<Competitor>;
  close(): Promise<void>;
}

/** ES modules of the libraries, for the import map of the page. */
const modules: Partial<Record<PeerPackage, string>> = {
  "onnxruntime-web/webgpu": "onnxruntime-web/dist/ort.webgpu.min.mjs",
  "@tensorflow/tfjs-core": "@tensorflow/tfjs-core/dist/tf-core.fesm.min.js",
  "@tensorflow/tfjs-backend-webgpu":
    "@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.fesm.min.js",
  "@tensorflow/tfjs-gradients": "@tensorflow/tfjs-gradients.mjs",
  "@jax-js/jax": "@jax-js/jax/dist/index.js",
};

/**
 * Starts the browser and measures the peak of its adapter. Throws an Error of one line where there
 * is none.
 */
export async function openBrowser(adapter: AdapterName): Promise<BenchBrowser> {
  const server = await serve(await bundle());
  const tries = adapter === "auto" ? (["machine", "swiftshader"] as const) : [adapter];
  for (const [i, which] of tries.entries()) {
    const browser = await launch(which);
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      const peak = await page.evaluate(() => globalThis.bench.peak());
      await page.close();
      // A browser without a GPU may offer its software adapter; it is recognized by its name.
      if (which === "machine" && /swiftshader/i.test(peak.adapter))
        throw new Error("no WebGPU here but SwiftShader's: --adapter swiftshader runs on it");
      return {
        version: `Chromium ${browser.version()}`,
        peak,
        openPage: () => openPage(browser, server),
        async close() {
          await browser.close();
          await server.close();
        },
      };
    } catch (error) {
      await browser.close();
      if (i < tries.length - 1) continue;
      await server.close();
      throw new Error(lineOf(error), { cause: error });
    }
  }
  throw new Error("no adapter was tried");
}

const lineOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error))
    .replace(/^page\.\w+: /, "")
    .replace(/^Error: /, "")
    .split("\n")[0];

async function launch(which: "machine" | "swiftshader"): Promise<Browser> {
  const options = await browserOptions();
  if (which === "swiftshader") return chromium.launch(options);
  const args = (options.args ?? []).filter(
    (flag) =>
      !flag.startsWith("--use-webgpu-adapter") && !flag.startsWith("--disable-dawn-features"),
  );
  return chromium.launch({
    ...options,
    args: [
      ...args,
      "--enable-features=Vulkan",
      "--ignore-gpu-blocklist",
      "--disable-dawn-features=timestamp_quantization",
    ],
  });
}

/** The page's script as one module. */
async function bundle(): Promise<Uint8Array> {
  const entry = fileURLToPath(new URL("page.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    target: "es2024",
    write: false,
    logLevel: "silent",
  });
  return outputFiles[0].contents;
}

interface Server {
  readonly url: string;
  /** Sends a request to a competitor in the page, and resolves with the answer. */
  ask(
    name: CompetitorName,
    request: Request,
    arrays: readonly ArrayBufferView[],
  ): Promise<Message<Reply>>;
  close(): Promise<void>;
}

/**
 * The page, the libraries, and an address for each competitor, from which it gets requests and to
 * which it posts answers.
 */
async function serve(script: Uint8Array): Promise<Server> {
  const imports = Object.fromEntries(
    Object.entries(modules).map(([name, path]) => [name, `/peers/${path}`]),
  );
  const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>bench</title>
<script type="importmap">${JSON.stringify({ imports })}</script><script type="module" src="/page.js"></script></html>`;
  const peers = filesOf(installedPeers.folder(""));
  const waiting = new Map<string, (response: ServerResponse) => void>();
  const asking = new Map<string, ServerResponse>();
  const hearing = new Map<string, (answer: Message<Reply>) => void>();

  const send = (response: ServerResponse, type: string, body: string | Uint8Array) =>
    response.writeHead(200, { "Content-Type": type }).end(body);
  const handle: Handler = async (path, request, response) => {
    const name = path.startsWith("/ask/") ? path.slice(5) : "";
    if (path === "/") send(response, "text/html", page);
    else if (path === "/page.js") send(response, "text/javascript", script);
    else if (name && request.method === "POST") {
      const { value } = await messages<Reply>(request).next();
      if (value) hearing.get(name)?.(value);
      response.writeHead(200).end();
    } else if (name) {
      const take = waiting.get(name);
      waiting.delete(name);
      if (take) take(response);
      else asking.set(name, response);
    } else await peers(path.replace(/^\/peers/, ""), request, response);
  };
  // A competitor waits during the turns of the others.
  const server = await startServer(handle, {
    headers: ISOLATION,
    methods: ["GET", "HEAD", "POST"],
    timeout: 0,
  });
  return {
    ...server,
    ask(name, request, arrays) {
      const body = encode(request, arrays);
      const hand = (response: ServerResponse) =>
        void send(response, "application/octet-stream", body);
      const ready = asking.get(name);
      asking.delete(name);
      if (ready) hand(ready);
      else waiting.set(name, hand);
      return new Promise((resolve) => hearing.set(name, resolve));
    },
  };
}

async function openPage(browser: Browser, server: Server): Promise<BrowserPage> {
  const page = await browser.newPage();
  const ended = endOf(page);
  ended.catch(() => {}); // told to whoever waits for an answer
  await page.goto(server.url);
  return {
    async start(name) {
      const version = await page
        .evaluate((n) => globalThis.bench.start(n), name)
        .catch((error: unknown) => {
          throw new Error(`${name}: ${lineOf(error)}`, { cause: error });
        });
      return competitorOver(
        name,
        version,
        (request, arrays) => Promise.race([server.ask(name, request, arrays), ended]),
        () => void page.close(),
      );
    },
    close: () => page.close(),
  };
}

/** Rejects once the page is gone. */
const endOf = (page: Page): Promise<never> =>
  new Promise((_, reject) => {
    page.on("crash", () =>
      reject(
        new Error(
          "the page of the competitors crashed: it ran out of memory, or its GPU process did",
        ),
      ),
    );
    page.on("close", () => reject(new Error("the page of the competitors was closed")));
  });
