// Everything the contract of a back end promises, but the cases and what is drawn, which are in files of their own so that all run at once.

import { testBackend } from "@conv/testkit";
import { asCore, asHardware, softwareGpu } from "@conv/testkit/webgpu";
import { createGpu } from "../src/index.ts";

const except = ["cases", "drawn", "sums"] as const;

testBackend("gpu", async () => createGpu({ gpu: await softwareGpu() }), { except, every: 4 });
testBackend("gpu, with the kernels of hardware", async () => createGpu({ gpu: asHardware(await softwareGpu()) }), { except });
testBackend("gpu, on the core of WebGPU", async () => createGpu({ gpu: asHardware(asCore(await softwareGpu())) }), { except, every: 4 });
