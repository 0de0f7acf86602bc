// Where there is no WebGPU, the back end says in one line what is missing.

import { UnsupportedError } from "@conv/tensor";
import { afterEach, expect, test, vi } from "vitest";
import { create } from "webgpu";
import { createGpu } from "../src/index.ts";

/**
 * On any machine a back end of Dawn's that it does not have, kept: Dawn ends the process once such
 * an object is collected.
 */
const direct3d = create([process.platform === "win32" ? "backend=metal" : "backend=d3d11"]);

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const refusal = (text: string) => new UnsupportedError(`gpu: ${text}`);

test("a browser without WebGPU", async () => {
  vi.stubGlobal("navigator", {});
  // Vitest and the test itself go on with a process, which the back end must not see.
  const has = Reflect.has;
  const without = new Proxy(globalThis, {
    has: (target, key) => key !== "process" && has(target, key),
  });
  vi.stubGlobal("globalThis", without);
  await expect(createGpu()).rejects.toThrow(
    refusal("this browser has no WebGPU, or the page is not served over https or from localhost"),
  );
});

test.runIf(process.platform === "linux")("Linux without Vulkan", async () => {
  vi.spyOn(process, "dlopen").mockImplementation(() => {
    throw new Error("libvulkan.so.1: cannot open shared object file: No such file or directory");
  });
  await expect(createGpu()).rejects.toThrow(
    refusal("the machine has no Vulkan (libvulkan.so.1), by which programs on Linux reach a GPU"),
  );
});

test("a machine without a GPU", async () => {
  await expect(createGpu({ gpu: direct3d })).rejects.toThrow(
    refusal(
      "WebGPU is there, but no adapter: the machine has no GPU, or no driver for it (Vulkan, Metal or Direct3D 12)",
    ),
  );
});
