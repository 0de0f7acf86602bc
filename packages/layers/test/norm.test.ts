import { grad, mul, sum } from "@conv/ops";
import { evaluate, graphOf, hostArray, input, spec, type HostArray } from "@conv/tensor";
import { adaptivePoolGoldens, batchNormGoldens, type GoldenArray } from "@conv/testkit/goldens";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import type { Layer, State } from "../src/index.ts";
import { failure, onHost, only, stripes, tinyModel } from "./tiny.ts";

const array = ({ shape, data }: GoldenArray): HostArray =>
  hostArray(spec(shape), Float64Array.from(data, Math.fround));

/** Both sides computed in float64 from the same float32 numbers; the golden was rounded once. */
function expectNear(got: HostArray, want: GoldenArray, what: string): void {
  expect(got.shape, what).toEqual(want.shape);
  want.data.forEach((w, i) =>
    expect(Math.abs(got.data[i] - w), `${what}[${i}]: ${got.data[i]} for ${w}`).toBeLessThanOrEqual(
      1e-6 * (1 + Math.abs(w)),
    ),
  );
}

const norms = [layers.batchNorm1d, layers.batchNorm1d, layers.batchNorm2d, layers.batchNorm3d];

describe("batch normalization is PyTorch's", () => {
  test.each(batchNormGoldens)("$name", (g) => {
    const { training, eps, momentum } = g;
    const layer = norms[g.x.shape.length - 2]({ eps, momentum });
    const { x, output, entries, values, updates } = layers.traceModel(
      only(layer, g.x.shape.slice(1)),
      { batch: g.x.shape[0], training },
    );
    expect(entries.map((e) => [e.name, e.trainable])).toEqual([
      ["weight", true],
      ["bias", true],
      ["running_mean", false],
      ["running_var", false],
      ["num_batches_tracked", false],
    ]);
    const dy = input(spec(g.dy.shape));
    const gradients = grad(sum(mul(output, dy)), [x, values[0], values[1]]);
    const after = updates.filter((v) => v !== null);
    const given = [
      array(g.x),
      array(g.dy),
      array(g.weight),
      array(g.bias),
      array(g.mean),
      array(g.var),
      array({ shape: [], data: [6] }),
    ];
    const [y, dx, dweight, dbias, ...changed] = evaluate(
      graphOf([x, dy, ...values], [output, ...gradients, ...after]),
      given,
    );
    expectNear(y, g.y, "y");
    expectNear(dx, g.dx, "dx");
    expectNear(dweight, g.dweight, "dweight");
    expectNear(dbias, g.dbias, "dbias");
    if (!training) return expect(updates).toEqual(values.map(() => null));
    expect(updates.slice(0, 2)).toEqual([null, null]);
    expectNear(changed[0], g.meanAfter, "running mean");
    expectNear(changed[1], g.varAfter, "running variance");
    expectNear(changed[2], { shape: [], data: [7] }, "batches");
  });

  test("predicting it is one node over the channels' scale and shift, which are known before the convolution that it follows", () => {
    const { graph } = layers.traceModel(
      only(
        layers.sequential([layers.conv2d(4, 3, { bias: false }), layers.batchNorm2d()]),
        [2, 5, 5],
      ),
    );
    const names = graph.nodes.map((n) => n.op.name);
    expect(names.filter((n) => n !== "reshape")).toEqual([
      "batchNormScale",
      "batchNormShift",
      "conv",
      "batchNorm",
    ]);
  });
});

describe("running statistics", () => {
  const twice = layers.batchNorm2d();
  const shared: Layer = {
    type: "shared",
    forward: (x, ctx) => ctx.child("n", twice, ctx.child("n", twice, x)),
  };

  test("of a layer used twice follow both uses, in order", () => {
    const { x, values, updates } = layers.traceModel(only(shared, [1, 1, 2]), {
      batch: 1,
      training: true,
    });
    const [after] = evaluate(graphOf([x, ...values], [updates[2]!]), [
      array({ shape: [1, 1, 1, 2], data: [1, 3] }),
      ...[[2], [5], [0], [1]].map((data) => array({ shape: [1], data })),
      array({ shape: [], data: [0] }),
    ]);
    // The mean of 1 and 3 is 2; what comes out has the mean 5: 0.9 · (0.1 · 2) + 0.1 · 5.
    expect(after.data[0]).toBeCloseTo(0.68, 9);
  });

  test("are trained, saved and resumed with the rest", async () => {
    await onHost(async (backend) => {
      const model = {
        ...tinyModel(),
        layer: layers.sequential({ norm: layers.batchNorm2d(), net: tinyModel().layer }),
      };
      const options = { backend, model, optimizer: layers.adam({ lr: 0.01 }), batch: 8 };
      const run = async (trainer: layers.Trainer, epochs: number, resume?: Uint8Array) => {
        for await (const _ of trainer.fit(stripes(16), { epochs, resume }));
        return trainer.state();
      };
      using whole = layers.createTrainer(options);
      using first = layers.createTrainer(options);
      using second = layers.createTrainer(options);
      const want = await run(whole, 4);
      await run(first, 2);
      expect(await run(second, 4, await first.checkpoint())).toEqual(want);
      expect([...want.get("norm.num_batches_tracked")!.data]).toEqual([8]);
      const mean =
        stripes(16)
          .batch(Uint32Array.from({ length: 16 }, (_, i) => i))
          .x.reduce((a, b) => a + b) /
        (16 * 36);
      expect(want.get("norm.running_mean")!.data[0]).toBeCloseTo(mean * (1 - 0.9 ** 8), 1);
    });
  });

  test("an update names a buffer of its layer and has its shape", () => {
    const updating = (name: string, training: boolean) => () =>
      layers.traceModel(
        only(
          {
            type: "odd",
            forward(x, ctx) {
              ctx.param("w", [2], layers.ones);
              ctx.buffer("b", [2], layers.ones);
              ctx.update(name, x);
              return x;
            },
          },
          [3],
        ),
        { training },
      );
    expect(updating("w", true)).toThrow(
      failure(
        "ShapeError",
        'update: "w" is not a buffer that this layer created in training; call ctx.buffer first',
      ),
    );
    expect(updating("c", true)).toThrow(
      'update: "c" is not a buffer that this layer created in training; call ctx.buffer first',
    );
    expect(updating("b", false)).toThrow(
      'update: "b" is not a buffer that this layer created in training; call ctx.buffer first',
    );
    expect(updating("b", true)).toThrow('update: "b" has shape 2, its update has 1×3');
  });
});

