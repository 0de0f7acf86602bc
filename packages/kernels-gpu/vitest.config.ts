// In processes, not in threads: the driver is found by variables of the process (see @conv/testkit/webgpu).

import { defineConfig } from "vitest/config";

export default defineConfig({ test: { name: "@conv/kernels-gpu", include: ["test/*.test.ts"], pool: "forks" } });
