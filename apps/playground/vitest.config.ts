// One build and one server for all tests; each file drives a browser of its own.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "@conv/playground",
    include: ["test/*.test.ts"],
    globalSetup: "test/site.ts",
    isolate: false, // the files leave nothing global changed
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