test("batch normalization refuses what it cannot normalize", () => {
  const trace =
    (layer: Layer, inputShape: number[], training = false) =>
    () =>
      layers.traceModel(only(layer, inputShape), { training });
  expect(trace(layers.batchNorm2d(), [3, 4])).toThrow(
    failure("ShapeError", "batchNorm2d: input has 3 axes, needs 4"),
  );
  expect(trace(layers.batchNorm1d(), [3, 4, 4])).toThrow(
    "batchNorm1d: input has 4 axes, needs 2 or 3",
  );
  expect(trace(layers.batchNorm1d(), [3], true)).toThrow(
    "batchNorm1d: mean and variance of a batch need more than one value per channel, input 1×3 has 1; use a larger batch",
  );
  expect(() => layers.batchNorm2d({ eps: 0 })).toThrow(
    "batchNorm2d: eps 0 is not a finite number > 0",
  );
  expect(() => layers.batchNorm2d({ momentum: 2 })).toThrow(
    "batchNorm2d: momentum 2 is not in [0, 1]",
  );
});

describe("adaptive average pooling is PyTorch's", () => {
  const pools = [layers.adaptiveAvgPool1d, layers.adaptiveAvgPool2d, layers.adaptiveAvgPool3d];
  test.each(adaptivePoolGoldens)("$name", (g) => {
    const { x, output } = layers.traceModel(
      only(pools[g.x.shape.length - 3](g.output), g.x.shape.slice(1)),
      { batch: g.x.shape[0] },
    );
    const dy = input(spec(g.dy.shape));
    const [y, dx] = evaluate(graphOf([x, dy], [output, ...grad(sum(mul(output, dy)), [x])]), [
      array(g.x),
      array(g.dy),
    ]);
    expectNear(y, g.y, "y");
    expectNear(dx, g.dx, "dx");
  });

  test("to its own size it is nothing, and sizes are checked", () => {
    expect(
      layers.traceModel(only(layers.adaptiveAvgPool2d([3, 4]), [1, 3, 4])).graph.nodes,
    ).toEqual([]);
    expect(() => layers.adaptiveAvgPool2d(0)).toThrow(
      "adaptiveAvgPool2d: output 0 is not a whole number ≥ 1 (axis h)",
    );
    expect(() => layers.adaptiveAvgPool2d([1])).toThrow(
      "adaptiveAvgPool2d: output has 1 entries for 2 spatial axes",
    );
  });
});

describe("layers that split and meet", () => {
  const scaled = (name: string, by: number): Layer =>
    layers.sequential({
      [name]: layers.conv2d(2, 1, { bias: false, init: layers.values([by, 0, 0, by]) }),
    });
  const x = Float32Array.of(1, 2);
  const answer = async (layer: Layer) => {
    let y: number[] = [];
    let state: State = new Map();
    await onHost(async (backend) => {
      const model = only(layer, [2, 1, 1]);
      state = layers.initialize(model);
      using predictor = layers.createPredictor(backend, model, state);
      y = [...(await predictor.predict(x))];
    });
    return { y, names: [...state.keys()] };
  };

  test("a residual adds its input, or a shortcut, and both keep their names", async () => {
    expect(await answer(layers.residual(scaled("main", 3)))).toEqual({
      y: [4, 8],
      names: ["main.weight"],
    });
    expect(await answer(layers.residual(scaled("main", 3), scaled("side", 2)))).toEqual({
      y: [5, 10],
      names: ["main.weight", "side.weight"],
    });
    expect(() => layers.traceModel(only(layers.residual(layers.conv2d(3, 1)), [2, 1, 1]))).toThrow(
      "add: shapes 1×3×1×1 and 1×2×1×1 do not broadcast (axis 1)",
    );
  });

  test("branches lie one after the other along the channels, under numbers or names", async () => {
    expect(await answer(layers.branches([scaled("c", 3), scaled("c", 2)]))).toEqual({
      y: [3, 6, 2, 4],
      names: ["0.c.weight", "1.c.weight"],
    });
    expect(
      (await answer(layers.branches({ wide: scaled("c", 3), thin: scaled("c", 2) }))).names,
    ).toEqual(["wide.c.weight", "thin.c.weight"]);
  });
});

