// A short form of `pnpm hunt` with fixed seeds, and every input that failed before.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hunts, replay, run } from "../src/hunt/hunts.ts";
import { mutated, randomOf } from "../src/hunt/mutate.ts";

const hunt = (name: string) => hunts.find((h) => h.name === name)!;

test("mutations depend on their seed alone, and differ", () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, i) => i);
  const some = (seed: number) => {
    const random = randomOf(seed);
    return Array.from({ length: 100 }, () => mutated(bytes, random).join());
  };
  expect(some(1)).toEqual(some(1));
  expect(new Set([...some(1), ...some(2)]).size).toBeGreaterThan(150);
});

test("inputs that once failed are judged rightly", async () => {
  const folder = await mkdtemp(join(tmpdir(), "corpus-"));
  expect(await replay(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

describe("no fault is found", { timeout: 300_000 }, () => {
  test.each([
    ["safetensors", 5000],
    ["idx", 5000],
    ["pictures", 300],
    ["server", 100],
    ["bombs", 4],
    ["kills", 2],
    ["threads", 3],
    ["durability", 3],
    ["exits", 10],
  ])("in %s, %i tries", async (name, tries) => {
    const { faults, tries: done } = await run(hunt(name), { seed: 11, seconds: 600, tries });
    expect(faults).toEqual([]);
    expect(done).toBe(tries);
  });
});
