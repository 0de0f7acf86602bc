// The worked examples of textbooks and papers, to the unit.

import { conv1d, conv2d, sequential, traceModel, type Layer } from "@conv/layers";
import { lenet5_1998 } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import { formulasOf, suggest, summarize } from "../src/index.ts";

const of = (input: readonly number[], layer: Layer) => {
  const { totals, layers } = summarize(
    traceModel({ name: "example", input, layer: sequential({ layer }) }),
  );
  return { ...totals, output: layers[0].output.slice(1) };
};
const weights = { bias: false };

describe("worked examples", () => {
  it("a 1×1 convolution from 6 to 5 channels has 30 weights", () => {
    expect(of([6, 9, 9], conv2d(5, 1, weights)).parameters).toBe(30);
  });
  it("20 kernels of 1×1 make 200×200×20 of 200×200×50", () => {
    expect(of([50, 200, 200], conv2d(20, 1)).output).toEqual([20, 200, 200]);
  });
  it.each([
    [3, 3, 3, 64],
    [5, 7, 16, 24],
    [1, 1, 512, 10],
    [11, 11, 3, 96],
  ])(
    "a layer of %i×%i, %i to %i channels, has kh·kw·Cin·Cout + Cout parameters",
    (kh, kw, cin, cout) => {
      expect(of([cin, 16, 16], conv2d(cout, [kh, kw])).parameters).toBe(
        kh * kw * cin * cout + cout,
      );
    },
  );
  it("3×3 from 64 to 64 channels has 36,864 weights, in 8 groups 4,608", () => {
    expect(of([64, 8, 8], conv2d(64, 3, weights)).parameters).toBe(36_864);
    expect(of([64, 8, 8], conv2d(64, 3, { ...weights, groups: 8 })).parameters).toBe(4_608);
  });
  it("3×3 from 16 to 32 channels has 4,608 weights; depthwise separable, 144 + 512 = 656", () => {
    expect(of([16, 8, 8], conv2d(32, 3, weights)).parameters).toBe(4_608);
    expect(of([16, 8, 8], conv2d(16, 3, { ...weights, groups: 16 })).parameters).toBe(144);
    expect(of([16, 8, 8], conv2d(32, 1, weights)).parameters).toBe(512);
    expect(
      suggest({ input: [16, 8, 8], kernel: [3, 3], channels: 32 }).find(
        (a) => a.name === "depthwise separable",
      ),
    ).toMatchObject({
      parameters: 656,
    });
  });
  it("3×3 from 256 to 256 channels at 100×100 takes 5,898,240,000 multiplies, by way of 64 channels 1,638,400,000", () => {
    const [direct, before] = suggest({ input: [256, 100, 100], kernel: [3, 3], channels: 256 });
    expect(direct).toMatchObject({
      name: "direct",
      macs: 5_898_240_000,
      elements: 2_560_000,
      output: [256, 100, 100],
    });
    expect(before).toMatchObject({
      name: "1×1 before",
      text: "1×1 → 64, 3×3 → 256",
      macs: 1_638_400_000,
      elements: 3_200_000,
      output: [256, 100, 100],
    });
  });
  it("a kernel of 5 over 7 makes 3 outputs narrow, 11 wide", () => {
    expect(of([1, 7], conv1d(1, 5)).output).toEqual([1, 3]);
    expect(of([1, 7], conv1d(1, 5, { padding: "full" })).output).toEqual([1, 11]);
  });
});

it("LeNet-5 of 1998 has the table of its paper", () => {
  const { layers, totals } = summarize(traceModel(lenet5_1998()));
  expect(
    layers.map((l) => [l.path, l.output.slice(1).join("×"), l.trainable, l.connections]),
  ).toEqual([
    ["c1", "6×28×28", 156, 122_304],
    ["s2", "6×14×14", 12, 5_880],
    ["c3", "16×10×10", 1_516, 151_600],
    ["s4", "16×5×5", 32, 2_000],
    ["c5", "120", 48_120, 48_120],
    ["f6", "84", 10_164, 10_164],
    ["output", "10", 0, 840],
  ]);
  expect(totals.trainable).toBe(60_000);
  expect(totals.connections).toBe(340_908);
});

it("the formulas are those of the textbooks", () => {
  const [first] = formulasOf(
    traceModel({
      name: "one",
      input: [64, 56, 56],
      layer: sequential([conv2d(128, 3, { padding: 1, groups: 8 })]),
    }),
  );
  expect(first).toEqual({
    path: "0",
    op: "conv",
    symbols: { N: 1, C: 64, K: 128, g: 8, H: 56, W: 56, kh: 3, kw: 3 },
    parameters: { symbols: "K·(C/g)·kh·kw + K", numbers: "128·(64/8)·3·3 + 128", value: 9_344 },
    macs: { symbols: "N·H·W·K·(C/g)·kh·kw", numbers: "1·56·56·128·(64/8)·3·3", value: 28_901_376 },
    elements: { symbols: "N·K·H·W", numbers: "1·128·56·56", value: 401_408 },
  });
});
