// `conv summary` as a process: the table, and the JSON that scripts read.

import { describe, expect, it } from "vitest";
import { conv, folder } from "./run.ts";

const cwd = folder();

const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await conv(["summary", ...args, "--format", "json"], cwd);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
};

describe("conv summary", { timeout: 60_000 }, () => {
  it("prints a table that fits 80 columns, without colour where it is piped", async () => {
    const { code, stdout, stderr } = await conv(["summary", "lenet5"], cwd);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").slice(0, 13)).toEqual([
      "lenet5, input 1×1×28×28",
      "",
      "layer   type         output      parameters     MACs  activations  field",
      "─".repeat(72),
      "c1      conv 5×5     1×6×28×28          156  117,600     18.4 KiB    5×5",
      "s2      maxPool 2×2  1×6×14×14            0        0      4.6 KiB    6×6",
      "c3      conv 5×5     1×16×10×10       2,416  240,000      6.3 KiB  14×14",
      "s4      maxPool 2×2  1×16×5×5             0        0      1.6 KiB  16×16",
      "c5      conv 5×5     1×120           48,120   48,000        480 B  32×32",
      "f6      matmul       1×84            10,164   10,080        336 B  32×32",
      "output  matmul       1×10               850      840         40 B  32×32",
      "─".repeat(72),
      "total                                61,706  416,520     31.6 KiB",
    ]);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("prints JSON with model, input, totals and layers", async () => {
    const { model, input, totals, layers } = await json("lenet5");
    expect({ model, input }).toEqual({ model: "lenet5", input: [1, 1, 28, 28] });
    expect(totals).toMatchObject({ parameters: 61706, trainable: 61706, buffers: 0, macs: 416520, flops: 850794 });
    expect(layers[0]).toMatchObject({ path: "c1", type: "conv", output: [1, 6, 28, 28], parameters: 156, macs: 117600, connections: 122304 });
  });

  it("counts the net of 1998 as its paper does", async () => {
    const { totals, layers } = await json("lenet5_1998");
    expect(totals).toMatchObject({ parameters: 60000, trainable: 60000, buffers: 840 });
    const counts = layers.map((l: { path: string; parameters: number; connections: number }) => [l.path, l.parameters, l.connections]);
    expect(counts).toEqual([
      ["c1", 156, 122304],
      ["s2", 12, 5880],
      ["c3", 1516, 151600],
      ["s4", 32, 2000],
      ["c5", 48120, 48120],
      ["f6", 10164, 10164],
      ["output", 0, 840],
    ]);
  });

  it("takes another input and a batch", async () => {
    const { input, totals } = await json("lenet5", "--input", "3x28x28", "--batch", "64");
    expect(input).toEqual([64, 3, 28, 28]);
    expect(totals).toMatchObject({ parameters: 61706 + 2 * 150, macs: 64 * (416520 + 2 * 117600) });
  });
});
