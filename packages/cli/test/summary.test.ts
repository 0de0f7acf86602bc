// `conv summary`: the table, and the JSON that scripts read.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { conv, folder, inOneProcess, list, onCpu } from "./run.ts";

const cwd = folder();
const again = inOneProcess();

const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await again(["summary", ...args, "--format", "json"], cwd);
  expect({ code, stderr }).toEqual({ code: 0, stderr: args.includes("--threads") ? onCpu(1) : "" });
  return JSON.parse(stdout);
};

describe("conv summary", { timeout: 60_000 }, () => {
  it("prints a table that fits 80 columns, without color where it is piped", async () => {
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
    expect(totals).toMatchObject({
      parameters: 61706,
      trainable: 61706,
      buffers: 0,
      macs: 416520,
      flops: 850794,
    });
    expect(layers[0]).toMatchObject({
      path: "c1",
      type: "conv",
      output: [1, 6, 28, 28],
      parameters: 156,
      macs: 117600,
      connections: 122304,
    });
  });

  it("counts the net of 1998 as its paper does", async () => {
    const { totals, layers } = await json("lenet5_1998");
    expect(totals).toMatchObject({ parameters: 60000, trainable: 60000, buffers: 840 });
    const counts = layers.map((l: { path: string; parameters: number; connections: number }) => [
      l.path,
      l.parameters,
      l.connections,
    ]);
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

  it("folds the tree, counts as it is told, and counts gradients", async () => {
    const { stdout } = await again(
      ["summary", "resnet50", "--depth", "1", "--convention", "torchinfo", "--backward"],
      cwd,
    );
    const lines = stdout.split("\n");
    expect(lines[2].split(/ {2,}/)).toEqual([
      "layer",
      "parameters",
      "MACs (torchinfo)",
      "MACs dx",
      "MACs dw",
    ]);
    expect(lines.slice(4, 13).map((l) => l.split(/ {2,}/)[0])).toEqual([
      "conv1",
      "bn1",
      "maxpool",
      "layer1 ▸",
      "layer2 ▸",
      "layer3 ▸",
      "layer4 ▸",
      "avgpool",
      "fc",
    ]);
    expect(lines[14].split(/ {2,}/)).toEqual([
      "total",
      "25,557,032",
      "4,089,238,376",
      "3,971,170,304",
      "4,089,184,256",
    ]);
    expect(stdout).toContain(
      "memory by torchinfo (MB of 1,000,000, float32): input 0.60, forward/backward\n  pass 177.83, params 102.23, total 280.66",
    );
  });

  it("tells the memory of inference and training, by element type", async () => {
    const { memory } = await json(
      "resnet18",
      "--input",
      "3x64x64",
      "--batch",
      "2",
      "--dtype",
      "float16",
    );
    expect(memory.inference).toMatchObject({
      dtype: "float16",
      shape: [2, 3, 64, 64],
      parameters: 2 * 11_689_512,
      input: 2 * 2 * 3 * 64 * 64,
    });
    expect(memory.training).toMatchObject({ gradients: 2 * 11_689_512, optimizer: 4 * 11_689_512 });
    expect(memory.training.timeline.some((m: { forward: boolean }) => !m.forward)).toBe(true);
  });

  it("knows that a network with batch normalization of single values can't be trained", async () => {
    const { memory } = await json("resnet18", "--input", "3x32x32");
    expect(memory.training).toBeNull();
    expect(memory.inference.parameters).toBe(4 * 11_689_512);
    const { stdout } = await again(
      ["summary", "resnet18", "--input", "3x32x32", "--depth", "1"],
      cwd,
    );
    expect(stdout).toContain(
      "training is not possible at batch 1: layer4.0.bn1: batchNorm2d: mean and\n  variance of a batch need more than one value per channel, input 1×512×1×1 has\n  1; use a larger batch\n",
    );
  });

  it("writes comma-separated values, Markdown and pages", async () => {
    const csv = await again(["summary", "lenet5", "--format", "csv"], cwd);
    expect(csv.stdout.split("\r\n").map((l) => l.split(",")[0])).toEqual(
      ["layer", "c1", "s2", "c3", "s4", "c5", "f6", "output", "total", "\n"].slice(0, 9).concat(""),
    );
    const markdown = await again(
      ["summary", "lenet5", "--format", "markdown", "--out", "lenet5.md"],
      cwd,
    );
    expect(markdown).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await readFile(join(cwd, "lenet5.md"), "utf8")).toMatch(
      /^## lenet5, input 1×1×28×28\n\n\| layer /,
    );
    expect(await list(cwd)).toEqual(["lenet5.md"]);
  });

  it("draws a page that needs nothing else", async () => {
    const { code, stdout, stderr } = await again(
      ["summary", "resnet18", "--format", "html", "--convention", "flops2"],
      cwd,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^<!doctype html>/);
    // each but one for wide pages and for telephones
    expect(stdout.match(/<figure><svg /g)).toHaveLength(11);
    expect(stdout).toContain("<dd>3,628,146,688</dd><dt>FLOPs (flops2)</dt>");
    expect(stdout.match(/<h2>.*?<\/h2>/g)).toEqual(
      [
        "Costs of each layer",
        "Memory over time",
        "Receptive field",
        "Arithmetic intensity",
        "Growth",
        "Operations by every convention",
        "All layers",
      ].map((h) => `<h2>${h}</h2>`),
    );
    expect(stdout).not.toMatch(/<(script|link|img)|url\(|src=/);
    expect(stdout.replaceAll(/xmlns(:xlink)?="[^"]*"/g, "")).not.toContain("http");
  });

  it("measures, where that is asked for, beside what is predicted", async () => {
    const { timing } = await json("lenet5", "--measure", "--threads", "1");
    expect(timing).toMatchObject({ on: "CPU: one thread", programBytes: expect.any(Number) });
    expect(timing.layers.map((l: { path: string }) => l.path)).toEqual([
      "c1",
      "s2",
      "c3",
      "s4",
      "c5",
      "f6",
      "output",
    ]);
    for (const { predicted, measured, kernel } of timing.layers) {
      expect(predicted).toBeGreaterThan(0);
      expect(measured).toBeGreaterThan(0);
      expect(kernel).toMatch(/^\w/);
    }
    expect(timing.layers.reduce((sum: number, l: { macs: number }) => sum + l.macs, 0)).toBe(
      416520,
    );
  });

  it("predicts without running the network", async () => {
    const { timing } = await json("lenet5", "--predict", "--threads", "1");
    expect(timing).not.toHaveProperty("measured");
    const { inference, training } = timing.reserved;
    expect(inference.program).toBe(timing.programBytes);
    expect(inference).toMatchObject({
      inputs: expect.any(Number),
      values: 23_520,
      total: inference.inputs + inference.outputs + inference.program,
    });
    expect(training.total).toBeGreaterThan(3 * 61_706 * 4); // weights, and the two tensors of Adam
    expect(timing.predicted).toBeCloseTo(
      timing.layers.reduce((sum: number, l: { predicted: number }) => sum + l.predicted, 0),
      12,
    );
    const { stdout } = await again(
      ["summary", "lenet5", "--predict", "--threads", "1", "--format", "html"],
      cwd,
    );
    expect(stdout).toContain("<h2>Roofline</h2>");
    expect(stdout).toContain("MACs: N·H·W·K·(C/g)·kh·kw = 1·28·28·6·(1/1)·5·5");
    expect(stdout).toContain('<th scope="row">twice the batch size, 2</th>');
  });
});
