import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    // CONFORMANCE=full: every back end runs all of the conformance suite, variants too (`every` of testBackend).
    provide: { fullConformance: process.env.CONFORMANCE === "full" },
    projects: ["packages/*", "apps/*", "tools", "tools/browser/vitest.*.config.ts"],
  },
});
