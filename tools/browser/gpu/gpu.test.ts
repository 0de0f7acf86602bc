// The GPU back end meets its contract in a browser. In Node more of it runs; here a small share.

import { createGpu } from "@conv/kernels-gpu";
import { testBackend } from "@conv/testkit";
import { expect, test } from "vitest";

testBackend("gpu", () => createGpu(), { except: ["sums", "sharing"], every: 32 });

test("it takes the page's own WebGPU, and says on what it runs", async () => {
  const gpu = await createGpu();
  expect(gpu.adapter).toMatch(/\S/);
  gpu.dispose();
  expect(await gpu.lost).toBe("gpu: the back end is disposed");
});
