// Options and names that there are not are refused, by name.

import { conv, relu } from "@conv/ops";
import { createHost } from "@conv/tensor";
import { describe, expect, it, test } from "vitest";
import * as analysis from "../src/index.ts";

const { tracedOf, summarize, memoryOf } = analysis;
const net = tracedOf((x, w) => relu(conv(x, w)), { x: [1, 2, 8, 8], w: [4, 2, 3, 3] });
const summary = summarize(net);
const odd: object = { nonsense: 1 };
const layout = { bytes: 0, steps: [], blocks: [], buffers: { inputs: [], outputs: [] } };

describe("every function that takes options refuses one that it does not know", () => {
  const withOptions: Readonly<Record<string, () => unknown>> = {
    csvOf: () => analysis.csvOf(summary, odd),
    effectiveField: () =>
      analysis.effectiveField(createHost(), net, { at: net.graph.outputs[0], inputs: [], ...odd }),
    formatSummary: () => analysis.formatSummary(summary, odd),
    livenessOf: () => analysis.livenessOf(net.graph, odd),
    markdownOf: () => analysis.markdownOf(summary, odd),
    memoryOf: () => memoryOf(net, odd),
    programMemoryOf: () => analysis.programMemoryOf(layout, odd),
    suggest: () => analysis.suggest({ input: [1, 8, 8], kernel: [3, 3], channels: 4, ...odd }),
    summarize: () => summarize(net, odd),
    tracedOf: () => tracedOf((x) => relu(x), { x: [1] }, odd),
    trainingMemoryOf: () => analysis.trainingMemoryOf(net, odd),
  };
  const withoutOptions = `backwardGraph compare connectionsOf countNodes effectiveFieldOf evaluatePolynomial formatBytes formatCount formulasOf
    gradientGraph growthOf growthPower inputRegion operationsHead receptiveFields torchinfoMemory widthGrowth wrap`;

  it.each(Object.entries(withOptions))("%s", async (name, call) => {
    await expect((async () => call())()).rejects.toThrow(
      new RegExp(`^${name}: there is no option "nonsense"`),
    );
  });

  test("all functions are named here", () => {
    const functions = Object.entries(analysis).flatMap(([name, value]) =>
      typeof value === "function" ? [name] : [],
    );
    expect([...Object.keys(withOptions), ...withoutOptions.split(/\s+/)].toSorted()).toEqual(
      functions.toSorted(),
    );
  });
});

describe("a name that there is not", () => {
  const options = (value: object): object => value;
  it.each([
    [
      "a number type",
      () => memoryOf(net, options({ dtype: "float" })),
      'memory: there is no number type "float"; there are float64, float32, ',
    ],
    [
      "a convention",
      () => analysis.formatSummary(summary, options({ convention: "MACs" })),
      'summary: there is no convention "MACs"; there are torch',
    ],
    [
      "a saved tensor",
      () => tracedOf((x) => relu(x), { x: [1], w: [1] }, { frozen: ["v"] }),
      'tracedOf: there is no parameter "v"; there are w',
    ],
    [
      "the input as a parameter",
      () => tracedOf((x) => relu(x), { x: [1], w: [1] }, { buffers: ["x"] }),
      'tracedOf: there is no parameter "x"',
    ],
    [
      "slots",
      () => analysis.trainingMemoryOf(net, { slots: 1.5 }),
      "trainingMemoryOf: slots 1.5 is not a whole number ≥ 0",
    ],
  ])("%s", (_, call, message) => {
    expect(call).toThrow(RangeError);
    expect(call).toThrow(message);
  });
});
