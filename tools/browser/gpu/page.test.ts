// The page that these tests run on has WebGPU, on any machine.

import { expect, test } from "vitest";

test("an adapter gives a device with what the kernels choose by", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  expect(device?.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
  expect(adapter?.features.has("timestamp-query")).toBe(true);
  device?.destroy();
});
