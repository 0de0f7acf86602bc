// Whole networks rewritten between linear and 1×1 convolutions: the new network has the same
// answers for any state, and the tensors that it should have.

import * as ops from "@conv/ops";
import { describe, expect, test } from "vitest";
import { conv1x1ToLinear, linearToConv1x1 } from "../src/algebra/index.ts";
import {
  adaptiveAvgPool2d,
  batchNorm1d,
  batchNorm2d,
  conv2d,
  convTranspose2d,
  flatten,
  linear,
  logSoftmax,
  relu,
  sequential,
  tanh,
  traceModel,
} from "../src/index.ts";
import type { Layer, Model } from "../src/index.ts";
import { lenet5, mobilenetV2, shufflenetV2 } from "../src/models/index.ts";
import {
  drawn,
  image,
  answer,
  exact,
  expectClose,
  failure,
  opsOf,
  unpadded,
  useBackend,
} from "./rewrite.ts";
import { only } from "./tiny.ts";

useBackend();

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
      "linearToConv1x1: only has no flatten layer, so none of its linear layers can become a convolution over maps",
    );
    const total: Layer = { type: "total", forward: (x) => ops.sum(x, 1, true) };
    expect(turn(sequential({ flat: flatten(), end: total }))).toBe(
      "linearToConv1x1: sum of end in only cannot slide",
    );
    expect(turn(sequential({ flat: flatten(), n: batchNorm1d(), out: linear(2) }))).toBe(
      "linearToConv1x1: batchNorm of n in only has different values for each position of the map, so it cannot slide",
    );
    const twice = linear(4);
    const shared: Layer = {
      type: "shared",
      forward: (x, ctx) => ctx.child("l", twice, ctx.child("l", twice, x)),
    };
    expect(turn(sequential({ flat: flatten(), end: shared }), [1, 2, 2])).toBe(
      "linearToConv1x1: matmul of end.l in only has no weight that it alone uses, so it cannot slide",
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
      "linearToConv1x1: add in only also reads features from before the flattening, so it cannot slide",
    );
    const uneven = only(
      sequential({ p: adaptiveAvgPool2d(2), c: conv2d(3, 1), flat: flatten(), out: linear(2) }),
      [1, 4, 4],
    );
    const { model: fixed } = linearToConv1x1(uneven, drawn(uneven));
    expect(failure(() => traceModel({ ...fixed, input: [1, 5, 4] }))).toBe(
      "linearToConv1x1: only has other layers for input 1×1×5×4: slice instead of avgPool; its layers must not depend on the size of the input",
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
      "conv1x1ToLinear: input has shape 1×36×36, the linear layers need 1×32×32",
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
      "conv1x1ToLinear: only has no convolution at its end whose kernel covers its whole input",
    );
  });
});
