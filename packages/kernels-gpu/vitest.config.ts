// In processes, not in threads: the driver is found by variables of the process (see
// @conv/testkit/webgpu). Files share a process: to start one and load all that they import takes
// longer than most of them.

import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { name: "@conv/kernels-gpu", include: ["test/*.test.ts"], pool: "forks", isolate: false },
});
