// Errors where there is no WebGPU: one line that says what is missing.

import { afterEach, expect, test, vi } from "vitest";
import { create } from "webgpu";
import { createGpu } from "../src/index.ts";
import { refused } from "./refused.ts";

/**
 * A back end of Dawn that no machine has. It is kept: the process crashes when such an object is
 * collected.
 */
const direct3d = create([process.platform === "win32" ? "backend=metal" : "backend=d3d11"]);

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const refusal = (text: string, code: string, values = {}) =>
  refused("UnsupportedError", `gpu: ${text}`, code, values);

test("a browser without WebGPU", async () => {
  vi.stubGlobal("navigator", {});
  // The back end must not see `process`, which Vitest needs.
  const has = Reflect.has;
  const without = new Proxy(globalThis, {
    has: (target, key) => key !== "process" && has(target, key),
  });
  vi.stubGlobal("globalThis", without);
  await expect(createGpu()).rejects.toThrow(
    refusal(
      "WebGPU not found: this browser has none, or the page is not served over https or from localhost",
      "webgpu-missing",
    ),
  );
});

test.runIf(process.platform === "linux")("Linux without Vulkan", async () => {
  vi.spyOn(process, "dlopen").mockImplementation(() => {
    throw new Error("libvulkan.so.1: cannot open shared object file: No such file or directory");
  });
  await expect(createGpu()).rejects.toThrow(
    refusal("Vulkan not found (libvulkan.so.1)", "vulkan-missing", { library: "libvulkan.so.1" }),
  );
});

test("a machine without a GPU", async () => {
  await expect(createGpu({ gpu: direct3d })).rejects.toThrow(
    refusal(
      "WebGPU offers no adapter: the machine has no GPU, or no driver for it (Vulkan, Metal or Direct3D 12)",
      "adapter-missing",
    ),
  );
});
