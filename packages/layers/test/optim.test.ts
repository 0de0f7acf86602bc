import { bytesOf, createHost } from "@conv/tensor";
import { optimiserGoldens } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import { adam, conv2d, flatten, linear, maxPool2d, pipe, relu, sequential, sgd, traceStep } from "../src/index.ts";
import type { Model, Optimizer } from "../src/index.ts";

const network: Model = {
  name: "golden",
  input: [1, 6, 6],
  classes: 3,
  layer: sequential({ conv: pipe(conv2d(2, 3), relu()), pool: maxPool2d(2), flat: flatten(), fc: linear(3) }),
};

/** The losses before each step, and the parameters after each, of steps run in place on the host. */
async function train(optimizer: Optimizer) {
  const backend = createHost();
  const { graph, entries } = traceStep(network, optimizer, 4);
  const program = backend.compile(graph);
  const inputs = graph.inputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const [x, labels, hyper, ...learned] = inputs;
  const [loss, output] = graph.outputs.slice(0, 2).map((v) => backend.alloc(bytesOf(v.spec)));
  entries.forEach(({ name }, i) => {
    const golden = Object.entries(optimiserGoldens.network.params).find(([key]) => key === name);
    backend.write(learned[i], Float32Array.from(golden![1].data));
  });
  const losses: number[] = [];
  const after: Record<string, Float32Array>[] = [];
  for (const [step, data] of optimiserGoldens.network.steps.entries()) {
    backend.write(x, Float32Array.from(data.x.data));
    backend.write(labels, Int32Array.from(data.labels.data));
    backend.write(hyper, Float32Array.from(optimizer.hyper(step)));
    program.run(inputs, [loss, output, ...learned]);
    losses.push(new Float32Array(await backend.read(loss))[0]);
    const arrays = await Promise.all(entries.map(async (e, i) => [e.name, new Float32Array(await backend.read(learned[i]))] as const));
    after.push(Object.fromEntries(arrays));
  }
  return { losses, after };
}

describe("three steps end where PyTorch's do", () => {
  test.each(optimiserGoldens.runs)("$name", async ({ optimiser, options, losses, after1, after3 }) => {
    const got = await train(optimiser === "sgd" ? sgd(options) : adam(options));
    losses.forEach((loss, i) => expect(got.losses[i]).toBeCloseTo(loss, 5));
    for (const [want, have] of [
      [after1, got.after[0]],
      [after3, got.after[2]],
    ] as const)
      for (const [key, { data }] of Object.entries(want)) data.forEach((v, i) => expect(have[key][i], `${key} ${i}`).toBeCloseTo(v, 5));
  });
});

describe("options", () => {
  test("are checked", () => {
    expect(() => sgd({ lr: -1 })).toThrow("sgd: learning rate -1 is not a finite number ≥ 0");
    expect(() => sgd({ lr: 1, momentum: 1 })).toThrow("sgd: momentum 1 is not in [0, 1)");
    expect(() => sgd({ lr: 1, weightDecay: NaN })).toThrow("sgd: weight decay NaN is not a finite number ≥ 0");
    expect(() => sgd({ lr: 1, nesterov: true })).toThrow("sgd: Nesterov needs momentum > 0");
    expect(() => adam({ lr: Infinity })).toThrow("adam: learning rate Infinity is not a finite number ≥ 0");
    expect(() => adam({ beta1: 1 })).toThrow("adam: beta1 1 is not in [0, 1)");
    expect(() => adam({ beta2: -0.1 })).toThrow("adam: beta2 -0.1 is not in [0, 1)");
    expect(() => adam({ epsilon: -1 })).toThrow("adam: epsilon -1 is not a finite number ≥ 0");
    expect(() => adam({ weightDecay: -1 })).toThrow("adam: weight decay -1 is not a finite number ≥ 0");
  });

  test("a schedule is asked at every step", () => {
    const halving = sgd({ lr: (step) => 0.5 ** step });
    expect([0, 1, 2].map((step) => halving.hyper(step))).toEqual([[1], [0.5], [0.25]]);
    expect(() => sgd({ lr: () => NaN }).hyper(3)).toThrow("sgd: learning rate NaN is not a finite number ≥ 0");
  });
});
