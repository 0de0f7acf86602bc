import { bytesOf, createHost, evaluate, graphOf, hostArray, input, spec } from "@conv/tensor";
import { optimizerGoldens, type OptimizerRun } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import {
  adagrad,
  adam,
  adamW,
  conv2d,
  flatten,
  lamb,
  linear,
  lion,
  maxPool2d,
  pipe,
  relu,
  rmsprop,
  sequential,
  sgd,
  traceStep,
} from "../src/index.ts";
import type { Model, Optimizer } from "../src/index.ts";

const network: Model = {
  name: "golden",
  input: [1, 6, 6],
  classes: 3,
  layer: sequential({
    conv: pipe(conv2d(2, 3), relu()),
    pool: maxPool2d(2),
    flat: flatten(),
    fc: linear(3),
  }),
};

/**
 * The losses before each step, and the parameters after each, of steps run in place on the host.
 */
async function train(optimizer: Optimizer) {
  const backend = createHost();
  const { graph, entries } = traceStep(network, optimizer, 4);
  const program = backend.compile(graph);
  const inputs = graph.inputs.map((v) => backend.alloc(bytesOf(v.spec)));
  const [x, labels, hyper, ...learned] = inputs;
  const [loss, output] = graph.outputs.slice(0, 2).map((v) => backend.alloc(bytesOf(v.spec)));
  entries.forEach(({ name }, i) => {
    const golden = Object.entries(optimizerGoldens.network.params).find(([key]) => key === name);
    backend.write(learned[i], Float32Array.from(golden![1].data));
  });
  const losses: number[] = [];
  const after: Record<string, Float32Array>[] = [];
  for (const [step, data] of optimizerGoldens.network.steps.entries()) {
    backend.write(x, Float32Array.from(data.x.data));
    backend.write(labels, Int32Array.from(data.labels.data));
    backend.write(hyper, Float32Array.from(optimizer.hyper(step)));
    program.run(inputs, [loss, output, ...learned]);
    losses.push(new Float32Array(await backend.read(loss))[0]);
    const arrays = await Promise.all(
      entries.map(
        async (e, i) => [e.name, new Float32Array(await backend.read(learned[i]))] as const,
      ),
    );
    after.push(Object.fromEntries(arrays));
  }
  return { losses, after };
}

const pair = ([first = NaN, second = NaN]: readonly number[] = [0.9, 0.999]) =>
  [first, second] as const;
const optimizers: Record<string, (options: OptimizerRun["options"]) => Optimizer> = {
  sgd: ({ lr = NaN, momentum, weightDecay, nesterov }) =>
    sgd({ lr, momentum, weightDecay, nesterov }),
  adam: ({ betas, ...options }) => adam({ ...options, betas: pair(betas) }),
  adamW: ({ betas, ...options }) => adamW({ ...options, betas: pair(betas) }),
  rmsprop,
  adagrad,
};

describe("three steps end where PyTorch's do", () => {
  test.each(optimizerGoldens.runs)(
    "$name",
    async ({ optimizer, options, losses, after1, after3 }) => {
      const got = await train(optimizers[optimizer](options));
      losses.forEach((loss, i) => expect(got.losses[i]).toBeCloseTo(loss, 5));
      for (const [want, have] of [
        [after1, got.after[0]],
        [after3, got.after[2]],
      ] as const)
        for (const [key, { data }] of Object.entries(want))
          data.forEach((v, i) => expect(have[key][i], `${key} ${i}`).toBeCloseTo(v, 5));
    },
  );
});

