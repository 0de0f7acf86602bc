import { describe, expect, test } from "vitest";
import {
  conv2d,
  dropout,
  flatten,
  initialize,
  linear,
  matchState,
  pipe,
  relu,
  sequential,
  traceModel,
} from "../src/index.ts";
import type { Layer } from "../src/index.ts";
import { failure, only, plain, tinyModel } from "./tiny.ts";

const names = (layer: Layer, input = [1, 4, 4]) =>
  traceModel(only(layer, input)).entries.map((e) => e.name);

describe("names", () => {
  test("sequential numbers its parts, or takes names from pairs or an object", () => {
    const conv = () => conv2d(2, 3);
    expect(names(conv2d(1, 1))).toEqual(["weight", "bias"]);
    expect(names(sequential([conv(), relu(), sequential([conv()])]), [1, 5, 5])).toEqual([
      "0.weight",
      "0.bias",
      "2.0.weight",
      "2.0.bias",
    ]);
    expect(
      names(
        sequential([
          ["b", conv()],
          ["7", relu()],
          ["a", conv2d(1, 1, { bias: false })],
        ]),
      ),
    ).toEqual(["b.weight", "b.bias", "a.weight"]);
    expect(
      names(sequential({ features: sequential([conv()]), flat: flatten(), head: linear(3) })),
    ).toEqual(["features.0.weight", "features.0.bias", "head.weight", "head.bias"]);
  });

  test("nodes bear the path of their layer", () => {
    const { graph } = traceModel(tinyModel());
    expect(new Set(graph.nodes.map((n) => n.path))).toEqual(new Set(["c1", "s2", "flat", "out"]));
  });

  test("inputs are x, then the entries, then one seed for each dropout of a training step", () => {
    const model = only(sequential([dropout(0.5), linear(3), dropout(0.2)]), [4]);
    const trained = traceModel(model, { batch: 5, training: true });
    expect(trained.graph.inputs.map((v) => v.name)).toEqual([
      "x",
      "1.weight",
      "1.bias",
      "seed0",
      "seed1",
    ]);
    expect(trained.x.shape).toEqual([5, 4]);
    expect(trained.output.shape).toEqual([5, 3]);
    expect(traceModel(model).seeds).toEqual([]);
    expect(trained.values.map((v) => v.name)).toEqual(trained.entries.map((e) => e.name));
  });

  test("one layer under one name twice has its parameters once", () => {
    const shared = conv2d(1, 3, { padding: 1 });
    const twice: Layer = {
      type: "twice",
      forward: (x, ctx) => ctx.child("c", shared, ctx.child("c", shared, x)),
    };
    expect(names(twice)).toEqual(["c.weight", "c.bias"]);
    const grown: Layer = {
      type: "grown",
      forward: (x, ctx) => ctx.child("c", wide, ctx.child("c", wide, x)),
    };
    const wide = conv2d(2, 1, { bias: false });
    expect(() => names(grown)).toThrow(
      'c: name: "c.weight" has shape 2×1×1×1 in its first use and 2×2×1×1 in another; a layer that is used twice needs inputs of equal channels',
    );
  });

  test("a name says one thing", () => {
    expect(() => names(pipe(conv2d(1, 1), conv2d(1, 1)))).toThrow(
      'name: "weight" is used twice; give each part its own name with ctx.child',
    );
    expect(() => names(sequential({ a: pipe(linear(2), linear(2)) }))).toThrow(
      'a: name: "weight" is used twice; give each part its own name with ctx.child',
    );
    expect(() =>
      names(
        sequential([
          ["a", relu()],
          ["a", flatten()],
        ]),
      ),
    ).toThrow('name: "a" is used for two layers, relu and flatten; give each its own name');
    expect(() => names(sequential([["a.b", relu()]]))).toThrow(
      'name: "a.b" must have at least one character and no dot, slash or space',
    );
    expect(() => names(sequential({ a: sequential([["", relu()]]) }))).toThrow(
      'a: name: "" must have at least one character and no dot, slash or space',
    );
  });
});

