// Vitest projects that run in a real browser: the same tests on a cross-origin isolated page, which
// has shared memory, and on a plain page.

import { browserOptions, ISOLATION } from "@conv/testkit/browser";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type ViteUserConfig } from "vitest/config";

declare module "vitest" {
  interface ProvidedContext {
    isolated: boolean;
    /** Whether V8 joins vectors to 256 bits: only on x64. */
    joined: boolean;
  }
}

/**
 * Flags that make V8 join pairs of 128-bit vectors, and optimize code on its first call, since
 * tests run it only a few times.
 */
const PAIRS = "--js-flags=--experimental-wasm-revectorize,--no-liftoff,--no-wasm-inlining";

/** A project whose pages are isolated and join vectors, or neither. */
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
 * The project of the WebGPU tests. Files run one after another: one of them ends the GPU process,
 * which all pages share.
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
