// For all tests: one build of the playground, served twice, with the headers that allow shared memory and without; and one browser.

import { fileURLToPath } from "node:url";
import { browserOptions, serve } from "@conv/testkit/browser";
import { chromium } from "playwright-core";
import { build } from "vite";
import type { TestProject } from "vitest/node";
import { POLICY } from "../scripts/policy.ts";

declare module "vitest" {
  interface ProvidedContext {
    isolated: string;
    plain: string;
    /** Where the browser listens. */
    browser: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const outDir = fileURLToPath(new URL("../.cache/site", import.meta.url));
  await build({ root, logLevel: "warn", build: { outDir, emptyOutDir: true } });
  const [isolated, plain, browser] = await Promise.all([
    serve(outDir, { isolated: true, headers: POLICY }),
    serve(outDir, { isolated: false, headers: POLICY }),
    browserOptions().then((options) => chromium.launchServer(options)),
  ]);
  project.provide("isolated", isolated.url);
  project.provide("plain", plain.url);
  project.provide("browser", browser.wsEndpoint());
  return async () => {
    await Promise.all([isolated.close(), plain.close(), browser.close()]);
  };
}