describe("errors name layer, rule and numbers", () => {
  const failing: [string, Layer, number[], string][] = [
    [
      "rank",
      conv2d(1, 3),
      [4, 4],
      "conv2d: input has 3 axes, needs 4 (batch, channels and 2 spatial)",
    ],
    [
      "channels",
      conv2d(1, 3, { inChannels: 3 }),
      [1, 4, 4],
      "conv2d: inChannels is 3, input has 1",
    ],
    [
      "groups in",
      conv2d(2, 3, { groups: 2 }),
      [3, 4, 4],
      "conv2d: 3 input channels do not divide into 2 groups; use groups that divide 3",
    ],
    [
      "groups out",
      conv2d(3, 3, { groups: 2 }),
      [2, 4, 4],
      "conv2d: 3 output channels do not divide into 2 groups; use groups that divide 3",
    ],
    ["features", linear(2, { inFeatures: 5 }), [4], "linear: inFeatures is 5, input has 4"],
    [
      "no features",
      linear(2),
      [],
      "linear: input has 1 axes, needs at least 2 (batch and features)",
    ],
    [
      "path",
      sequential({ net: sequential([relu(), conv2d(1, 7)]) }),
      [1, 4, 4],
      "net.1: conv: kernel 7 with dilation 1 covers 7 positions, but the padded input has 4; use a smaller kernel or more padding (axis h)",
    ],
  ];
  test.each(failing)("%s", (_, layer, input, message) =>
    expect(() => traceModel(only(layer, input))).toThrow(failure("ShapeError", message)),
  );

  test("options are checked at once", () => {
    expect(() => dropout(1)).toThrow("dropout: probability 1 is not in [0, 1)");
    expect(() => dropout(NaN)).toThrow("dropout: probability NaN is not in [0, 1)");
  });
});

describe("state", () => {
  const model = tinyModel();
  const { entries } = traceModel(model);

  test("is a function of seed and name alone", () => {
    expect(plain(initialize(model, 3))).toEqual(plain(initialize(model, 3)));
    expect(plain(initialize(model, 4))).not.toEqual(plain(initialize(model, 3)));
    const first = initialize(only(sequential({ a: linear(3), b: linear(3) }), [3]));
    const second = initialize(
      only(sequential({ b: linear(3), new: linear(3), a: linear(3) }), [3]),
    );
    for (const name of ["a.weight", "a.bias", "b.weight", "b.bias"])
      expect(second.get(name)).toEqual(first.get(name));
    expect(first.get("a.weight")!.data).not.toEqual(first.get("b.weight")!.data);
  });

  test("that does not fit is named", () => {
    const state = initialize(model);
    expect(matchState("tiny", entries, state)[0]).toBe(state.get("c1.weight")!.data);
    const { shape, data } = state.get("c1.weight")!;
    const renamed = new Map(state).set("conv1.weight", { shape, data });
    renamed.delete("c1.weight");
    renamed.delete("out.bias");
    expect(() => matchState("tiny", entries, renamed)).toThrow(
      "tiny: these weights belong to another network (missing c1.weight and 1 more; unexpected conv1.weight)",
    );
    expect(() =>
      matchState(
        "many",
        entries,
        new Map([...Array(9).keys()].map((i) => [`t${i}`, { shape, data }])),
      ),
    ).toThrow(
      "many: these weights belong to another network (missing c1.weight and 3 more; unexpected t0 and 8 more)",
    );
    expect(() => matchState("tiny", entries, new Map(state).set("z", { shape, data }))).toThrow(
      "tiny: these weights belong to another network (unexpected z)",
    );
    expect(() =>
      matchState("tiny", entries, new Map(state).set("c1.weight", { shape: [27], data })),
    ).toThrow("tiny: c1.weight has shape 27 in the state, 3×1×3×3 in the model");
  });

  test("passes over an optimizer's tensors", () => {
    const state = initialize(model).set("optimizer/momentum/c1.weight", {
      shape: [1],
      data: new Float32Array(1),
    });
    expect(matchState("tiny", entries, state)).toHaveLength(entries.length);
  });
});
