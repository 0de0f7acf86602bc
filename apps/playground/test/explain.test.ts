// Every kind of value in every network of digits, taken apart and compared with what the graph computes.

import { initialise } from "@conv/layers";
import { models } from "@conv/layers/models";
import { evaluate, sizeOf, type HostArray, type Spec } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import { explain } from "../src/digits/explain.ts";
import { MODEL_NAMES } from "../src/digits/models.ts";
import { known, readNetwork, type Known, type Network } from "../src/digits/stages.ts";

const host = (s: Spec, values: Float32Array): HostArray => ({ shape: s.shape, dtype: s.dtype, data: Float64Array.from(values) });

const LENETS = ["lenet5", "lenet5_1998"];

/** All values of a network with first weights, shown a slanted stroke. */
function seen(network: Network): Known {
  const { traced, graph, inputMaps } = network;
  const x = Float32Array.from({ length: sizeOf(traced.x.shape) }, (_, i) => {
    const [row, column] = [Math.floor(i / inputMaps.width), i % inputMaps.width];
    return Math.abs(row + 2 * column - 42) < 5 ? 0.9 - (row % 3) * 0.1 : 0;
  });
  const parameters = [...initialise(network.model, 3).values()].map((saved) => saved.data);
  const outputs = evaluate(
    graph,
    [x, ...parameters].map((values, i) => host(graph.inputs[i].spec, values)),
  );
  return known(
    network,
    x,
    parameters,
    outputs.map((o) => Float32Array.from(o.data)),
  );
}

describe.each(LENETS)("%s", (name) => {
  const network = readNetwork(models[name]());
  const values = seen(network);

  test("has a stage for each layer", () => {
    expect(network.stages.map((s) => s.name)).toEqual(["c1", "s2", "c3", "s4", "c5", "f6", "output"]);
    expect(network.stages.map((s) => s.maps)).toMatchObject([
      { channels: 6, height: 28, width: 28 },
      { channels: 6, height: 14, width: 14 },
      { channels: 16, height: 10, width: 10 },
      { channels: 16, height: 5, width: 5 },
      { channels: 1, height: 1, width: 120 },
      { channels: 1, height: 1, width: 84 },
      { channels: 1, height: 1, width: 10 },
    ]);
    expect(network.learned).toBe(name === "lenet5" ? 61_706 : 60_000);
  });

  test.each(network.stages.map((stage) => [stage.name, stage] as const))("%s: computed again, each value is what was shown", (_, stage) => {
    const size = sizeOf(stage.output.shape);
    for (const index of [0, Math.floor(size / 3), Math.floor(size / 2) + 1, size - 1]) {
      const e = explain(stage, index, values);
      expect(e).not.toBeNull();
      if (!e) return;
      expect(Math.abs(e.result - e.shown)).toBeLessThanOrEqual(e.tolerance);
      expect(e.tolerance).toBeLessThan(1e-3);
      const source = values.get(stage.source) ?? new Float32Array();
      for (const { terms, sum } of e.groups) {
        for (const { at, x, weight, product } of terms) {
          expect(x).toBe(at === null ? 0 : source[at]);
          if (e.kind === "products") expect(product).toBe(x * (weight ?? Number.NaN));
          if (e.kind === "squares") expect(product).toBeCloseTo((x - (weight ?? Number.NaN)) ** 2, 12);
        }
        expect(sum).toBeCloseTo(
          terms.reduce((s, t) => s + t.product, 0),
          12,
        );
      }
    }
  });

  test("a corner of c1 sees its padding", () => {
    const e = explain(network.stages[0], 0, values);
    expect(e?.groups[0].terms).toHaveLength(25);
    const outside = e?.groups[0].terms.filter((t) => t.at === null).length;
    expect(outside).toBe(name === "lenet5" ? 16 : 0);
  });
});

test("a window of c3 covers 5×5 of each map that the table names", () => {
  const network = readNetwork(models.lenet5_1998());
  const c3 = network.stages[2];
  const e = explain(c3, 1 * 100 + 23, seen(network)); // map 1, row 2, column 3
  expect(e?.groups.map((g) => g.channel)).toEqual([1, 2, 3]);
  expect([...(e?.window ?? [])].slice(0, 5)).toEqual([
    1 * 196 + 2 * 14 + 3,
    1 * 196 + 2 * 14 + 4,
    1 * 196 + 2 * 14 + 5,
    1 * 196 + 2 * 14 + 6,
    1 * 196 + 2 * 14 + 7,
  ]);
  expect(e?.window.size).toBe(75);
});

test("a maximum names its winner, the first of equals", () => {
  const network = readNetwork(models.lenet5());
  const values = seen(network);
  const s2 = network.stages[1];
  for (let index = 0; index < 6 * 196; index += 37) {
    const e = explain(s2, index, values);
    const xs = e?.groups[0].terms.map((t) => t.x) ?? [];
    expect(xs).toHaveLength(4);
    expect(e?.winner).toBe(xs.indexOf(Math.max(...xs)));
  }
});

describe.each(MODEL_NAMES.filter((name) => !LENETS.includes(name)))("%s", (name) => {
  test("is read, and what no single window makes is shown without being taken apart", () => {
    const network = readNetwork(models[name]());
    expect(network.stages.map((s) => s.name)).toEqual(["stem", "layer1", "layer2", "layer3", "avgpool", "fc"]);
    const [stem, , , , , fc] = network.stages;
    const random = network.stages.map((s) => Float32Array.from({ length: sizeOf(s.output.shape) }, (_, i) => Math.sin(i)));
    const values = known(
      network,
      new Float32Array(784),
      [...initialise(network.model).values()].map((saved) => saved.data),
      random,
    );
    expect(explain(stem, 0, values)).toBeNull();
    expect(explain(fc, 3, values)?.groups[0].terms).toHaveLength(64);
  });
});
