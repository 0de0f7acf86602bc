// Memory against what back ends really hold: buffers, and the parts of compiled programs, to the
// byte.

import { createCpu, type CpuBackend } from "@conv/kernels-cpu";
import { capsOf, layoutOf } from "@conv/kernels-cpu/explain";
import {
  adam,
  arrayDataset,
  createTrainer,
  sgd,
  traceModel,
  traceStep,
  type Model,
} from "@conv/layers";
import { models } from "@conv/layers/models";
import { add, concat, conv, relu, reshape, slice, tanh } from "@conv/ops";
import {
  bytesOf,
  graphOf,
  input,
  optimize,
  sizeOf,
  spec,
  trace,
  type Graph,
  type Value,
} from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  livenessOf,
  memoryOf,
  programMemoryOf,
  trainingMemoryOf,
  type Held,
} from "../src/index.ts";

let cpu: CpuBackend;
beforeAll(async () => void (cpu = await createCpu({ threads: 1 })));
afterAll(() => cpu.dispose());

const small = (name: string): Model => ({
  ...models[name](),
  ...(name.startsWith("lenet") ? {} : { input: [3, 64, 64] }),
});
const predicting = (name: string, batch = 1): Graph => traceModel(models[name](), { batch }).graph;
const training = (name: string, batch = 2): Graph =>
  traceStep(small(name), sgd({ lr: 0.1, momentum: 0.9 }), batch).graph;

/** The most that is in use at one time. */
function peakOf(blocks: readonly Pick<Held, "bytes" | "from" | "to">[]): number {
  const end = Math.max(...blocks.map((b) => b.to)) + 1;
  return Math.max(
    ...Array.from({ length: end }, (_, at) =>
      blocks.reduce((sum, b) => sum + (b.from <= at && at <= b.to ? b.bytes : 0), 0),
    ),
  );
}

describe("the values that a program of the CPU holds at once", () => {
  const check = (traced: Graph) => {
    const graph = optimize(traced);
    const { blocks, steps } = layoutOf(graph, cpu.caps);
    const values = blocks.filter((b) => b.kind === "value");
    expect(livenessOf(graph, { steps }).peak.bytes).toBe(peakOf(values));
    expect(programMemoryOf(layoutOf(graph, cpu.caps)).values).toBe(peakOf(values));
  };
  it.each([
    "lenet5",
    "lenet5_1998",
    "resnet8",
    "alexnet",
    "vgg11_bn",
    "googlenet",
    "inceptionV3",
    "resnet18",
    "resnet50",
    "densenet121",
    "squeezenet1_1",
    "mobilenetV2",
    "mobilenetV3Small",
    "shufflenetV2",
    "efficientnetB0",
    "unet",
    "r3d18",
  ])("%s, predicting", (name) => check(predicting(name)));
  it.each([
    "lenet5",
    "lenet5_1998",
    "resnet8",
    "resnet18",
    "googlenet",
    "squeezenet1_1",
    "mobilenetV2",
    "shufflenetV2",
  ])("%s, training", { timeout: 30_000 }, (name) => check(training(name)));
});

describe("what a program reserves, predicted without making it", () => {
  /**
   * Where the next buffer would lie: what the heap has given out, as long as nothing before it was
   * given back.
   */
  const top = (backend: CpuBackend): number => {
    const probe = backend.alloc(1);
    const address: unknown = Reflect.get(probe, "address");
    backend.free(probe);
    return Number(address);
  };
  const check = async (traced: Graph, threads: number) => {
    const backend = await createCpu({ threads });
    try {
      const layout = layoutOf(traced, capsOf({ threads }));
      const { program: own, total, inputs, outputs } = programMemoryOf(layout);
      const start = top(backend);
      const program = backend.compile(traced);
      expect(program.bytes).toBe(own);
      // Weights are packed at the first run, when it is known which they are: other programs may
      // have packed them.
      const packed = own - backend.memory().programBytes;
      expect(packed).toBeGreaterThanOrEqual(0);
      expect(packed).toBeLessThanOrEqual(
        layout.blocks.reduce(
          (sum, b) => sum + (b.kind === "packed" ? Math.ceil(b.bytes / 64) * 64 : 0),
          0,
        ),
      );
      expect(top(backend) - start).toBe(own - packed);
      const [from, to] = [traced.inputs, traced.outputs].map((list) =>
        list.map((v) => backend.alloc(bytesOf(v.spec))),
      );
      expect(inputs + outputs + own).toBe(total);
      expect(top(backend) - start).toBe(total - packed);
      for (const _ of [1, 2]) {
        program.run(from, to);
        expect(top(backend) - start).toBe(total);
        expect(backend.memory().programBytes).toBe(own);
      }
      program.dispose();
      expect(backend.memory().programBytes).toBe(0);
    } finally {
      backend.dispose();
    }
  };
  it.each([
    ["lenet5", 1, 1],
    ["lenet5", 64, 2],
    ["lenet5_1998", 8, 2],
    ["resnet18", 1, 1],
    ["resnet18", 2, 2],
    ["googlenet", 1, 2],
    ["mobilenetV2", 3, 2],
    ["densenet121", 1, 1],
    ["shufflenetV2", 1, 2],
  ])("%s predicting, batch %i, threads %i", { timeout: 60_000 }, (name, batch, threads) =>
    check(predicting(name, batch), threads),
  );
  it.each([
    ["lenet5", 64, 1],
    ["lenet5", 64, 2],
    ["lenet5_1998", 16, 2],
    ["resnet8", 4, 1],
    ["resnet18", 2, 2],
    ["mobilenetV2", 2, 1],
  ])("%s training, batch %i, threads %i", { timeout: 60_000 }, (name, batch, threads) =>
    check(training(name, batch), threads),
  );

  it(
    "a trainer holds the program of its step, and of what the step changes one buffer",
    { timeout: 60_000 },
    async () => {
      const backend = await createCpu({ threads: 1 });
      const [model, optimizer, batch] = [models.resnet8(), adam(), 8];
      const start = top(backend);
      const trainer = createTrainer({ backend, model, optimizer, batch });
      const data = arrayDataset({
        x: new Float32Array(batch * sizeOf(model.input)),
        y: new Int32Array(batch),
        sample: model.input,
      });
      for await (const { epoch } of trainer.fit(data, { epochs: 2 }))
        expect(epoch).toBeLessThanOrEqual(2);
      const { graph } = traceStep(model, optimizer, batch, { guard: true });
      const { program, total } = programMemoryOf(layoutOf(graph, backend.caps), {
        inPlace: graph.outputs.length - 2,
      }); // all but the loss and the answers
      expect(backend.memory().programBytes).toBe(program);
      expect(top(backend) - start).toBe(total);
      trainer.dispose();
      backend.dispose();
    },
  );

  it("says what it is for, in plain data", () => {
    const memory = programMemoryOf(layoutOf(predicting("resnet18"), capsOf({ threads: 2 })));
    expect(JSON.parse(JSON.stringify(memory))).toEqual(memory);
    expect(Object.keys(memory.kernels).toSorted()).toEqual(["packed", "scratch", "threads"]);
    const parts = memory.values + Object.values(memory.kernels).reduce((a, b) => a + b, 0);
    expect(memory.kernels.packed).toBeGreaterThan(40e6); // the weights, rearranged
    // most of a kind at a time are no more together than side by side
    expect(memory.program).toBeLessThanOrEqual(parts * 1.01 + 4096);
  });
});

