// Batch normalization folded into convolutions: the new network has the same answers for any state,
// and fewer tensors.

import { describe, expect, test } from "vitest";
import { foldBatchNorm } from "../src/algebra/index.ts";
import {
  batchNorm1d,
  batchNorm2d,
  conv2d,
  convTranspose2d,
  flatten,
  linear,
  pipe,
  relu,
  residual,
  sequential,
  traceModel,
} from "../src/index.ts";
import type { Layer } from "../src/index.ts";
import { mobilenetV2, mobilenetV3Small, resnet18, shufflenetV2 } from "../src/models/index.ts";
import {
  drawn,
  image,
  answer,
  exact,
  expectClose,
  failure,
  stored,
  opsOf,
  useBackend,
} from "./rewrite.ts";
import { only } from "./tiny.ts";

useBackend();

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
