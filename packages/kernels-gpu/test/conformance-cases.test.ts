// The conformance suite on the cases of all ops and their gradients. It runs a share of the cases
// of each op, since pipelines take long to compile.

import { testBackend } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { createGpu } from "../src/index.ts";

testBackend("gpu", async () => createGpu({ gpu: await softwareGpu() }), {
  only: ["cases"],
  every: 24,
});
testBackend(
  "gpu, with the kernels of hardware",
  async () => createGpu({ gpu: asHardware(await softwareGpu()) }),
  { only: ["cases"], every: 16 },
);