describe("the buffers of a program", () => {
  it.each(["lenet5", "resnet18", "mobilenetV2"])("of %s hold weights, input and output", (name) => {
    const traced = traceModel(models[name](), { batch: 3 });
    const before = cpu.memory().bytes;
    const buffers = [...traced.graph.inputs, ...traced.graph.outputs].map((v) =>
      cpu.alloc(bytesOf(v.spec)),
    );
    const { parameters, buffers: statistics, input: x, output } = memoryOf(traced);
    expect(cpu.memory().bytes - before).toBe(parameters + statistics + x + output);
    for (const b of buffers) cpu.free(b);
  });
  it("of a training step hold the optimizer's state too", () => {
    const model = small("resnet18");
    const { graph } = traceStep(model, adam(), 4);
    const before = cpu.memory().bytes;
    const buffers = graph.inputs.map((v) => cpu.alloc(bytesOf(v.spec)));
    const memory = trainingMemoryOf(traceModel(model, { batch: 4, training: true }), { slots: 2 });
    const others = bytesOf(graph.inputs[1].spec) + bytesOf(graph.inputs[2].spec); // labels, and the optimizer's numbers
    expect(cpu.memory().bytes - before - others).toBe(
      memory.parameters + memory.buffers + memory.input + memory.optimizer,
    );
    for (const b of buffers) cpu.free(b);
  });
});

describe("what is held at once", () => {
  const x = input(spec([1, 16, 4, 4]), "x");
  const w = input(spec([16, 16, 1, 1]), "w");
  const layer = (v: Value) => conv(v, w);
  const peak = (y: Value) => livenessOf(graphOf([x, w], [layer(y)])).peak.bytes / 1024;
  it("of a chain is a result and the next", () => expect(peak(layer(layer(layer(x))))).toBe(2));
  it("grows by nothing where a result takes the place of what it was made of", () =>
    expect(peak(tanh(relu(layer(x))))).toBe(1));
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
    expect(livenessOf(trace((a) => a, [x.spec]))).toMatchObject({
      timeline: [],
      peak: { bytes: 0, step: -1 },
    });
  });
});

describe("the memory of a network", () => {
  it("grows with the batch where it must", () => {
    const [one, eight] = [1, 8].map((batch) => memoryOf(traceModel(models.vgg11(), { batch })));
    for (const key of ["input", "output", "activations"] as const)
      expect(eight[key]).toBe(8 * one[key]);
    expect(eight.peak.bytes).toBe(8 * one.peak.bytes);
    expect(eight.parameters).toBe(one.parameters);
  });
  it("shrinks with the element type", () => {
    const traced = traceModel(models.lenet5(), { batch: 2 });
    const [whole, half] = (["float32", "float16"] as const).map((dtype) =>
      memoryOf(traced, { dtype }),
    );
    for (const key of ["parameters", "input", "output", "activations", "total"] as const)
      expect(2 * half[key]).toBe(whole[key]);
    expect(memoryOf(traced, { dtype: "int8" }).parameters).toBe(61706);
  });
  it("training keeps what the way back reads", () => {
    const traced = traceModel(models.lenet5(), { batch: 1, training: true });
    const {
      kept,
      parameters,
      gradients,
      optimizer,
      input: x,
      output,
      peak,
      total,
    } = trainingMemoryOf(traced, { slots: 1 });
    // The input and the outputs of c1, s2, c3, s4, c5 and f6: rectified in place, and read by the
    // weights' gradients and the pools'.
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
