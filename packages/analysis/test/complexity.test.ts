// Formulas, growth, alternatives and comparisons, held against what is counted of the networks that
// they speak of.

import {
  conv2d,
  convTranspose2d,
  flatten,
  linear,
  relu,
  sequential,
  traceModel,
  type Model,
} from "@conv/layers";
import { models } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import {
  compare,
  evaluatePolynomial,
  formulasOf,
  growthOf,
  growthPower,
  suggest,
  summarize,
  widthGrowth,
} from "../src/index.ts";

describe("the formulas of all layers", () => {
  it.each(["lenet5", "alexnet", "resnet50", "mobilenetV2", "googlenet", "densenet121", "r3d18"])(
    "of %s add up to its counts",
    (name) => {
      const traced = traceModel(models[name](), { batch: 2 });
      const formulas = formulasOf(traced);
      const { operations } = summarize(traced).totals;
      expect(formulas.reduce((sum, f) => sum + f.macs.value, 0)).toBe(operations.torchvision);
      const [direct, withBias] = [formulas, formulas].map((list, i) =>
        list.reduce(
          (sum, f) =>
            sum + f.macs.value + (i && f.parameters.symbols.includes("+") ? f.elements.value : 0),
          0,
        ),
      );
      expect(withBias - direct).toBe(operations["with-bias"] - operations.torchvision);
    },
  );

  it("are worked out as they are written", () => {
    for (const { symbols, ...terms } of formulasOf(traceModel(models.googlenet())))
      for (const { symbols: text, numbers, value } of [
        terms.parameters,
        terms.macs,
        terms.elements,
      ]) {
        const written = text.replace(/[A-Za-z]+′?/g, (s) => `${symbols[s]}`);
        expect(written).toBe(numbers);
        const product = (factors: string) =>
          factors.split("·").reduce(
            (p, f) =>
              p *
              f
                .replace(/[()]/g, "")
                .split("/")
                .map(Number)
                .reduce((a, b) => a / b),
            1,
          );
        expect(numbers.split(" + ").reduce((sum, part) => sum + product(part), 0)).toBe(value);
      }
  });

  it("of a transposed convolution count places of its input", () => {
    const traced = traceModel({
      name: "up",
      input: [8, 5, 5],
      layer: sequential([convTranspose2d(4, 3, { stride: 2 })]),
    });
    const [{ macs, elements, parameters }] = formulasOf(traced);
    expect([parameters.symbols, macs.symbols, elements.symbols]).toEqual([
      "C·(K/g)·kh·kw + K",
      "N·H·W·C·(K/g)·kh·kw",
      "N·K·H′·W′",
    ]);
    expect([parameters.value, macs.value, elements.value]).toEqual([
      292,
      25 * 8 * 4 * 9,
      4 * 11 * 11,
    ]);
    expect(macs.value).toBe(summarize(traced).totals.macs);
  });
});

describe("growth", () => {
  it("is in proportion to the batch, and by the square of the resolution", () => {
    const batch = growthOf((f) => traceModel(models.vgg11(), { batch: f }));
    expect(batch.map((p) => p.macs / batch[0].macs)).toEqual([1, 2, 4]);
    expect(batch.map((p) => p.peakBytes / batch[0].peakBytes)).toEqual([1, 2, 4]);
    const features: Model = {
      name: "all",
      input: [3, 32, 32],
      layer: sequential([conv2d(8, 3, { padding: 1 }), relu(), conv2d(8, 3, { padding: 1 })]),
    };
    const resolution = growthOf((f) => traceModel({ ...features, input: [3, 32 * f, 32 * f] }));
    expect(
      ["macs", "activationBytes", "peakBytes"].map((key) => growthPower(resolution, key as "macs")),
    ).toEqual([2, 2, 2]);
    expect(growthPower(resolution, "parameters")).toBe(0);
  });

  it("with the width follows from the graph", () => {
    const net = (f: number): Model => ({
      name: "wide",
      input: [3, 16, 16],
      layer: sequential([
        conv2d(8 * f, 3, { bias: false }),
        conv2d(8 * f, 3, { groups: 8 * f, bias: false }),
        conv2d(16 * f, 1, { bias: false }),
        conv2d(16 * f, 3, { groups: 4, bias: false }),
        flatten(),
        linear(10, { bias: false }),
      ]),
    });
    const { macs, weights } = widthGrowth(traceModel(net(1)));
    for (const f of [1, 2, 3]) {
      const { totals } = summarize(traceModel(net(f)));
      expect([evaluatePolynomial(macs, f), evaluatePolynomial(weights, f)]).toEqual([
        totals.macs,
        totals.parameters,
      ]);
    }
  });
});

