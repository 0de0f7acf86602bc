// Counts and receptive fields of layers that are made of several ops, by hand.

import * as layers from "@conv/layers";
import type { Layer } from "@conv/layers";
import { describe, expect, it } from "vitest";
import { receptiveFields, summarize } from "../src/index.ts";

/** Input (1, 8, 12, 12): 1152 numbers in 8 maps of 144. */
function measured(layer: Layer) {
  const traced = layers.traceModel({ name: "one", layer, input: [8, 12, 12] });
  const { parameters, macs, flops } = summarize(traced).totals;
  return {
    parameters,
    macs,
    flops,
    field: receptiveFields(traced.graph, traced.x).get(traced.output)!,
  };
}

const point = { size: 1, jump: 1, start: 0 };
const whole = { size: 12, jump: 0, start: 0 };

describe("counts and fields", () => {
  it.each<[string, Layer, number, number, number, { size: number; jump: number; start: number }]>([
    // x², sums of 5, then 6 functions of each
    ["localResponseNorm", layers.localResponseNorm(5), 0, 0, 1152 * (1 + 5 + 6), point],
    ["hardSwish", layers.hardSwish(), 0, 0, 1152 * 5, point],
    ["silu", layers.silu(), 0, 0, 1152 * 4, point],
    ["prelu", layers.prelu({ perChannel: true }), 8, 0, 1152 * 3, point],
    ["channelShuffle", layers.channelShuffle(2), 0, 0, 0, point],
    // x², sums of 9 and their scale, the root; 36 outputs a map
    [
      "lpPool2d",
      layers.lpPool2d(2, 3, { stride: 2, padding: 1 }),
      0,
      0,
      1152 + 8 * 36 * (9 + 2 + 1),
      { size: 3, jump: 2, start: -1 },
    ],
    [
      "avgPool2d, rounded up",
      layers.avgPool2d(3, { stride: 2, ceilMode: true }),
      0,
      0,
      8 * 36 * 9,
      { size: 3, jump: 2, start: 0 },
    ],
    [
      "adaptiveMaxPool2d",
      layers.adaptiveMaxPool2d(4),
      0,
      0,
      8 * 16 * 8,
      { size: 3, jump: 3, start: 0 },
    ],
    // the mean, two convolutions with bias, relu, sigmoid (4), and the product
    [
      "squeezeExcitation",
      layers.squeezeExcitation(2),
      42,
      32,
      8 * 144 + 2 * 32 + 10 + 2 + 8 * 4 + 1152,
      whole,
    ],
  ])("%s", (_, layer, parameters, macs, flops, field) => {
    expect(measured(layer)).toEqual({ parameters, macs, flops, field: [field, field] });
  });

  it("of normalizations reach over what they take their mean of", () => {
    expect(measured(layers.groupNorm(4)).field).toEqual([whole, whole]);
    expect(measured(layers.layerNorm(12)).field).toEqual([point, whole]);
    expect(measured(layers.batchNorm2d()).field).toEqual([point, point]);
  });

  it("tell what is frozen from what is trained", () => {
    const { totals } = summarize(
      layers.traceModel({
        name: "one",
        layer: layers.freeze(layers.batchNorm2d()),
        input: [8, 12, 12],
      }),
    );
    expect(totals).toMatchObject({ parameters: 16, trainable: 0, buffers: 17 });
  });
});
