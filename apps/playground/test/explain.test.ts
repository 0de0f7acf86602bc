// Every stage of every network of digits, taken apart and compared with what the CPU computes with
// trained weights.

import { readFileSync } from "node:fs";
import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { initialize, type State } from "@conv/layers";
import { models } from "@conv/layers/models";
import { bytesOf, sizeOf } from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeStage } from "../src/digits/describe.ts";
import { agrees, explain, type Explanation } from "../src/digits/explain.ts";
import { MODEL_NAMES, modelNamed, viewOf } from "../src/digits/models.ts";
import { known, readNetwork, type Known, type Network } from "../src/digits/stages.ts";
import { shippedOf, unpackWeights } from "../src/digits/weights.ts";
import { en } from "../src/i18n/en.ts";

let backend: CpuBackend;
beforeAll(async () => void (backend = await createCpu({ threads: 1, precision: "exact" })));
afterAll(() => backend.dispose());

/**
 * The weights of the page; where none are shipped, random ones, with statistics of batch norm that
 * are not those of the start.
 */
function weightsOf(name: string): State {
  const shipped = shippedOf(name);
  if (shipped)
    return unpackWeights(
      modelNamed(name),
      readFileSync(new URL(`../public/${shipped.file}`, import.meta.url)),
    );
  const state = initialize(modelNamed(name), 3);
  for (const [key, { data }] of state)
    if (/running_mean|bias$/.test(key)) data.forEach((_, i) => (data[i] = Math.sin(i) / 3));
    else if (/running_var/.test(key)) data.forEach((_, i) => (data[i] = 0.2 + ((i * 7) % 5) / 4));
  return state;
}

const networks = new Map(MODEL_NAMES.map((name) => [name, readNetwork(modelNamed(name))]));
const networkNamed = (name: string): Network => networks.get(name)!;

const computed = new Map<Network, Promise<Known>>();
/** All values of a network that is shown a slanted stroke; computed once. */
function seen(network: Network): Promise<Known> {
  return computed.get(network) ?? computed.set(network, compute(network)).get(network)!;
}

async function compute(network: Network): Promise<Known> {
  const { traced, graph, inputMaps, model } = network;
  const { background, foreground } = viewOf(model);
  const x = Float32Array.from({ length: sizeOf(traced.x.shape) }, (_, i) => {
    const [row, column] = [Math.floor(i / inputMaps.width), i % inputMaps.width];
    return (
      background +
      (foreground - background) * (Math.abs(row + 2 * column - 42) < 5 ? 0.9 - (row % 3) * 0.1 : 0)
    );
  });
  const parameters = [...weightsOf(model.name).values()].map((saved) => saved.data);
  const program = backend.compile(graph);
  const inputs = graph.inputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const outputs = graph.outputs.map((v) => backend.alloc(bytesOf(v.spec)));
  [x, ...parameters].forEach((data, i) => backend.write(inputs[i], data));
  program.run(inputs, outputs);
  const probes = await Promise.all(
    outputs.map(async (b) => new Float32Array(await backend.read(b))),
  );
  return known(network, x, parameters, probes);
}

/** The places that are taken apart: corners, where windows see padding, and some between. */
const placesOf = (size: number): number[] => [
  ...new Set([0, 1 / 7, 1 / 3, 0.5, 0.71, 1].map((f) => Math.min(size - 1, Math.floor(f * size)))),
];

/** Checks that each term is the value at its place, and that the terms make the total. */
function check(e: Explanation, values: Known): void {
  expect(agrees(e), `computed ${e.result}, shown ${e.shown}, allowed ${e.tolerance}`).toBe(true);
  // The bound is one on rounding, no excuse.
  expect(e.tolerance).toBeLessThan(1e-3 * Math.max(1, Math.abs(e.shown)));
  for (const { source, terms, sum } of e.groups) {
    for (const { at, x, weight, product } of terms) {
      expect(x).toBe(at === null ? 0 : values.get(source)?.[at]);
      if (e.kind === "products" || e.kind === "mean")
        expect(product).toBe(x * (weight ?? Number.NaN));
      else if (e.kind === "squares")
        expect(product).toBeCloseTo((x - (weight ?? Number.NaN)) ** 2, 12);
    }
    expect(sum).toBeCloseTo(
      terms.reduce((s, t) => s + t.product, 0),
      9,
    );
  }
  const last = e.steps.at(-1);
  expect(last ? last.result : e.total).toBe(e.result);
}

describe.each(MODEL_NAMES)("%s", (name) => {
  const network = networkNamed(name);

  test("every value of every stage is explained, and what is computed again is what was shown", async () => {
    const values = await seen(network);
    for (const stage of network.stages) {
      for (const index of placesOf(sizeOf(stage.output.shape))) {
        const e = explain(stage, index, values);
        expect(e, `${stage.name} at ${index}`).not.toBeNull();
        if (e) check(e, values);
      }
    }
  });

  test("a value that is wrong by more than rounding does not match", async () => {
    const values = await seen(network);
    for (const stage of network.stages) {
      const data = (values.get(stage.output) ?? new Float32Array()).slice();
      const limit = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
      const index = data.findIndex((v) => Math.abs(v) > limit / 2);
      data[index] *= 1.01;
      const e = explain(stage, index, new Map([...values, [stage.output, data]]));
      expect(e && agrees(e), stage.name).toBe(false);
    }
  });
});