describe("alternatives", () => {
  const names = (...args: Parameters<typeof suggest>) => suggest(...args).map((a) => a.name);
  it("come with what they cost", () => {
    const list = suggest({ input: [64, 56, 56], kernel: [3, 3], channels: 64 });
    const row = (name: string) => {
      const { parameters, macs, elements, field, ratio } = list.find((a) => a.name === name)!;
      return [parameters, macs, elements, field[0].size, Math.round(100 * ratio.macs)];
    };
    const places = 56 * 56;
    expect(row("direct")).toEqual([36_864, 36_864 * places, 64 * places, 3, 100]);
    expect(row("1×1 before")).toEqual([1024 + 9216, 10_240 * places, 80 * places, 3, 28]);
    expect(row("bottleneck")).toEqual([1024 + 2304 + 1024, 4352 * places, 96 * places, 3, 12]);
    expect(row("8 groups")).toEqual([4608, 4608 * places, 64 * places, 3, 13]);
    expect(row("depthwise separable")).toEqual([576 + 4096, 4672 * places, 128 * places, 3, 13]);
    expect(row("factorised")).toEqual([2 * 12_288, 24_576 * places, 128 * places, 3, 67]);
    expect(row("dilated twice")).toEqual([36_864, 36_864 * places, 64 * places, 5, 100]);
    // Input, output, parameters, nothing in between; then one result in between.
    expect(list[0].memory).toBe(4 * (128 * places + 36_864));
    expect(list[1].memory).toBe(4 * (128 * places + 16 * places + 10_240));
  });
  it("keep the output's shape and, but for the dilated, the field", () => {
    for (const stride of [
      [1, 1],
      [2, 2],
    ])
      for (const [first, ...others] of [
        suggest({ input: [32, 28, 28], kernel: [7, 7], channels: 48, stride }),
        suggest({ input: [32, 28, 28], kernel: [5, 3], channels: 48, stride, padding: [0, 0] }),
      ])
        for (const other of others) {
          expect(other.output, other.name).toEqual(
            other.name === "dilated twice" && other.pieces[0].padding[0] === 0
              ? other.output
              : first.output,
          );
          if (!other.name.startsWith("dilated"))
            expect(
              other.field.map((f) => f.size),
              other.name,
            ).toEqual(first.field.map((f) => f.size));
        }
  });
  it("are those that make sense", () => {
    expect(names({ input: [64, 56, 56], kernel: [7, 7], channels: 64 })).toEqual([
      "direct",
      "1×1 before",
      "bottleneck",
      "8 groups",
      "depthwise separable",
      "factorised",
      "stacked 3×3",
      "dilated 3×3",
    ]);
    expect(names({ input: [3, 32, 32], kernel: [3, 3], channels: 16 })).toEqual([
      "direct",
      "depthwise separable",
      "factorised",
      "dilated twice",
    ]);
    expect(names({ input: [64, 56, 56], kernel: [1, 1], channels: 64 })).toEqual([
      "direct",
      "8 groups",
    ]);
    expect(names({ input: [64, 100], kernel: [5], channels: 64 })).toEqual([
      "direct",
      "1×1 before",
      "bottleneck",
      "8 groups",
      "depthwise separable",
      "stacked 3",
      "dilated 3",
    ]);
  });
  it("are not told of a layer that does not fit", () => {
    expect(() =>
      suggest({ input: [64, 5, 5], kernel: [7, 7], channels: 64, padding: [0, 0] }),
    ).toThrow(
      "direct: conv: kernel 7 with dilation 1 covers 7 positions, but the padded input has 5; use a smaller kernel or more padding (axis h)",
    );
    expect(() => suggest({ input: [64, 5, 5], kernel: [3, 3], channels: 0 })).toThrow(
      "suggest: channels 0 is not a whole number ≥ 1",
    );
    expect(() => suggest({ input: [64, 5, 5], kernel: [3, 3], channels: 4, groups: 0 })).toThrow(
      "suggest: groups 0 is not a whole number ≥ 1",
    );
    // Twice the dilation spans 7 of 5: the layer itself fits.
    expect(names({ input: [8, 5, 5], kernel: [4, 4], channels: 8, padding: [0, 0] })).not.toContain(
      "dilated twice",
    );
    expect(() => suggest({ input: [64, 5, 5], kernel: [3], channels: 64 })).toThrow(
      "suggest: kernel 3 has 1 entries, the input has 2 spatial axes",
    );
    expect(() => suggest({ input: [6, 5, 5], kernel: [3, 3], channels: 64, groups: 4 })).toThrow(
      "direct: conv: 6 input channels do not divide into 4 groups; use groups that divide 6",
    );
  });
});

it("two networks are compared by every count", () => {
  const [a, b] = [models.resnet18(), models.resnet50()].map((model) =>
    summarize(traceModel(model)),
  );
  const { counts, ...names } = compare(a, b);
  expect(names).toEqual({
    a: "resnet18",
    b: "resnet50",
    inputs: [
      [1, 3, 224, 224],
      [1, 3, 224, 224],
    ],
  });
  expect(counts.find((c) => c.key === "parameters")).toMatchObject({
    a: 11_689_512,
    b: 25_557_032,
    ratio: 25_557_032 / 11_689_512,
  });
  expect(counts.find((c) => c.key === "operations (flops2)")).toMatchObject({
    a: 3_628_146_688,
    b: 8_178_368_512,
  });
  expect(counts.map((c) => c.key)).toEqual(
    expect.arrayContaining(["backward dx", "backward dw", "connections", "activationBytes"]),
  );
  expect(
    compare(summarize(traceModel(models.vgg11())), a).counts.find((c) => c.key === "buffers"),
  ).toMatchObject({ a: 0, ratio: null });
});
