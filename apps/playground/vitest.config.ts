// One build and one server for all tests, which run one file after the other: each drives a browser.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "@conv/playground",
    include: ["test/*.test.ts"],
    globalSetup: "test/site.ts",
    testTimeout: 240_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
