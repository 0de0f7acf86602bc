// The conformance suite: everything the contract of a back end promises, in one call.

import type { Backend } from "@conv/tensor";
import { afterAll, beforeAll, describe } from "vitest";
import { aliasingSuite } from "./suite/aliasing.ts";
import { bufferSuite } from "./suite/buffers.ts";
import { caseSuite } from "./suite/cases.ts";
import type { Device } from "./suite/device.ts";
import { drawnSuite } from "./suite/drawn.ts";
import { edgeSuite } from "./suite/edges.ts";
import { fusedSuite } from "./suite/fused.ts";
import { tensorSuite } from "./suite/tensors.ts";
import { trainingSuite } from "./suite/training.ts";

/**
 * Registers the whole suite for a back end, in a Vitest file: `testBackend("cpu", createCpu)`. It
 * makes one back end for most tests, and a few more for those that misuse theirs.
 */
export function testBackend(name: string, create: () => Backend | Promise<Backend>): void {
  describe(name, { timeout: 60_000 }, () => {
    let backend: Backend;
    const device: Device = {
      get backend() {
        return backend;
      },
      fresh: async () => create(),
    };
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend.dispose());
    for (const suite of [caseSuite, drawnSuite, fusedSuite, trainingSuite, aliasingSuite, bufferSuite, edgeSuite, tensorSuite]) suite(device);
  });
}
