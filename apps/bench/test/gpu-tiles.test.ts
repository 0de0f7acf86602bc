// Tiles timed on the software adapter: the model's choice comes first, whole sums and split ones
// take some time, and the time given is kept.

import { convGeometry } from "@conv/ops";
import { spec } from "@conv/tensor";
import { softwareGpu } from "@conv/testkit/webgpu";
import { expect, test } from "vitest";
import { measureTiles, type TileTime } from "../src/gpu-tiles.ts";

const layer = {
  name: "1×1 8→16@4",
  geometry: convGeometry(spec([1, 8, 4, 4]), spec([16, 8, 1, 1])),
};

test("the chosen tile and then others are timed", { timeout: 60_000 }, async () => {
  const seen: TileTime[] = [];
  for await (const time of measureTiles(await softwareGpu(), [layer], 60))
    if (seen.push(time) === 3) break;
  // prettier-ignore
  expect(seen.map(({ layer: name, direction, chosen }) => [name, direction, chosen])).toEqual([true, false, false].map((c) => [layer.name, "forward", c]));
  expect(new Set(seen.map(({ tile }) => JSON.stringify(tile))).size).toBe(3);
  for (const { seconds, gflops } of seen)
    expect(seconds * gflops).toBeCloseTo((2 * 8 * 16 * 16) / 1e9);
});

test("no time is no measurement", async () => {
  for await (const time of measureTiles(await softwareGpu(), [layer], 0))
    expect(time).toBeUndefined();
});
