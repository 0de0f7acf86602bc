// The conformance suite on random geometries and long sums. It runs a share of them, since
// pipelines take long to compile.

import { testBackend } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { createGpu } from "../src/index.ts";

testBackend("gpu", async () => createGpu({ gpu: await softwareGpu() }), {
  only: ["drawn", "sums"],
  every: 16,
});
testBackend(
  "gpu, with the kernels of hardware",
  async () => createGpu({ gpu: asHardware(await softwareGpu()) }),
  {
    only: ["drawn", "sums"],
    every: 8,
  },
);
