// The networks of the literature: names and shapes of all tensors, counts to the unit, first
// values. Their answers are in answers.test.ts.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { sizeOf } from "@conv/tensor";
import { networkGoldens } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import { createRandom, traceModel, type Model } from "../src/index.ts";
import { models, resnet18, squeezenet1_1 } from "../src/models/index.ts";
import { make } from "./published.ts";

/**
 * Parameters, numbers in buffers, MACs of convolutions and linear layers for one input. Of
 * torchvision 0.14.1; where it lacks the network, of the literature.
 */
const counts: Record<string, readonly [parameters: number, buffers: number, macs: number]> = {
  alexnet_2012: [60965224, 0, 724406816],
  alexnet: [61100840, 0, 714188480],
  nin: [7595176, 0, 969460864],
  vgg11: [132863336, 0, 7609090048],
  vgg13: [133047848, 0, 11308466176],
  vgg16: [138357544, 0, 15470264320],
  vgg19: [143667240, 0, 19632062464],
  vgg11_bn: [132868840, 5512, 7609090048],
  vgg13_bn: [133053736, 5898, 11308466176],
  vgg16_bn: [138365992, 8461, 15470264320],
  vgg19_bn: [143678248, 11024, 19632062464],
  googlenet: [6624904, 14617, 1498376192],
  googlenet5x5: [7005832, 14617, 1582671872],
  "googlenet with heads": [13004888, 15131, 1498376192],
  inceptionV3: [27161264, 36320, 5713216096],
  resnet18: [11689512, 9620, 1814073344],
  resnet34: [21797672, 17060, 3663761408],
  resnet50: [25557032, 53173, 4089184256],
  resnet101: [44549160, 105448, 7801405440],
  resnet152: [60192808, 151579, 11513626624],
  resnext50_32x4d: [25028904, 68277, 4230479872],
  wideResnet50_2: [68883240, 68277, 11398021120],
  squeezenet1_0: [1248424, 0, 818924576],
  squeezenet1_1: [1235496, 0, 349151936],
  mobilenetV1: [4231976, 21915, 568740352],
  mobilenetV2: [3504872, 34164, 300774272],
  mobilenetV3Small: [2542856, 12146, 56510400],
  mobilenetV3Large: [5483032, 24446, 216589760],
  shufflenetV2: [2278604, 16236, 144907992],
  efficientnetB0: [5288548, 42065, 385814752],
  fcnResnet50: [32957013, 54198, 142725772800],
  "fcnResnet50 with its head": [35322218, 54711, 142725772800],
  deeplabV3Resnet50: [39638869, 56764, 168731205888],
  "deeplabV3Resnet50 with its head": [42004074, 57277, 168731205888],
  unet: [31030658, 0, 150428424448],
  densenet121: [7978856, 83769, 2834161664],
  r3d18: [33371472, 9620, 40696553472],
};

function countsOf(model: Model) {
  const { graph, entries } = traceModel(model);
  const stored = (trainable: boolean) =>
    entries.reduce((sum, e) => sum + (e.trainable === trainable ? sizeOf(e.spec.shape) : 0), 0);
  const inputs = (n: (typeof graph.nodes)[number]) => n.inputs.map((v) => v.spec);
  const macs = graph.nodes.reduce((sum, n) => sum + n.op.cost(inputs(n), n.params).macs, 0);
  return { input: model.input.join("×"), parameters: stored(true), buffers: stored(false), macs };
}

describe("counts", () => {
  test.each(Object.entries(counts))("of %s", (name, wanted) => {
    const { parameters, buffers, macs } = countsOf(make(name));
    expect([parameters, buffers, macs]).toEqual(wanted);
  });
});

test.each([
  ["googlenet", 28],
  ["squeezenet1_0", 24],
  ["squeezenet1_1", 24],
])("%s of images so small that a pool is larger than its input: %i", (name, size) => {
  const { graph } = traceModel({ ...make(name), input: [3, size, size] });
  expect(graph.outputs[0].shape).toEqual([1, 1000]);
});

