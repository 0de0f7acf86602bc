// Geometries drawn at random, as the contract of a back end promises; fewer with the kernels for software adapters.

import { testBackend } from "@conv/testkit";
import { asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { createGpu } from "../src/index.ts";

testBackend("gpu", async () => createGpu({ gpu: await softwareGpu() }), { only: ["drawn"], every: 8 });
testBackend("gpu, with the kernels of hardware", async () => createGpu({ gpu: asHardware(await softwareGpu()) }), { only: ["drawn"] });
