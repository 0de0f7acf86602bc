// Geometries drawn at random and long sums, as the contract of a back end promises: a share, since
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
