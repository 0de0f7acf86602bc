// Capabilities of an adapter that does not exist, for tests of kernels without a device.

import { speedsOf, type Caps } from "../src/compile/caps.ts";

/** A GPU with every feature that kernels use. */
export const caps: Caps = {
  software: false,
  subgroups: true,
  f16: true,
  matrices: null,
  timestamps: true,
  storage: "float32",
  arithmetic: "float32",
  storageBuffers: 8,
  bindingBytes: 2 ** 27,
  bufferBytes: 2 ** 28,
  workgroupBytes: 16384,
  threads: 256,
  ...speedsOf(false),
  roundoff: 256,
  prefer: [],
};
