// The rest of the conformance suite; the largest groups are in files of their own, which run at the
// same time.

import { testBackend } from "@conv/testkit";
import { asCore, asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { createGpu } from "../src/index.ts";

const except = ["cases", "drawn", "sums", "sharing"] as const;

testBackend("gpu", async () => createGpu({ gpu: await softwareGpu() }), { except, every: 16 });
testBackend(
  "gpu, with the kernels of hardware",
  async () => createGpu({ gpu: asHardware(await softwareGpu()) }),
  { except, every: 4 },
);
testBackend(
  "gpu, on the core of WebGPU",
  async () => createGpu({ gpu: asHardware(asCore(await softwareGpu())) }),
  { except, every: 16 },
);
