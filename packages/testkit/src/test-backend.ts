// The conformance suite: everything the contract of a back end promises, in one call.

import type { Backend } from "@conv/tensor";
import { afterAll, beforeAll, describe, inject } from "vitest";
import { aliasingSuite } from "./suite/aliasing.ts";
import { bufferSuite } from "./suite/buffers.ts";
import { caseSuite } from "./suite/cases.ts";
import type { Device } from "./suite/device.ts";
import { digitsSuite } from "./suite/digits.ts";
import { drawnSuite } from "./suite/drawn.ts";
import { edgeSuite } from "./suite/edges.ts";
import { fusedSuite } from "./suite/fused.ts";
import { lifetimeSuite } from "./suite/lifetime.ts";
import { sharingSuite } from "./suite/sharing.ts";
import { specialSuite } from "./suite/special.ts";
import { sumSuite } from "./suite/sums.ts";
import { tensorSuite } from "./suite/tensors.ts";
import { trainingSuite } from "./suite/training.ts";

const SUITES = {
  cases: caseSuite,
  drawn: drawnSuite,
  fused: fusedSuite,
  training: trainingSuite,
  aliasing: aliasingSuite,
  buffers: bufferSuite,
  edges: edgeSuite,
  digits: digitsSuite,
  special: specialSuite,
  sums: sumSuite,
  lifetime: lifetimeSuite,
  sharing: sharingSuite,
  tensors: tensorSuite,
};

declare module "vitest" {
  interface ProvidedContext {
    /**
     * Whether every back end runs the whole suite. Unless it is so, those that say how much run a
     * share.
     */
    fullConformance: boolean;
  }
}

/** A part of the suite. */
export type SuiteName = keyof typeof SUITES;

/**
 * Registers the whole suite for a back end, in a Vitest file: `testBackend("cpu", createCpu)`. It
 * makes one back end for most tests, and a few more for those that misuse theirs. A back end that
 * takes long divides the suite among several files, which run at once: `only` some parts in one,
 * all `except` these in another. One that differs little from another runs one in `every` of the
 * tests that are many (cases, drawn geometries, graphs, special numbers, long sums), but at least
 * one of each op. CONFORMANCE=full runs all of everything.
 */
export function testBackend(
  name: string,
  create: () => Backend | Promise<Backend>,
  {
    only,
    except = [],
    every = 1,
  }: { only?: readonly SuiteName[]; except?: readonly SuiteName[]; every?: number } = {},
): void {
  const full = inject("fullConformance");
  describe(name, { timeout: 60_000 }, () => {
    let backend: Backend;
    const device: Device = {
      name,
      every: full ? 1 : every,
      full,
      get backend() {
        return backend;
      },
      fresh: async () => create(),
    };
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend.dispose());
    const [wanted, unwanted]: (readonly string[])[] = [only ?? Object.keys(SUITES), except];
    for (const [suite, register] of Object.entries(SUITES))
      if (wanted.includes(suite) && !unwanted.includes(suite)) register(device);
  });
}
