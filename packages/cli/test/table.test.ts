// Tables that fit: columns that go first, names without their outer modules.

import { describe, expect, it } from "vitest";
import { aligned, fitted, shortened } from "../src/table.ts";
import { folder, inOneProcess } from "./run.ts";

const rows = [
  ["layer", "size", "jump", "text"],
  ["one", "1", "22", "left"],
];

describe("a table", () => {
  it("has its first column to the left, others to the right or where they are told to be", () => {
    expect(aligned(rows, [0, 3])).toEqual(["layer  size  jump  text", "one       1    22  left"]);
  });
  it("loses the columns that are named until it fits, in their order", () => {
    expect(fitted(rows, 23, [1, 2], [0, 3])).toEqual(aligned(rows, [0, 3]));
    expect(fitted(rows, 22, [1, 2], [0, 3])).toEqual(["layer  jump  text", "one      22  left"]);
    expect(fitted(rows, 10, [1, 2], [0, 3])).toEqual(["layer  text", "one    left"]);
    expect(fitted(rows, 5, [], [0])).toEqual(aligned(rows));
  });
});

it("a name loses its outer modules until it fits", () => {
  expect(["features.block.conv1", "conv1"].map((path) => shortened(path, 12))).toEqual([
    "…block.conv1",
    "conv1",
  ]);
  expect(shortened("features.block.conv1", 3)).toBe("…conv1");
  expect(shortened("features.block.conv1", 20)).toBe("features.block.conv1");
});

describe("60 columns are enough for", { timeout: 60_000 }, () => {
  const cwd = folder();
  const conv = inOneProcess({ COLUMNS: "60" });
  it.for([
    "summary resnet50",
    "summary lenet5 --predict --threads 1",
    "compare lenet5 inceptionV3",
    "suggest 256x100x100 3x3 256",
    "explain 64x56x56 3x3 64 --threads 1",
    "receptive lenet5 --at c3",
  ])("conv %s", async (args) => {
    const { code, stdout } = await conv(args.split(" "), cwd);
    expect(code).toBe(0);
    expect(stdout.split("\n").filter((line) => line.length > 60)).toEqual([]);
  });
});
