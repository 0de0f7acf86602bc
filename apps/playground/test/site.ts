// For all tests: the playground as `pnpm start` builds and serves it, the same without the headers
// that allow shared memory; and one browser.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { browserOptions, serve } from "@conv/testkit/browser";
import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";
import { POLICY } from "../scripts/policy.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** What `pnpm start` printed. */
    printed: string;
    isolated: string;
    plain: string;
    /** Where the browser listens. */
    browser: string;
  }
}

/** Runs `pnpm start` until it serves. */
async function start() {
  const script = fileURLToPath(new URL("../scripts/start.ts", import.meta.url));
  // Vitest's NODE_ENV would make another build.
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, NODE_ENV: undefined, CI: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let printed = "";
  for await (const chunk of child.stdout) {
    printed += String(chunk);
    if (printed.includes("Ctrl-C")) break;
  }
  const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(printed) ?? [];
  if (!address) throw new Error(`pnpm start printed no address: ${printed}`);
  return { printed, address, end: () => (child.kill(), ended) };
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = await start();
  const [plain, browser] = await Promise.all([
    serve(fileURLToPath(new URL("../dist", import.meta.url)), { isolated: false, headers: POLICY }),
    browserOptions().then((options) => chromium.launchServer(options)),
  ]);
  project.provide("printed", started.printed);
  project.provide("isolated", started.address);
  project.provide("plain", plain.url);
  project.provide("browser", browser.wsEndpoint());
  return async () => {
    await Promise.all([started.end(), plain.close(), browser.close()]);
  };
}
