// Whole networks rewritten: the new one answers as the old one, for any state, and holds what it
// should.

import { createCpu } from "@conv/kernels-cpu";
import * as ops from "@conv/ops";
import {
  evaluate,
  hostArray,
  ShapeError,
  sizeOf,
  spec,
  UnsupportedError,
  type Backend,
} from "@conv/tensor";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conv1x1ToLinear, foldBatchNorm, linearToConv1x1 } from "../src/algebra/index.ts";
import {
  adaptiveAvgPool2d,
  avgPool2d,
  batchNorm1d,
  batchNorm2d,
  conv2d,
  convTranspose2d,
  createPredictor,
  createRandom,
  dropout,
  flatten,
  leakyRelu,
  linear,
  logSoftmax,
  maxPool2d,
  pipe,
  relu,
  residual,
  sequential,
  tanh,
  traceModel,
} from "../src/index.ts";
import type { Layer, Model, State } from "../src/index.ts";
import {
  lenet5,
  mobilenetV2,
  mobilenetV3Small,
  resnet18,
  shufflenetV2,
} from "../src/models/index.ts";
import { only } from "./tiny.ts";

let backend: Backend;
beforeAll(async () => {
  backend = await createCpu({ threads: 1 });
});
afterAll(() => backend.dispose());

/**
 * Numbers for every tensor, such that signals neither vanish nor grow and no normalization is
 * trivial.
 */
function drawn(model: Model): State {
  return new Map(
    traceModel(model).entries.map(({ name, spec: { shape } }, i) => {
      const bound = shape.length > 1 ? Math.sqrt(6 / sizeOf(shape.slice(1))) : 0.5;
      const at = /(weight|running_var)$/.test(name) && shape.length === 1 ? 1 : 0;
      let bits = i; // a linear congruential generator, for networks have millions of weights
      return [
        name,
        {
          shape,
          data: Float32Array.from(
            { length: sizeOf(shape) },
            () => at + (bound * (bits = (Math.imul(bits, 1664525) + 1013904223) | 0)) / 2 ** 31,
          ),
        },
      ];
    }),
  );
}

const image = (shape: readonly number[], key = "image"): Float32Array => {
  const random = createRandom(key);
  return Float32Array.from({ length: sizeOf(shape) }, () => random.normal());
};

async function answer(
  model: Model,
  state: State,
  x: Float32Array,
): Promise<{ shape: readonly number[]; y: Float32Array }> {
  using predictor = createPredictor(backend, model, state, { batch: 2 });
  return { shape: predictor.output, y: await predictor.predict(x) };
}

/** In float64, for one image. */
function exact(model: Model, state: State, x: Float32Array): Float64Array {
  const { graph, entries } = traceModel(model);
  const arrays = entries.map((e) => hostArray(e.spec, Float64Array.from(state.get(e.name)!.data)));
  return evaluate(graph, [hostArray(spec([1, ...model.input]), Float64Array.from(x)), ...arrays])[0]
    .data;
}

function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.length).toBe(want.length);
  const largest = Math.max(...Array.from(want, Math.abs));
  for (let i = 0; i < want.length; i++)
    expect(Math.abs(got[i] - want[i]) / largest, `element ${i}`).toBeLessThanOrEqual(tolerance);
}

