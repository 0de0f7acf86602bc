// Vitest projects that run in a real browser: the same tests on a cross-origin isolated page, where memory can be shared, and on a plain one.

import { browserOptions, ISOLATION } from "@conv/testkit/browser";
import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type ViteUserConfig } from "vitest/config";

declare module "vitest" {
  interface ProvidedContext {
    isolated: boolean;
  }
}

/** A project whose pages are isolated or not. */
export async function browserProject(isolated: boolean): Promise<ViteUserConfig> {
  return defineConfig({
    server: isolated ? { headers: ISOLATION } : {},
    test: {
      provide: { isolated },
      name: isolated ? "browser, isolated" : "browser, plain",
      include: ["test/*.test.ts"],
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        provider: playwright({ launchOptions: await browserOptions() }),
        instances: [{ browser: "chromium" }],
      },
    },
  });
}
