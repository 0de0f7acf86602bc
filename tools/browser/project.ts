// Vitest projects that run in a real browser: the same tests on a cross-origin isolated page, where
// memory can be shared, and on a plain one.

import { browserOptions, ISOLATION } from "@conv/testkit/browser";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type ViteUserConfig } from "vitest/config";

declare module "vitest" {
  interface ProvidedContext {
    isolated: boolean;
    /** Vectors are joined: V8 does it on x64 alone. */
    joined: boolean;
  }
}

/**
 * Makes V8 join pairs of 128-bit vectors, in code that is optimized at once: what tests run a few
 * times would never be.
 */
const PAIRS = "--js-flags=--experimental-wasm-revectorize,--no-liftoff,--no-wasm-inlining";

/** A project whose pages are isolated, and their vectors joined, or neither. */
export const browserProject = (isolated: boolean): Promise<ViteUserConfig> =>
  project(
    {
      name: isolated ? "browser, isolated" : "browser, plain",
      include: ["test/*.test.ts"],
      provide: { isolated, joined: isolated && process.arch === "x64" },
    },
    isolated ? { server: { headers: ISOLATION }, args: [PAIRS] } : {},
  );

/**
 * The project of what runs on WebGPU, file by file: one ends the process of the GPU, which all
 * pages share.
 */
export const gpuProject = (): Promise<ViteUserConfig> =>
  project({ name: "browser, gpu", include: ["gpu/*.test.ts"], fileParallelism: false });

async function project(
  test: ViteUserConfig["test"],
  { server = {}, args = [] }: Pick<ViteUserConfig, "server"> & { args?: readonly string[] } = {},
) {
  const options = await browserOptions();
  return defineConfig({
    server,
    test: {
      ...test,
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({
          launchOptions: { ...options, args: [...(options.args ?? []), ...args] },
        }),
        instances: [{ browser: "chromium" }],
      },
    },
  });
}
