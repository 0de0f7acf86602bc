// Builds the playground once for all tests and serves it twice: with the headers that allow shared memory, and without.

import { fileURLToPath } from "node:url";
import { serve } from "@conv/testkit/browser";
import { build } from "vite";
import type { TestProject } from "vitest/node";
import { POLICY } from "../scripts/policy.ts";

declare module "vitest" {
  interface ProvidedContext {
    isolated: string;
    plain: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const outDir = fileURLToPath(new URL("../.cache/site", import.meta.url));
  await build({ root, logLevel: "warn", build: { outDir, emptyOutDir: true } });
  const [isolated, plain] = await Promise.all([true, false].map((allowed) => serve(outDir, { isolated: allowed, headers: POLICY })));
  project.provide("isolated", isolated.url);
  project.provide("plain", plain.url);
  return async () => {
    await Promise.all([isolated.close(), plain.close()]);
  };
}