describe("normalizations within a sample refuse what they cannot normalize", () => {
  test.each<[string, () => Layer, number[], string]>([
    [
      "layer",
      () => layers.layerNorm([2, 4]),
      [3, 2, 5],
      "layerNorm: normalizedShape is 2×4, input has shape 1×3×2×5",
    ],
    [
      "group",
      () => layers.groupNorm(2),
      [3, 4],
      "groupNorm: 3 channels do not divide into 2 groups; use groups that divide 3",
    ],
    [
      "group of nothing",
      () => layers.groupNorm(1),
      [],
      "groupNorm: input has 1 axes, needs at least 2 (batch and channels)",
    ],
    [
      "instance",
      () => layers.instanceNorm2d(),
      [3, 1, 1],
      "instanceNorm2d: mean and variance of a map need more than one value, input 1×3×1×1 has 1",
    ],
    [
      "instance rank",
      () => layers.instanceNorm1d(),
      [3, 1, 1],
      "instanceNorm1d: input has 4 axes, needs 3 (batch, channels and 1 spatial)",
    ],
    [
      "response",
      () => layers.localResponseNorm(5),
      [],
      "localResponseNorm: input has 1 axes, needs at least 2 (batch and channels)",
    ],
    [
      "shuffle",
      () => layers.channelShuffle(2),
      [3, 2, 2],
      "channelShuffle: 3 channels do not divide into 2 groups; use groups that divide 3",
    ],
  ])("%s", (_, make, shape, message) =>
    expect(() => layers.traceModel(only(make(), shape))).toThrow(failure("ShapeError", message)),
  );

  test("numbers", () => {
    expect(() => layers.localResponseNorm(2.5)).toThrow(
      "localResponseNorm: size 2.5 is not a whole number ≥ 1",
    );
    expect(() => layers.localResponseNorm(5, { k: 0 })).toThrow(
      "localResponseNorm: k 0 must be > 0 and alpha 0.0001 ≥ 0",
    );
    expect(() => layers.groupNorm(2, { eps: -1 })).toThrow(
      "groupNorm: eps -1 is not a finite number > 0",
    );
    expect(() => layers.instanceNorm2d({ momentum: 2 })).toThrow(
      "instanceNorm2d: momentum 2 is not in [0, 1]",
    );
  });
});

test("normalizations have a weight or a bias alone, with initializers and constraints", () => {
  const names = (layer: Layer) =>
    layers.traceModel(only(layer, [4, 3, 3])).entries.map((e) => e.name);
  expect(names(layers.groupNorm(2, { bias: false }))).toEqual(["weight"]);
  expect(names(layers.batchNorm2d({ weight: false, trackRunningStats: false }))).toEqual(["bias"]);
  expect(names(layers.instanceNorm2d({ weight: true, name: "norm", activation: "relu" }))).toEqual([
    "weight",
  ]);
  const state = layers.initialize(
    only(layers.layerNorm([3], { weightInit: layers.constant(2), biasInit: layers.ones }), [4, 3]),
  );
  expect([...state.values()].map((v) => [...v.data])).toEqual([
    [2, 2, 2],
    [1, 1, 1],
  ]);
  const { entries } = layers.traceModel(
    only(
      layers.batchNorm2d({ weightConstraint: layers.nonNeg(), biasRegularizer: layers.l1() }),
      [4, 3, 3],
    ),
  );
  expect(
    entries.map((e) => [e.constraint !== undefined, e.regularizer !== undefined]).slice(0, 3),
  ).toEqual([
    [true, false],
    [false, true],
    [false, false],
  ]);
});

test("batch normalization without scale or center predicts by the running statistics alone", () => {
  const traced = layers.traceModel(only(layers.batchNorm1d({ bias: false, eps: 1e-12 }), [2]), {
    batch: 1,
  });
  const given = [[5, 5], [3, 3], [1, 2], [4, 0.25], [0]].map((data, i) =>
    hostArray(i === 0 ? traced.x.spec : traced.entries[i - 1].spec, Float64Array.from(data)),
  );
  const [y] = evaluate(traced.graph, given);
  expect(y.data[0]).toBeCloseTo((3 * (5 - 1)) / 2, 9);
  expect(y.data[1]).toBeCloseTo((3 * (5 - 2)) / 0.5, 9);
});
