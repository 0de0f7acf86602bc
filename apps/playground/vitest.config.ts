// One browser and one build serve all tests: they run one after the other.

import { defineConfig } from "vitest/config";

export default defineConfig({ test: { name: "@conv/playground", include: ["test/*.test.ts"], testTimeout: 60_000, hookTimeout: 120_000, fileParallelism: false } });
