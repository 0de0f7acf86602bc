// Names of adapters, from the information of drivers and browsers.

import { expect, test } from "vitest";
import { adapterName } from "../src/runtime/adapter.ts";

const none = { vendor: "", architecture: "", device: "", description: "" };

test.each([
  [
    {
      vendor: "google",
      architecture: "swiftshader",
      device: "swiftshader-device-subzero-",
      description: "SwiftShader driver 5.0.0",
    },
    "swiftshader device subzero, SwiftShader driver 5.0.0",
  ],
  [{ ...none, vendor: "apple", architecture: "metal-3" }, "apple metal 3"],
  [
    { vendor: "nvidia", architecture: "ampere", device: "0x2484", description: "NVIDIA: 550.54" },
    "nvidia ampere, NVIDIA: 550.54",
  ],
  [none, "an adapter without a name"],
])("%o", (info, words) => expect(adapterName(info)).toBe(words));