test("the README lists every network with its input, parameters and MACs", async () => {
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const listed = [...text.matchAll(/^\| `(\w+)` +\| ([\d×]+) +\| +([\d,]+) \| +([\d,]+) \|/gm)].map(
    ([, ...cells]) => cells,
  );
  const rows = Object.entries(models).map(([name, network]) => {
    const { input, parameters, macs } = countsOf(network());
    return [name, input, ...[parameters, macs].map((count) => count.toLocaleString("en-US"))];
  });
  expect(listed.toSorted()).toEqual(rows.toSorted());
});

describe("tensors named, shaped and ordered as in torchvision", () => {
  test.each(networkGoldens.filter((g) => g.state))("$name", ({ name, state }) => {
    const lines = traceModel(make(name)).entries.map(
      (e) => `${e.name} ${e.spec.shape.join("x")}\n`,
    );
    expect(createHash("sha256").update(lines.join("")).digest("hex")).toBe(state);
  });
});

/**
 * Of initial values: [network, tensor, mean, standard deviation], as torchvision and the papers say.
 */
const beginnings: readonly (readonly [
  network: string,
  tensor: string,
  mean: number,
  deviation: number,
])[] = [
  ["alexnet_2012", "conv1.weight", 0, 0.01],
  ["alexnet_2012", "conv2.bias", 1, 0],
  ["alexnet_2012", "conv3.bias", 0, 0],
  ["vgg11", "features.3.weight", 0, Math.sqrt(2 / (128 * 9))],
  ["vgg11", "classifier.6.weight", 0, 0.01],
  ["googlenet", "inception3a.branch2.1.conv.weight", 0, 0.01],
  ["googlenet", "fc.bias", 0, 1 / Math.sqrt(3 * 1024)],
  ["inceptionV3", "AuxLogits.fc.weight", 0, 0.001],
  ["inceptionV3", "Mixed_7b.branch3x3_2a.conv.weight", 0, 0.1],
  ["resnet50", "layer1.0.downsample.0.weight", 0, Math.sqrt(2 / 256)],
  ["densenet121", "features.denseblock1.denselayer1.conv1.weight", 0, Math.sqrt(2 / 64)],
  ["densenet121", "classifier.bias", 0, 0],
  ["squeezenet1_1", "classifier.1.weight", 0, 0.01],
  ["mobilenetV3Small", "features.4.block.2.fc1.weight", 0, Math.sqrt(2 / 24)],
  ["mobilenetV3Small", "classifier.3.weight", 0, 0.01],
  ["shufflenetV2", "stage2.0.branch2.0.weight", 0, 1 / Math.sqrt(3 * 24)],
  ["efficientnetB0", "classifier.1.weight", 0, 1 / Math.sqrt(3 * 1000)],
  ["deeplabV3Resnet50", "classifier.0.project.0.weight", 0, 1 / Math.sqrt(3 * 1280)],
];

test.each(beginnings)(
  "%s begins with %s of mean %f and deviation %f",
  (network, tensor, mean, deviation) => {
    const { spec, init } = traceModel(make(network)).entries.find((e) => e.name === tensor)!;
    const values = init(spec.shape, createRandom(tensor));
    const average = values.reduce((sum, v) => sum + v, 0) / values.length;
    const spread = Math.sqrt(
      values.reduce((sum, v) => sum + (v - average) ** 2, 0) / values.length,
    );
    expect(Math.abs(average - mean)).toBeLessThanOrEqual(
      (5 * deviation) / Math.sqrt(values.length),
    );
    expect(Math.abs(spread - deviation)).toBeLessThanOrEqual(
      (5 * deviation) / Math.sqrt(2 * values.length),
    );
  },
);

test("other numbers of classes", () => {
  expect(traceModel(squeezenet1_1({ classes: 7 })).output.shape).toEqual([1, 7]);
  expect(traceModel(resnet18({ classes: 7 })).output.shape).toEqual([1, 7]);
});
