// The networks of torchvision: names and shapes of all tensors, counts to the unit, and what PyTorch answers with the same weights.

import { createHash } from "node:crypto";
import { createCpu } from "@conv/kernels-cpu";
import { sizeOf } from "@conv/tensor";
import { networkGoldens } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import { createPredictor, traceModel, type Model, type State } from "../src/index.ts";
import { models, resnet18, squeezenet1_1 } from "../src/models/index.ts";

/** Of torchvision 0.14.1: parameters, numbers in buffers, MACs of convolutions and linear layers for one image of 3×224×224. */
const counts: Record<string, readonly [parameters: number, buffers: number, macs: number]> = {
  resnet18: [11689512, 9620, 1814073344],
  resnet50: [25557032, 53173, 4089184256],
  vgg16: [138357544, 0, 15470264320],
  mobilenetV2: [3504872, 34164, 300774272],
  squeezenet1_0: [1248424, 0, 818924576],
  squeezenet1_1: [1235496, 0, 349151936],
};

const theirs = (name: string) => (name === "mobilenetV2" ? "mobilenet_v2" : name);
const golden = (name: string) => networkGoldens.find((g) => g.name === theirs(name))!;

/** As `scramble` in the script that made the goldens: numbers in [0, 1) by name and position. */
function scramble(name: string, count: number): Float64Array {
  let key = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) key = Math.imul(key ^ byte, 0x01000193);
  const numbers = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const x = Math.imul(i + 1, 0x9e3779b1) ^ key;
    numbers[i] = (Math.imul(x ^ (x >>> 15), 0x85ebca6b) >>> 8) / 2 ** 24;
  }
  return numbers;
}

function weightsOf(model: Model): State {
  const values = (name: string, shape: readonly number[]): Float32Array => {
    const u = scramble(name, sizeOf(shape));
    if (name.endsWith("num_batches_tracked")) return new Float32Array(1);
    const bound = Math.sqrt(6 / sizeOf(shape.slice(1)));
    if (shape.length > 1) return Float32Array.from(u.map((v) => (2 * v - 1) * bound));
    return Float32Array.from(u.map(/(weight|running_var)$/.test(name) ? (v) => v + 0.5 : (v) => 0.4 * v - 0.2));
  };
  return new Map(traceModel(model).entries.map(({ name, spec: { shape } }) => [name, { shape, data: values(name, shape) }]));
}

describe.each(Object.entries(counts))("%s", (name, [parameters, buffers, macs]) => {
  const model = models[name]();
  const { graph, entries } = traceModel(model);

  test("has the tensors of torchvision, by name and shape", () => {
    const lines = entries.map((e) => `${e.name} ${e.spec.shape.join("x")}\n`).toSorted();
    expect(createHash("sha256").update(lines.join("")).digest("hex")).toBe(golden(name).state);
  });

  test("has its counts", () => {
    const stored = (trainable: boolean) => entries.reduce((sum, e) => sum + (e.trainable === trainable ? sizeOf(e.spec.shape) : 0), 0);
    const inputs = (n: (typeof graph.nodes)[number]) => n.inputs.map((v) => v.spec);
    expect([stored(true), stored(false), graph.nodes.reduce((sum, n) => sum + n.op.cost(inputs(n), n.params).macs, 0)]).toEqual([
      parameters,
      buffers,
      macs,
    ]);
  });

  const { size, logits } = golden(name);
  if (!logits) return; // too many weights for a test
  test("answers as PyTorch", { timeout: 60_000 }, async () => {
    const small = { ...model, input: [3, size, size] };
    const backend = await createCpu({ threads: 1 });
    const predictor = createPredictor(backend, small, weightsOf(small), { batch: 1 });
    const y = await predictor.predict(Float32Array.from(scramble("x", 3 * size * size).map((u) => 2 * u - 1)));
    const largest = Math.max(...logits.map(Math.abs));
    logits.forEach((v, i) => expect(Math.abs(y[50 * i] - v) / largest, `logit ${50 * i}: ${y[50 * i]}, want ${v}`).toBeLessThan(1e-4));
    predictor.dispose();
    backend.dispose();
  });
});

test("other numbers of classes", () => {
  expect(traceModel(squeezenet1_1({ classes: 7 })).output.shape).toEqual([1, 7]);
  expect(traceModel(resnet18({ classes: 7 })).output.shape).toEqual([1, 7]);
});
