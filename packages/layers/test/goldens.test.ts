// Layers against PyTorch's: names and shapes of their tensors, values, gradients, and what a
// training step makes of buffers. Both sides are computed in float64 from the same float32 numbers;
// the golden was rounded once.

import { grad, mul, sum } from "@conv/ops";
import { evaluate, graphOf, hostArray, input, spec, type HostArray } from "@conv/tensor";
import { layerGoldens, type GoldenArray } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer } from "../src/index.ts";
import { only } from "./tiny.ts";

const array = ({ shape, data }: GoldenArray): HostArray =>
  hostArray(spec(shape), Float64Array.from(data, Math.fround));

function expectNear(got: HostArray, want: GoldenArray, what: string): void {
  expect(got.shape, what).toEqual(want.shape);
  want.data.forEach((w, i) =>
    expect(Math.abs(got.data[i] - w), `${what}[${i}]: ${got.data[i]} for ${w}`).toBeLessThanOrEqual(
      1e-6 * (1 + Math.abs(w)),
    ),
  );
}

/** An argument that is a layer itself, by the function that makes it. */
const isLayer = (a: unknown): a is { layer: string; args: unknown[] } =>
  typeof a === "object" && a !== null && "layer" in a;

/** The layer that an exported function makes of these arguments. */
function make(name: string, args: readonly unknown[]): Layer {
  const made: Readonly<Record<string, unknown>> = layers;
  const maker = made[name];
  if (typeof maker !== "function") throw new Error(`@conv/layers has no ${name}`);
  return maker(...args.map((a) => (isLayer(a) ? make(a.layer, a.args) : a))) as Layer;
}

describe("layers are PyTorch's", () => {
  test.each(layerGoldens)("$name", (g) => {
    const model = only(make(g.layer, g.args), g.x.shape.slice(1));
    const { x, output, entries, values, updates } = layers.traceModel(model, {
      batch: g.x.shape[0],
      training: g.training,
    });
    const shapes = Object.entries(g.state).map(([name, { shape }]) => [name, shape]);
    expect(Object.fromEntries(entries.map((e) => [e.name, e.spec.shape]))).toEqual(
      Object.fromEntries(shapes),
    );
    const trained = entries.flatMap((e, i) => (e.trainable ? [i] : []));
    const kept = entries.flatMap((e, i) => (g.training && e.kind === "buffer" ? [i] : []));
    expect(trained.map((i) => entries[i].name).toSorted()).toEqual(
      Object.keys(g.gradients).toSorted(),
    );
    expect(kept.map((i) => entries[i].name).toSorted()).toEqual(Object.keys(g.after).toSorted());

    const dy = input(spec(g.dy.shape));
    const gradients = grad(sum(mul(output, dy)), [x, ...trained.map((i) => values[i])]);
    const given = [array(g.x), array(g.dy), ...entries.map((e) => array(g.state[e.name]))];
    const graph = graphOf(
      [x, dy, ...values],
      [output, ...gradients, ...kept.map((i) => updates[i] ?? values[i])],
    );
    const [y, dx, ...rest] = evaluate(graph, given);
    expectNear(y, g.y, "y");
    expectNear(dx, g.dx, "dx");
    trained.forEach((i, k) =>
      expectNear(rest[k], g.gradients[entries[i].name], `gradient of ${entries[i].name}`),
    );
    kept.forEach((i, k) =>
      expectNear(rest[trained.length + k], g.after[entries[i].name], `${entries[i].name} after`),
    );
  });
});
