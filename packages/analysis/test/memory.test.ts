// Memory against what back ends really hold: buffers, and the parts of compiled programs, to the byte.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { adam, sgd, traceModel, traceStep, type Model } from "@conv/layers";
import { models } from "@conv/layers/models";
import { add, concat, conv, relu, reshape, slice, tanh } from "@conv/ops";
import { bytesOf, graphOf, input, optimise, spec, trace, type Graph, type Value } from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { livenessOf, memoryOf, trainingMemoryOf, type Held } from "../src/index.ts";
import { dependents } from "../src/traced.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

const small = (name: string): Model => ({ ...models[name](), ...(name.startsWith("lenet") ? {} : { input: [3, 64, 64] }) });

/** The most that is in use at one time. */
function peakOf(blocks: readonly Pick<Held, "bytes" | "from" | "to">[]): number {
  const end = Math.max(...blocks.map((b) => b.to)) + 1;
  return Math.max(...Array.from({ length: end }, (_, at) => blocks.reduce((sum, b) => sum + (b.from <= at && at <= b.to ? b.bytes : 0), 0)));
}

/** What the program holds of what depends on x, and what liveness says of the same steps. What it keeps from run to run is told to both. */
function heldBy(graph: Graph, x: Value): { real: number; predicted: number } {
  const program = cpu.compile(graph);
  const activations = dependents(graph, [x]);
  const real = program.blocks.flatMap((b) => (b.value && activations.has(b.value) ? [{ ...b, value: b.value }] : []));
  const end = Math.max(...program.blocks.map((b) => b.to));
  const lasting = real.filter((b) => b.from === 0 && b.to === end).map((b) => b.value);
  const { held } = livenessOf(graph, { steps: program.steps.map((s) => s.nodes), lasting });
  program.dispose();
  return { real: peakOf(real), predicted: peakOf(held.filter((h) => activations.has(h.value))) };
}

describe("the values that a program of the CPU holds at once", () => {
  it.each(["lenet5", "lenet5_1998", "vgg11_bn", "resnet18", "resnet50", "googlenet", "squeezenet1_1", "mobilenetV2", "densenet121", "shufflenetV2"])(
    "%s, predicting",
    (name) => {
      const graph = optimise(traceModel(models[name]()).graph);
      const { real, predicted } = heldBy(graph, graph.inputs[0]);
      expect(predicted).toBe(real);
    },
  );
  it.each(["lenet5", "resnet8", "squeezenet1_1", "mobilenetV2"])("%s, training", { timeout: 30_000 }, (name) => {
    const { graph } = traceStep(small(name), sgd({ lr: 0.1 }), 2);
    const { real, predicted } = heldBy(graph, graph.inputs[0]);
    expect(predicted).toBe(real);
  });
});

describe("the buffers of a program", () => {
  it.each(["lenet5", "resnet18", "mobilenetV2"])("of %s hold weights, input and output", (name) => {
    const traced = traceModel(models[name](), { batch: 3 });
    const before = cpu.memory().bytes;
    const buffers = [...traced.graph.inputs, ...traced.graph.outputs].map((v) => cpu.alloc(bytesOf(v.spec)));
    const { parameters, buffers: statistics, input: x, output } = memoryOf(traced);
    expect(cpu.memory().bytes - before).toBe(parameters + statistics + x + output);
    for (const b of buffers) cpu.free(b);
  });
  it("of a training step hold the optimiser's state too", () => {
    const model = small("resnet18");
    const { graph } = traceStep(model, adam(), 4);
    const before = cpu.memory().bytes;
    const buffers = graph.inputs.map((v) => cpu.alloc(bytesOf(v.spec)));
    const memory = trainingMemoryOf(traceModel(model, { batch: 4, training: true }), { slots: 2 });
    const others = bytesOf(graph.inputs[1].spec) + bytesOf(graph.inputs[2].spec); // labels, and the optimiser's numbers
    expect(cpu.memory().bytes - before - others).toBe(memory.parameters + memory.buffers + memory.input + memory.optimizer);
    for (const b of buffers) cpu.free(b);
  });
});

describe("what is held at once", () => {
  const x = input(spec([1, 16, 4, 4]), "x");
  const w = input(spec([16, 16, 1, 1]), "w");
  const layer = (v: Value) => conv(v, w);
  const peak = (y: Value) => livenessOf(graphOf([x, w], [layer(y)])).peak.bytes / 1024;
  it("of a chain is a result and the next", () => expect(peak(layer(layer(layer(x))))).toBe(2));
  it("grows by nothing where a result takes the place of what it was made of", () => expect(peak(tanh(relu(layer(x))))).toBe(1));
  it("holds a shortcut as long as it is open", () => {
    const a = layer(x);
    expect(peak(add(a, layer(layer(a))))).toBe(3);
  });
  it("counts a change of shape, a cut and pieces of a whole once", () => {
    expect(peak(reshape(reshape(layer(x), [16, 16]), [1, 16, 4, 4]))).toBe(1);
    const two = concat([layer(x), layer(x)], 1);
    expect(peak(slice(two, [0, 0, 0, 0], [1, 16, 4, 4]))).toBe(2);
  });
  it("has its timeline, step after step", () => {
    const { timeline, peak: most } = livenessOf(graphOf([x, w], [layer(layer(relu(layer(x))))]));
    expect(timeline).toEqual([1024, 1024, 2048, 1024]);
    expect(most).toEqual({ bytes: 2048, step: 2 });
    expect(livenessOf(trace((a) => a, [x.spec]))).toMatchObject({ timeline: [], peak: { bytes: 0, step: -1 } });
  });
});

describe("the memory of a network", () => {
  it("grows with the batch where it must", () => {
    const [one, eight] = [1, 8].map((batch) => memoryOf(traceModel(models.vgg11(), { batch })));
    for (const key of ["input", "output", "activations"] as const) expect(eight[key]).toBe(8 * one[key]);
    expect(eight.peak.bytes).toBe(8 * one.peak.bytes);
    expect(eight.parameters).toBe(one.parameters);
  });
  it("shrinks with the element type", () => {
    const traced = traceModel(models.lenet5(), { batch: 2 });
    const [whole, half] = (["float32", "float16"] as const).map((dtype) => memoryOf(traced, { dtype }));
    for (const key of ["parameters", "input", "output", "activations", "total"] as const) expect(2 * half[key]).toBe(whole[key]);
    expect(memoryOf(traced, { dtype: "int8" }).parameters).toBe(61706);
  });
  it("training keeps what the way back reads", () => {
    const traced = traceModel(models.lenet5(), { batch: 1, training: true });
    const { kept, parameters, gradients, optimizer, input: x, output, peak, total } = trainingMemoryOf(traced, { slots: 1 });
    // The input and the outputs of c1, s2, c3, s4, c5 and f6: rectified in place, and read by the weights' gradients and the pools'.
    expect(kept).toBe(4 * (784 + 4704 + 1176 + 1600 + 400 + 120 + 84));
    expect([parameters, gradients, optimizer]).toEqual([246824, 246824, 246824]);
    expect(total).toBe(parameters + gradients + optimizer + x + 2 * output + peak.bytes);
    expect(peak).toEqual({ path: "s2", op: "maxPoolGrad", bytes: 42336, forward: false });
  });
  it("is plain data", () => {
    const memory = trainingMemoryOf(traceModel(models.lenet5(), { training: true }));
    expect(JSON.parse(JSON.stringify(memory))).toEqual(memory);
    expect(memory.timeline.length).toBeGreaterThan(20);
  });
});
