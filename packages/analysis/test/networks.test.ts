// Receptive fields of the networks of the literature before their global pooling, against those
// that others published.

import { traceModel } from "@conv/layers";
import { models } from "@conv/layers/models";
import { describe, expect, it } from "vitest";
import { formatSummary, receptiveFields, summarize } from "../src/index.ts";

/**
 * Size, jump and padding before the first input, as Araujo, Norris and Sim count them (Distill
 * 2019).
 */
const fields: Record<string, readonly [size: number, jump: number, padding: number]> = {
  alexnet: [195, 32, 66],
  vgg11: [150, 32, 59],
  vgg16: [212, 32, 90],
  vgg19: [268, 32, 118],
  resnet18: [435, 32, 217],
  resnet34: [899, 32, 449],
  resnet50: [427, 32, 213],
  resnet101: [971, 32, 485],
  resnet152: [1451, 32, 725],
  resnext50_32x4d: [427, 32, 213],
  googlenet: [379, 32, 167],
  inceptionV3: [1311, 32, 618],
  squeezenet1_0: [155, 16, 60],
  squeezenet1_1: [207, 16, 88],
  mobilenetV2: [491, 32, 245],
  densenet121: [2071, 32, 1021],
  shufflenetV2: [527, 32, 263],
};

describe("receptive field before the global pooling", () => {
  it.each(Object.entries(fields))("of %s", (name, [size, jump, padding]) => {
    const { graph, x } = traceModel(models[name]());
    const known = receptiveFields(graph, x);
    const maps = graph.nodes.filter((n) => known.has(n.outputs[0]) && n.outputs[0].shape[2] > 1);
    expect(known.get(maps.at(-1)!.outputs[0])![0]).toEqual({ size, jump, start: -padding });
  });
});

it("the layers of a deep network stand in the order in which they compute", () => {
  const { layers } = summarize(traceModel(models.inceptionV3()));
  expect(layers.slice(0, 4).map((l) => l.path)).toEqual([
    "Conv2d_1a_3x3.conv",
    "Conv2d_1a_3x3.bn",
    "Conv2d_2a_3x3.conv",
    "Conv2d_2a_3x3.bn",
  ]);
  expect(layers.find((l) => l.path === "Mixed_5b")!.parts.map((l) => l.path.slice(9))).toEqual([
    "branch1x1.conv",
    "branch1x1.bn",
    "branch5x5_1.conv",
    "branch5x5_1.bn",
    "branch5x5_2.conv",
    "branch5x5_2.bn",
    "branch3x3dbl_1.conv",
    "branch3x3dbl_1.bn",
    "branch3x3dbl_2.conv",
    "branch3x3dbl_2.bn",
    "branch3x3dbl_3.conv",
    "branch3x3dbl_3.bn",
    "branch_pool.conv",
    "branch_pool.bn",
  ]);
});

it("parameters that only training uses are in the total and told apart", () => {
  const summary = summarize(traceModel(models.inceptionV3()));
  expect(summary.trainingOnly).toBe(3_326_696);
  expect(summary.layers.reduce((sum, l) => sum + l.parameters, 0) + 3_326_696).toBe(
    summary.totals.parameters,
  );
  expect(formatSummary(summary)).toContain(
    "\n3,326,696 of the parameters are in layers that only training runs\n",
  );
  expect(summarize(traceModel(models.resnet18()))).not.toHaveProperty("trainingOnly");
});
