import { expect, test } from "vitest";
import { layerCases, macsOf } from "../src/layers.ts";

test("the default set is the thirteen layers, by name and cost", () => {
  const list = layerCases("resnet").map(
    ({ name, geometry }) =>
      `${name}: ${geometry.output.join("×")}, ${(macsOf(geometry) / 1e6).toFixed(1)} M`,
  );
  expect(list).toEqual([
    "7×7/2 3→64@224: 112×112, 118.0 M",
    "3×3 64@56: 56×56, 115.6 M",
    "3×3 128@28: 28×28, 115.6 M",
    "3×3 256@14: 14×14, 115.6 M",
    "3×3 512@7: 7×7, 115.6 M",
    "1×1 256→64@56: 56×56, 51.4 M",
    "1×1 64→256@56: 56×56, 51.4 M",
    "1×1 512→2048@7: 7×7, 51.4 M",
    "depthwise 3×3 32@112: 112×112, 3.6 M",
    "depthwise 3×3 512@14: 14×14, 0.9 M",
    "3×3 dilation 2 64@56: 56×56, 115.6 M",
    "3×3 groups 8 64@56: 56×56, 14.5 M",
    "3×3 256@100: 100×100, 5898.2 M",
  ]);
});

test("the public sets agree with their published output sizes and hold each geometry once", () => {
  const all = layerCases("all");
  expect(all.length).toBeGreaterThan(500);
  expect(new Set(all.map((c) => JSON.stringify(c.geometry))).size).toBe(all.length);
  expect(new Set(all.map((c) => c.name)).size).toBe(all.length);
  expect(layerCases("all", { batch: 4 }).every((c) => c.geometry.n === 4)).toBe(true);
});

test("a filter may be typed in ASCII", () => {
  expect(layerCases("resnet", { filter: "1x1 64->256" }).map((c) => c.name)).toEqual([
    "1×1 64→256@56",
  ]);
  expect(layerCases("resnet", { filter: "Depthwise" })).toHaveLength(2);
  expect(layerCases("onednn", { filter: "alexnet 5x5" }).map((c) => c.name)).toEqual([
    "onednn alexnet 5×5 groups 2 96→256@27 pad 2,2 2,2",
  ]);
});

test("small layers can be left out", () => {
  const large = layerCases("resnet", { over: 0.1 }).map((c) => c.name);
  expect(large).toEqual([
    "7×7/2 3→64@224",
    "3×3 64@56",
    "3×3 128@28",
    "3×3 256@14",
    "3×3 512@7",
    "3×3 dilation 2 64@56",
    "3×3 256@100",
  ]);
});