describe("rules that PyTorch lacks", () => {
  /**
   * One parameter of two elements through two updates, by the optimizer and by plain arithmetic.
   */
  const updates = async (
    optimizer: Optimizer,
    by: (p: number[], g: number[], t: number) => number[],
  ) => {
    const [p, g, ...rest] = ["p", "g", ...optimizer.slots].map((name) => input(spec([2]), name));
    const hyper = Array.from({ length: optimizer.hypers }, () => input(spec([])));
    const { param, slots } = optimizer.update(p, g, rest, hyper);
    const graph = graphOf([p, g, ...rest, ...hyper], [param, ...slots]);
    let state: Float64Array[] = [[0.6, -0.8], ...rest.map(() => [0, 0])].map((v) =>
      Float64Array.from(v),
    );
    let want = [0.6, -0.8];
    for (const [t, gradient] of [
      [0.3, -2],
      [-0.1, 0],
    ].entries()) {
      const numbers = optimizer.hyper(t).map((v) => hostArray(spec([]), Float64Array.of(v)));
      const [first, ...kept] = state.map((data) => hostArray(spec([2]), data));
      const results = evaluate(graph, [
        first,
        hostArray(spec([2]), Float64Array.from(gradient)),
        ...kept,
        ...numbers,
      ]);
      state = results.map((r) => r.data);
      want = by(want, gradient, t);
      want.forEach((v, i) => expect(state[0][i]).toBeCloseTo(v, 12));
    }
  };

  test("Lion", async () => {
    let m = [0, 0];
    await updates(lion({ lr: 0.1, betas: [0.8, 0.9], weightDecay: 0.5 }), (p, g) => {
      const next = p.map((v, i) => v - 0.1 * (Math.sign(0.8 * m[i] + 0.2 * g[i]) + 0.5 * v));
      m = m.map((v, i) => 0.9 * v + 0.1 * g[i]);
      return next;
    });
  });

  test("LAMB", async () => {
    let [m, v] = [
      [0, 0],
      [0, 0],
    ];
    await updates(lamb({ lr: 0.1, betas: [0.8, 0.9], eps: 1e-3, weightDecay: 0.5 }), (p, g, t) => {
      m = m.map((old, i) => 0.8 * old + 0.2 * g[i]);
      v = v.map((old, i) => 0.9 * old + 0.1 * g[i] ** 2);
      const u = p.map(
        (old, i) =>
          m[i] / (1 - 0.8 ** (t + 1)) / (Math.sqrt(v[i] / (1 - 0.9 ** (t + 1))) + 1e-3) + 0.5 * old,
      );
      const trust = Math.hypot(...p) / Math.hypot(...u);
      return p.map((old, i) => old - 0.1 * trust * u[i]);
    });
  });
});

describe("options", () => {
  test("are checked", () => {
    expect(() => sgd({ lr: -1 })).toThrow("sgd: learning rate -1 is not a finite number ≥ 0");
    expect(() => sgd({ lr: 1, momentum: 1 })).toThrow("sgd: momentum 1 is not in [0, 1)");
    expect(() => sgd({ lr: 1, weightDecay: NaN })).toThrow(
      "sgd: weight decay NaN is not a finite number ≥ 0",
    );
    expect(() => sgd({ lr: 1, nesterov: true })).toThrow(
      "sgd: nesterov needs momentum > 0; set the option momentum, for example 0.9",
    );
    expect(() => adam({ lr: Infinity })).toThrow(
      "adam: learning rate Infinity is not a finite number ≥ 0",
    );
    expect(() => adam({ betas: [1, 0.9] })).toThrow("adam: betas[0] 1 is not in [0, 1)");
    expect(() => adam({ betas: [0.9, -0.1] })).toThrow("adam: betas[1] -0.1 is not in [0, 1)");
    expect(() => adam({ eps: -1 })).toThrow("adam: eps -1 is not a finite number ≥ 0");
    expect(() => adamW({ betas: [2, 0.9] })).toThrow("adamW: betas[0] 2 is not in [0, 1)");
    for (const betas of [0.9, [0.9], "0.9", null] as unknown[])
      expect(() => adam({ betas: betas as [number, number] })).toThrow(
        /^adam: betas is \w+, must be a list of 2 numbers$/,
      );
    expect(() => rmsprop({ alpha: 1 })).toThrow("rmsprop: alpha 1 is not in [0, 1)");
    expect(() => rmsprop({ momentum: -1 })).toThrow("rmsprop: momentum -1 is not in [0, 1)");
    expect(() => adagrad({ lrDecay: -1 })).toThrow(
      "adagrad: learning rate decay -1 is not a finite number ≥ 0",
    );
    expect(() => lion({ weightDecay: -1 })).toThrow(
      "lion: weight decay -1 is not a finite number ≥ 0",
    );
    expect(() => lamb({ lr: -1 })).toThrow("lamb: learning rate -1 is not a finite number ≥ 0");
    expect(() => adam({ weightDecay: -1 })).toThrow(
      "adam: weight decay -1 is not a finite number ≥ 0",
    );
  });

  test("a schedule is asked at every step", () => {
    const halving = sgd({ lr: (step) => 0.5 ** step });
    expect([0, 1, 2].map((step) => halving.hyper(step))).toEqual([[1], [0.5], [0.25]]);
    expect(() => sgd({ lr: () => NaN }).hyper(3)).toThrow(
      "sgd: learning rate NaN is not a finite number ≥ 0",
    );
  });
});