const labels = (name: string): Record<string, string> => {
  const network = readNetwork(models[name]());
  return Object.fromEntries(network.stages.map((s) => [s.name, describeStage(s, network, en)]));
};

test("each stage is called what it is", () => {
  expect(labels("lenet5")).toEqual({
    c1: "convolution 5×5, 1 → 6 channels, padding 2, ReLU",
    s2: "max pooling 2×2",
    c3: "convolution 5×5, 6 → 16 channels, ReLU",
    s4: "max pooling 2×2",
    c5: "convolution 5×5, 16 → 120 channels, ReLU",
    f6: "linear, 120 → 84, ReLU",
    output: "linear, 84 → 10",
    softmax: "softmax of 10 scores: probabilities",
  });
  expect(labels("lenet5_1998")).toMatchObject({
    s2: "average pooling 2×2, × 4, × weight, 1.7159·tanh(⅔·x)",
    c3: "convolution 5×5, 6 → 16 channels, each output channel connected to some of the input channels, 1.7159·tanh(⅔·x)",
    output: "squared distances to 10 codes, negated",
  });
  expect(labels("resnet8")).toEqual({
    stem: "convolution 3×3, 1 → 16 channels, padding 1, batch norm, ReLU",
    "layer1.0.conv1": "convolution 3×3, 16 → 16 channels, padding 1, batch norm, ReLU",
    "layer1.0.conv2": "convolution 3×3, 16 → 16 channels, padding 1, batch norm",
    "layer1.0": "sum of layer1.0.conv2 and stem, ReLU",
    "layer2.0.conv1": "convolution 3×3, 16 → 32 channels, stride 2, padding 1, batch norm, ReLU",
    "layer2.0.conv2": "convolution 3×3, 32 → 32 channels, padding 1, batch norm",
    "layer2.0.downsample": "convolution 1×1, 16 → 32 channels, stride 2, batch norm",
    "layer2.0": "sum of layer2.0.conv2 and layer2.0.downsample, ReLU",
    "layer3.0.conv1": "convolution 3×3, 32 → 64 channels, stride 2, padding 1, batch norm, ReLU",
    "layer3.0.conv2": "convolution 3×3, 64 → 64 channels, padding 1, batch norm",
    "layer3.0.downsample": "convolution 1×1, 32 → 64 channels, stride 2, batch norm",
    "layer3.0": "sum of layer3.0.conv2 and layer3.0.downsample, ReLU",
    avgpool: "global average pooling 7×7",
    fc: "linear, 64 → 10",
    softmax: "softmax of 10 scores: probabilities",
  });
});

test("batch norm is (x − mean) / √(variance + ε) · γ + β, then relu; a residual block is a sum of two values", async () => {
  const network = networkNamed("resnet8");
  const values = await seen(network);
  const [stem, , , block] = network.stages;
  const e = explain(stem, 3 * 784 + 300, values);
  expect(e?.steps.map((s) => s.what)).toEqual(["mean", "deviation", "gamma", "beta", "relu"]);
  const parameter = (entry: string) =>
    values.get(
      network.traced.values[network.traced.entries.findIndex((x) => x.name === entry)],
    )?.[3] ?? Number.NaN;
  const [mean, variance, gamma, beta] = ["running_mean", "running_var", "weight", "bias"].map((p) =>
    parameter(`stem.1.${p}`),
  );
  const expected = Math.max(
    0,
    (((e?.total ?? 0) - mean) / Math.sqrt(variance + 1e-5)) * gamma + beta,
  );
  expect(e?.result).toBeCloseTo(expected, 12);
  const sum = explain(block, 5, values);
  expect(sum?.kind).toBe("join");
  expect(sum?.groups.map((g) => network.stages.find((s) => s.output === g.source)?.name)).toEqual([
    "layer1.0.conv2",
    "stem",
  ]);
  expect(sum?.total).toBe(sum?.groups.reduce((s, g) => s + g.sum, 0));
});

test("a corner sees its padding; a window of c3 covers 5×5 of each map that the table names", async () => {
  const lenet = networkNamed("lenet5");
  const corner = explain(lenet.stages[0], 0, await seen(lenet));
  expect(corner?.groups[0].terms).toHaveLength(25);
  expect(corner?.groups[0].terms.filter((t) => t.at === null)).toHaveLength(16);
  const old = networkNamed("lenet5_1998");
  const e = explain(old.stages[2], 1 * 100 + 23, await seen(old)); // map 1, row 2, column 3
  expect(e?.groups.map((g) => g.channel)).toEqual([1, 2, 3]);
  const window = e?.windows.get(old.stages[1].output) ?? new Set();
  expect([...window].slice(0, 5)).toEqual([0, 1, 2, 3, 4].map((i) => 1 * 196 + 2 * 14 + 3 + i));
  expect(window.size).toBe(75);
});

test("a maximum names its winner, the first of equals; a mean is one", async () => {
  const network = networkNamed("lenet5");
  const values = await seen(network);
  for (let index = 0; index < 6 * 196; index += 37) {
    const e = explain(network.stages[1], index, values);
    const xs = e?.groups[0].terms.map((t) => t.x) ?? [];
    expect(xs).toHaveLength(4);
    expect(e?.winner).toBe(xs.indexOf(Math.max(...xs)));
  }
  const resnet = networkNamed("resnet8");
  expect(explain(resnet.stages.at(-3)!, 7, await seen(resnet))).toMatchObject({
    kind: "mean",
    steps: [],
  });
});
