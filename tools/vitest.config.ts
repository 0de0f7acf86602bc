import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { name: "@conv/tools", include: ["test/*.test.ts"], isolate: false },
});