const failure = (fn: () => unknown): string => {
  try {
    fn();
  } catch (error) {
    if (error instanceof ShapeError || error instanceof UnsupportedError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
};

const stored = (model: Model, kind: "parameter" | "buffer"): number =>
  traceModel(model).entries.reduce(
    (sum, e) => sum + (e.kind === kind ? sizeOf(e.spec.shape) : 0),
    0,
  );
const opsOf = (model: Model): string[] => traceModel(model).graph.nodes.map((n) => n.op.name);

/** LeNet-5 for 1×32×32, without padding. */
const unpadded: Model = {
  name: "unpadded",
  input: [1, 32, 32],
  classes: 10,
  layer: sequential({
    c1: pipe(conv2d(6, 5), tanh()),
    s2: avgPool2d(2),
    c3: pipe(conv2d(16, 5), tanh()),
    s4: maxPool2d(2),
    flat: flatten(),
    c5: pipe(linear(120), tanh()),
    drop: dropout(),
    f6: pipe(linear(84), leakyRelu()),
    output: linear(10),
  }),
};

describe("linearToConv1x1", () => {
  const crop = (
    x: Float32Array,
    size: number,
    top: number,
    left: number,
    side: number,
  ): Float32Array =>
    Float32Array.from(
      { length: side * side },
      (_, i) => x[(top + Math.floor(i / side)) * size + left + (i % side)],
    );

  test("on a larger image equals the classifier on every crop at the network's stride", async () => {
    const state = drawn(unpadded);
    const { model, state: turned } = linearToConv1x1(unpadded, state);
    const x = image([1, 44, 44]);
    const { shape, y } = await answer({ ...model, input: [1, 44, 44] }, turned, x);
    expect(shape).toEqual([10, 4, 4]); // (44 − 32) / 4 + 1 positions each way
    const crops = Array.from({ length: 16 }, (_, i) =>
      crop(x, 44, 4 * Math.floor(i / 4), 4 * (i % 4), 32),
    );
    const each = await answer(unpadded, state, Float32Array.from(crops.flatMap((c) => [...c])));
    const map = Float32Array.from({ length: 160 }, (_, i) => y[(i % 10) * 16 + Math.floor(i / 10)]);
    expectClose(map, each.y, 1e-5);
  });

  test("holds the same numbers, by name, as convolutions", () => {
    const state = drawn(unpadded);
    const turned = linearToConv1x1(unpadded, state).state;
    expect([...turned].map(([name, { shape }]) => `${name} ${shape.join("×")}`)).toEqual([
      "c1.weight 6×1×5×5",
      "c1.bias 6",
      "c3.weight 16×6×5×5",
      "c3.bias 16",
      "c5.weight 120×16×5×5",
      "c5.bias 120",
      "f6.weight 84×120×1×1",
      "f6.bias 84",
      "output.weight 10×84×1×1",
      "output.bias 10",
    ]);
    for (const [name, { data }] of turned) expect(data).toBe(state.get(name)!.data);
  });

  test.each([
    { model: lenet5(), larger: [10, 3, 2], size: [1, 36, 33] },
    {
      model: { ...shufflenetV2({ classes: 20 }), input: [3, 64, 64] },
      larger: [20, 2, 1],
      size: [3, 96, 64],
    },
    {
      model: { ...mobilenetV2({ classes: 20 }), input: [3, 64, 64] },
      larger: [20, 2, 2],
      size: [3, 96, 96],
    },
  ])(
    "$model.name answers the same on an image of its own size, and at more places on a larger one",
    { timeout: 60_000 },
    async ({ model, larger, size }) => {
      const state = drawn(model);
      const turned = linearToConv1x1(model, state);
      const x = image([2, ...model.input]);
      const [before, after] = [
        await answer(model, state, x),
        await answer(turned.model, turned.state, x),
      ];
      expect(after.shape).toEqual([before.shape[0], 1, 1]);
      expectClose(after.y, before.y, 1e-5);
      expect(
        (await answer({ ...turned.model, input: size }, turned.state, image(size))).shape,
      ).toEqual(larger);
      expect(opsOf(turned.model)).not.toContain("matmul");
    },
  );

  test("pooling to a fixed size is taken as it is at the model's own size", async () => {
    const model: Model = {
      name: "pooled",
      input: [1, 8, 8],
      layer: sequential({
        a: conv2d(3, 3),
        pool: adaptiveAvgPool2d(3),
        flat: flatten(),
        fc: linear(4),
        norm: batchNorm1d(),
        end: logSoftmax(),
      }),
    };
    const state = drawn(model);
    const { model: sliding, state: turned } = linearToConv1x1(model, state);
    const x = image([1, 8, 10]);
    const wide = await answer({ ...sliding, input: [1, 8, 10] }, turned, x);
    expect(wide.shape).toEqual([4, 1, 2]);
    const crops = [0, 2].map((left) =>
      Float32Array.from({ length: 64 }, (_, i) => x[Math.floor(i / 8) * 10 + left + (i % 8)]),
    );
    const each = await answer(model, state, Float32Array.from(crops.flatMap((c) => [...c])));
    expectClose(
      Float32Array.from({ length: 8 }, (_, i) => wide.y[(i % 4) * 2 + Math.floor(i / 4)]),
      each.y,
      1e-5,
    );
  });

  test("a net of linear layers alone, over one axis, as part of another model", () => {
    const model: Model = {
      name: "dense",
      input: [2, 3],
      layer: sequential({ flat: flatten(), a: linear(4), act: relu(), b: linear(2) }),
    };
    const state = drawn(model);
    const { model: sliding, state: turned } = linearToConv1x1(model, state);
    expect(turned.get("a.weight")!.shape).toEqual([4, 2, 3]);
    const x = image([2, 5]);
    const inside = only(sequential({ net: sliding.layer, flat: flatten() }), [2, 5]);
    expect(traceModel(inside).entries.map((e) => e.name)).toEqual([
      "net.a.weight",
      "net.a.bias",
      "net.b.weight",
      "net.b.bias",
    ]);
    const y = exact(inside, new Map([...turned].map(([name, value]) => [`net.${name}`, value])), x);
    const want = [0, 1, 2].map((at) =>
      exact(
        model,
        state,
        x.filter((_, i) => i % 5 >= at && i % 5 < at + 3),
      ),
    );
    expectClose(
      y,
      [0, 1].flatMap((c) => want.map((w) => w[c])),
      1e-12,
    );
  });

  test("says what cannot slide", () => {
    const turn = (layer: Layer, input: readonly number[] = [1, 6, 6]) => {
      const model = only(layer, input);
      return failure(() => linearToConv1x1(model, drawn(model)));
    };
    expect(turn(conv2d(2, 3))).toBe(
      "linearToConv1x1: only flattens nothing, so none of its linear layers can slide",
    );
    const total: Layer = { type: "total", forward: (x) => ops.sum(x, 1, true) };
    expect(turn(sequential({ flat: flatten(), end: total }))).toBe(
      "linearToConv1x1: sum of end in only cannot slide",
    );
    expect(turn(sequential({ flat: flatten(), n: batchNorm1d(), out: linear(2) }))).toBe(
      "linearToConv1x1: batchNorm of n in only has numbers for each place of the map",
    );
    const twice = linear(4);
    const shared: Layer = {
      type: "shared",
      forward: (x, ctx) => ctx.child("l", twice, ctx.child("l", twice, x)),
    };
    expect(turn(sequential({ flat: flatten(), end: shared }), [1, 2, 2])).toBe(
      "linearToConv1x1: matmul of end.l in only has no weight of its own",
    );
    const beside: Layer = {
      type: "beside",
      forward: (x, ctx) =>
        ops.add(
          ctx.child("l", linear(2), ops.flatten(ctx.child("c", conv2d(1, 2), x))),
          ops.flatten(ops.sum(x, [2, 3], true)),
        ),
    };
    expect(turn(beside, [2, 3, 3])).toBe(
      "linearToConv1x1: add in only takes other features too, which would not slide with it",
    );
    const uneven = only(
      sequential({ p: adaptiveAvgPool2d(2), c: conv2d(3, 1), flat: flatten(), out: linear(2) }),
      [1, 4, 4],
    );
    const { model: fixed } = linearToConv1x1(uneven, drawn(uneven));
    expect(failure(() => traceModel({ ...fixed, input: [1, 5, 4] }))).toBe(
      "linearToConv1x1: only is another network at 1×1×5×4: slice where it had avgPool",
    );
    const { model, state } = linearToConv1x1(unpadded, drawn(unpadded));
    expect(failure(() => traceModel(model, { training: true }))).toBe(
      "linearToConv1x1: this model is for inference; train the model that it was made from",
    );
    expect(failure(() => traceModel({ ...model, input: [1, 28, 28] }))).toBe(
      "conv: kernel 5 with dilation 1 covers 5 positions, but the padded input has 4; use a smaller kernel or more padding (axis h)",
    );
    expect(failure(() => linearToConv1x1(unpadded, new Map([...state].slice(1))))).toBe(
      "unpadded: these weights belong to another network (missing c1.weight)",
    );
  });
});

describe("conv1x1ToLinear", () => {
  test("is the way back: the same state, the same answers", async () => {
    const state = drawn(unpadded);
    const there = linearToConv1x1(unpadded, state);
    const back = conv1x1ToLinear(there.model, there.state);
    expect(back.state).toEqual(state);
    const x = image([2, 1, 32, 32]);
    const [before, after] = [
      await answer(unpadded, state, x),
      await answer(back.model, back.state, x),
    ];
    expect(after.shape).toEqual(before.shape);
    expectClose(after.y, before.y, 1e-5);
    expect(opsOf(back.model).filter((op) => op === "matmul")).toHaveLength(3);
    expect(failure(() => traceModel({ ...back.model, input: [1, 36, 36] }))).toBe(
      "conv1x1ToLinear: linear layers take images of 1×32×32, input has 1×36×36",
    );
  });

  test("LeNet-5's third convolution is a linear layer too", async () => {
    const model = lenet5();
    const state = drawn(model);
    const { model: dense, state: turned } = conv1x1ToLinear(model, state);
    expect(turned.get("c5.weight")!.shape).toEqual([120, 400]);
    const x = image([1, 28, 28]);
    expectClose((await answer(dense, turned, x)).y, (await answer(model, state, x)).y, 1e-5);
  });

  test("takes what acts on each number or over the channels, and leaves what is not at the end", async () => {
    const model = only(
      sequential({
        gate: conv2d(3, 4),
        wide: convTranspose2d(2, 3),
        a: conv2d(5, 3),
        n: batchNorm2d(),
        t: tanh(),
        b: conv2d(4, 1),
        end: logSoftmax(),
      }),
      [2, 4, 4],
    );
    const state = drawn(model);
    const { model: dense, state: turned } = conv1x1ToLinear(model, state);
    expect(["gate", "a", "b"].map((name) => turned.get(`${name}.weight`)!.shape)).toEqual([
      [3, 2, 4, 4],
      [5, 18],
      [4, 5],
    ]);
    const x = image([2, 4, 4]);
    expectClose((await answer(dense, turned, x)).y, (await answer(model, state, x)).y, 1e-5);
    const none = only(sequential({ a: conv2d(2, 3), r: relu() }), [1, 6, 6]);
    expect(failure(() => conv1x1ToLinear(none, drawn(none)))).toBe(
      "conv1x1ToLinear: only does not end in convolutions that cover all of their input",
    );
  });
});

describe("foldBatchNorm", () => {
  test.each([
    { model: { ...resnet18({ classes: 20 }), input: [3, 64, 64] }, norms: 20, channels: 4800 },
    { model: { ...mobilenetV2({ classes: 20 }), input: [3, 64, 64] }, norms: 52, channels: 17056 },
    {
      model: { ...mobilenetV3Small({ classes: 20 }), input: [3, 64, 64] },
      norms: 34,
      channels: 6056,
    },
    { model: { ...shufflenetV2({ classes: 20 }), input: [3, 64, 64] }, norms: 56, channels: 8090 },
  ])(
    "$model.name answers the same with $channels parameters fewer and no buffers",
    { timeout: 60_000 },
    async ({ model, norms, channels }) => {
      const state = drawn(model);
      const folded = foldBatchNorm(model, state);
      expect(opsOf(model).filter((op) => op === "batchNorm")).toHaveLength(norms);
      expect(opsOf(folded.model)).not.toContain("batchNorm");
      expect(stored(model, "buffer")).toBe(2 * channels + norms);
      expect(stored(folded.model, "buffer")).toBe(0);
      // scale and shift go, a bias comes
      expect(stored(model, "parameter") - stored(folded.model, "parameter")).toBe(channels);
      const x = image([2, ...model.input]);
      expectClose(
        (await answer(folded.model, folded.state, x)).y,
        (await answer(model, state, x)).y,
        3e-5,
      );
      const other = { ...folded.model, input: [3, 96, 64] };
      const y = image([3, 96, 64]);
      expectClose(
        (await answer(other, folded.state, y)).y,
        (await answer({ ...model, input: other.input }, state, y)).y,
        3e-5,
      );
    },
  );

  test("keeps names, and puts each bias beside its weight", () => {
    const model = resnet18({ classes: 20 });
    const names = traceModel(foldBatchNorm(model, drawn(model)).model).entries.map((e) => e.name);
    expect(names.slice(0, 4)).toEqual([
      "conv1.weight",
      "conv1.bias",
      "layer1.0.conv1.weight",
      "layer1.0.conv1.bias",
    ]);
    expect(names).toContain("layer2.0.downsample.0.bias");
    expect(names.slice(-2)).toEqual(["fc.weight", "fc.bias"]);
    expect(names.filter((name) => name.includes("bn"))).toEqual([]);
  });

  test("takes up whatever is affine channel by channel, in transposed convolutions, grouped ones and linear layers too", () => {
    const model = only(
      sequential({
        a: conv2d(4, 3, { groups: 2 }),
        n: batchNorm2d(),
        m: batchNorm2d(),
        up: convTranspose2d(6, 2, { stride: 2, groups: 2, bias: false }),
        o: batchNorm2d(),
        r: relu(),
        flat: flatten(),
        l: linear(5),
        p: batchNorm1d(),
      }),
      [2, 5, 5],
    );
    const state = drawn(model);
    const folded = foldBatchNorm(model, state);
    expect(traceModel(folded.model).entries.map((e) => e.name)).toEqual([
      "a.weight",
      "a.bias",
      "up.weight",
      "up.bias",
      "l.weight",
      "l.bias",
    ]);
    expect(opsOf(folded.model).filter((op) => op.startsWith("batchNorm"))).toEqual([]);
    const x = image([2, 5, 5]);
    expectClose(exact(folded.model, folded.state, x), exact(model, state, x), 1e-6);
  });

  test("leaves what it cannot fold: before a convolution, behind an activation, after a layer that is used twice or whose output is", () => {
    const twice = conv2d(2, 1);
    const shared: Layer = {
      type: "shared",
      forward: (x, ctx) => ctx.child("c", twice, ctx.child("c", twice, x)),
    };
    const model = only(
      sequential({
        before: batchNorm2d(),
        a: pipe(conv2d(2, 3, { padding: 1 }), relu()),
        behind: batchNorm2d(),
        shared,
        after: batchNorm2d(),
        b: conv2d(2, 1, { bias: false }),
        branch: residual(sequential({ n: batchNorm2d() })),
      }),
      [2, 4, 4],
    );
    const state = drawn(model);
    const folded = foldBatchNorm(model, state);
    const kept = traceModel(folded.model).entries.map((e) => e.name);
    expect(kept).toEqual([...state.keys()].filter((name) => !name.endsWith("num_batches_tracked")));
    const x = image([2, 4, 4]);
    expectClose(exact(folded.model, folded.state, x), exact(model, state, x), 1e-6);
  });

  test("a model that was folded can be embedded, and not trained", () => {
    const model = only(sequential({ a: conv2d(2, 3), n: batchNorm2d() }), [1, 4, 4]);
    const folded = foldBatchNorm(model, drawn(model));
    const pair = only(
      sequential({ one: folded.model.layer, two: conv2d(1, 1), again: linear(1) }),
      [1, 4, 4],
    );
    expect(
      traceModel(pair)
        .entries.slice(0, 3)
        .map((e) => e.name),
    ).toEqual(["one.a.weight", "one.a.bias", "two.weight"]);
    expect(failure(() => traceModel(folded.model, { training: true }))).toBe(
      "foldBatchNorm: this model is for inference; train the model that it was made from",
    );
    expect(failure(() => foldBatchNorm(model, new Map()))).toBe(
      "only: these weights belong to another network (missing a.weight and 6 more)",
    );
  });
});
