// Counts against those that others published: LeCun et al. 1998, torchvision.

import {
  conv2d,
  flatten,
  linear,
  maxPool2d,
  pipe,
  relu,
  sequential,
  traceModel,
  type Layer,
  type Model,
} from "@conv/layers";
import { lenet5, lenet5_1998 } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import { summarize, type LayerSummary } from "../src/index.ts";

const of = (model: Model, batch?: number) => summarize(traceModel(model, { batch }));
const by = (layers: readonly LayerSummary[], key: "parameters" | "connections" | "macs") =>
  Object.fromEntries(layers.map((l) => [l.path, l[key]]));

describe("LeNet-5 of 1998", () => {
  const { layers, totals, input } = of(lenet5_1998());
  it("has the trainable parameters of the paper", () => {
    expect(by(layers, "parameters")).toEqual({
      c1: 156,
      s2: 12,
      c3: 1516,
      s4: 32,
      c5: 48120,
      f6: 10164,
      output: 0,
    });
    expect(totals).toMatchObject({ parameters: 60000, trainable: 60000, buffers: 840 });
    expect(input).toEqual([1, 1, 32, 32]);
  });
  it("has the connections of the paper", () => {
    expect(by(layers, "connections")).toEqual({
      c1: 122304,
      s2: 5880,
      c3: 151600,
      s4: 2000,
      c5: 48120,
      f6: 10164,
      output: 840,
    });
  });
  it("has in C3 three parts, by the number of maps they see, which add up to it", () => {
    const { parts, ...c3 } = layers[2];
    expect(parts.map((p) => [p.path, p.type, p.parameters, p.connections, p.output[1]])).toEqual([
      ["c3.0", "conv", 456, 45600, 6],
      ["c3.1", "conv", 909, 90900, 9],
      ["c3.2", "conv", 151, 15100, 1],
    ]);
    for (const key of ["parameters", "connections", "macs"] as const)
      expect(parts.reduce((sum, p) => sum + p[key], 0)).toBe(c3[key]);
    expect(c3.activationBytes).toBe(2 * 4 * 1600);
  });
  it("names a layer after the op with most connections", () => {
    expect(layers.map((l) => l.type)).toEqual([
      "conv",
      "avgPool",
      "conv",
      "avgPool",
      "conv",
      "matmul",
      "sum",
    ]);
  });
  it("has the receptive fields of the paper's Figure 2", () => {
    expect(layers.map((l) => l.receptiveField.map((f) => f.size))).toEqual([
      [5, 5],
      [6, 6],
      [14, 14],
      [16, 16],
      [32, 32],
      [32, 32],
      [32, 32],
    ]);
  });
});

describe("LeNet-5 of today", () => {
  const { layers, totals, model, conventions } = of(lenet5());
  it("has 61,706 parameters", () => {
    expect(by(layers, "parameters")).toEqual({
      c1: 156,
      s2: 0,
      c3: 2416,
      s4: 0,
      c5: 48120,
      f6: 10164,
      output: 850,
    });
    expect(totals).toEqual({
      parameters: 61706,
      trainable: 61706,
      frozen: 0,
      shared: 0,
      buffers: 0,
      parameterBytes: 246824,
      macs: 117600 + 240000 + 48000 + 10080 + 840,
      flops: 850794,
      operations: {
        torchvision: 416520,
        "conv-only": 405600,
        "with-bias": 423038,
        torchinfo: 423038,
        ptflops: 435850,
        flops2: 833040,
      },
      backward: { dx: 416520 - 117600, dw: 416520 },
      elements: 4704 + 1176 + 1600 + 400 + 120 + 84 + 10,
      movedBytes: 418880,
      connections: 122304 + 4704 + 241600 + 1600 + 48120 + 10164 + 850,
      activationBytes: 4 * (4704 + 1176 + 1600 + 400 + 120 + 84 + 10),
    });
    expect(model).toBe("lenet5");
    expect(Object.keys(conventions)).toEqual(expect.arrayContaining(Object.keys(totals)));
  });
  it("says of each layer what it is", () => {
    expect(
      layers.map((l) => [l.path, l.type, l.ops.join(" "), l.kernel?.join("×"), l.output.join("×")]),
    ).toEqual([
      ["c1", "conv", "conv add relu", "5×5", "1×6×28×28"],
      ["s2", "maxPool", "maxPool", "2×2", "1×6×14×14"],
      ["c3", "conv", "conv add relu", "5×5", "1×16×10×10"],
      ["s4", "maxPool", "maxPool", "2×2", "1×16×5×5"],
      ["c5", "conv", "conv add relu reshape", "5×5", "1×120"],
      ["f6", "matmul", "matmul add relu", undefined, "1×84"],
      ["output", "matmul", "matmul add", undefined, "1×10"],
    ]);
  });
  it("counts a batch as what it is: work and activations grow, parameters and connections do not", () => {
    const batch = of(lenet5(), 64).totals;
    for (const key of ["macs", "flops", "activationBytes"] as const)
      expect(batch[key]).toBe(64 * totals[key]);
    for (const key of ["parameters", "connections", "parameterBytes"] as const)
      expect(batch[key]).toBe(totals[key]);
  });
  it("is plain data", () => {
    const summary = of(lenet5());
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
  });
});

describe("VGG-16", () => {
  const block = (channels: number, convolutions: number): [string, Layer][] => [
    ...Array.from({ length: convolutions }, (_, i): [string, Layer] => [
      `conv${channels}_${i}`,
      pipe(conv2d(channels, 3, { padding: 1 }), relu()),
    ]),
    [`pool${channels}`, maxPool2d(2)],
  ];
  const features = sequential([
    ["a", sequential(block(64, 2))],
    ["b", sequential(block(128, 2))],
    ["c", sequential(block(256, 3))],
    ["d", sequential(block(512, 3))],
    ["e", sequential(block(512, 3))],
  ]);
  const classifier = sequential([
    flatten(),
    linear(4096),
    relu(),
    linear(4096),
    relu(),
    linear(1000),
  ]);
  const { layers, totals } = of({
    name: "vgg16",
    input: [3, 224, 224],
    layer: sequential({ features, classifier }),
  });

  it("has torchvision's parameters and MACs", () => {
    expect(totals).toMatchObject({ parameters: 138357544, buffers: 0, macs: 15470264320 });
  });
  it("has a receptive field of 212, stride 32, padding 90", () => {
    const last = layers.find((l) => l.path === "features.e.pool512")!;
    expect(last.receptiveField).toEqual([
      { size: 212, jump: 32, start: -90 },
      { size: 212, jump: 32, start: -90 },
    ]);
  });
  it("counts no memory for a mere change of shape", () => {
    expect(layers.find((l) => l.path === "classifier.0")).toMatchObject({
      type: "reshape",
      output: [1, 25088],
      activationBytes: 0,
    });
  });
});
