// Tables that fit: columns that go first, names without their outer modules.

import { describe, expect, it } from "vitest";
import { aligned, fitted, shortened } from "../src/table.ts";

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
  expect(["features.block.conv1", "conv1"].map((path) => shortened(path, 12))).toEqual(["…block.conv1", "conv1"]);
  expect(shortened("features.block.conv1", 3)).toBe("…conv1");
  expect(shortened("features.block.conv1", 20)).toBe("features.block.conv1");
});
