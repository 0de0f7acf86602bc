// Options that users pass are checked; the error names the remedy.

import { crossEntropy } from "@conv/ops";
import { createHost, type Value } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as layers from "../src/index.ts";
import { adam, arrayDataset, createTrainer, linear, sgd } from "../src/index.ts";
import type { FitOptions } from "../src/index.ts";
import { good, make, model, untyped } from "./given.ts";
import { all } from "./tiny.ts";

describe("options", () => {
  test.each([
    [() => make({ clip: { norm: -1 } }), "train: clip.norm -1 is not a finite number > 0"],
    [() => make({ clip: { value: -1 } }), "train: clip.value -1 is not a finite number > 0"],
    [() => make({ clip: { norm: NaN } }), "train: clip.norm NaN is not a finite number > 0"],
    [() => make({ accumulate: 1.5 }), "train: accumulate 1.5 is not a whole number ≥ 1"],
    [() => make({ average: NaN }), "train: average NaN is not in [0, 1)"],
    [() => make({ seed: NaN }), "train: seed NaN is not a whole number"],
    [
      () => make(untyped({ epochs: 3 })),
      'train: there is no option "epochs"; there are backend, model, optimizer',
    ],
    [
      () => make({ rules: [untyped({ match: "weight", lr: 3 })] }),
      'rules: there is no option "lr"; there are match, rate, weightDecay, frozen',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ strides: 2 })),
      'conv2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.maxPool2d(2, untyped({ strides: 2 })),
      'maxPool2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ kernelInitialiser: layers.zeros })),
      'conv2d: there is no option "kernelInitialiser"; did you mean weightInit?',
    ],
    [
      () => layers.conv2d(4, 3, untyped({ outputPadding: 1 })),
      'conv2d: there is no option "outputPadding"',
    ],
    [
      () => layers.convTranspose2d(4, 3, untyped({ paddingMode: "zeros" })),
      'convTranspose2d: there is no option "paddingMode"',
    ],
    [
      () => layers.linear(10, untyped({ dilation: 2 })),
      'linear: there is no option "dilation"; there are inFeatures, bias',
    ],
    [
      () => layers.linear(10, untyped({ layout: "channels-last" })),
      'linear: there is no option "layout"',
    ],
    [
      () => layers.batchNorm2d(untyped({ epsilon: 1 })),
      'batchNorm2d: there is no option "epsilon"; did you mean eps?',
    ],
    [
      () => layers.layerNorm(3, untyped({ momentum: 1 })),
      'layerNorm: there is no option "momentum"',
    ],
    [
      () => layers.groupNorm(1, untyped({ track_running_stats: true })),
      'groupNorm: there is no option "track_running_stats"',
    ],
    [
      () => layers.batchNorm1d(untyped({ track_running_stat: true })),
      'batchNorm1d: there is no option "track_running_stat"; did you mean trackRunningStats?',
    ],
    [
      () => layers.avgPool2d(2, untyped({ ceil_mode: true })),
      'avgPool2d: there is no option "ceil_mode"; did you mean ceilMode?',
    ],
    [
      () => layers.maxPool2d(2, untyped({ countIncludePad: true })),
      'maxPool2d: there is no option "countIncludePad"',
    ],
    [
      () => layers.globalAvgPool(untyped({ keepdim: true })),
      'globalAvgPool: there is no option "keepdim"; did you mean keepDims?',
    ],
    [
      () => layers.globalAvgPool(untyped(2)),
      "globalAvgPool: options are 2, must be an object: { layout: … }",
    ],
    [
      () => layers.upsample(untyped({ size: 2, modes: "linear" })),
      'upsample: there is no option "modes"; did you mean mode?',
    ],
    [
      () => layers.depthwiseConv2d(3, untyped({ groups: 2 })),
      'depthwiseConv2d: there is no option "groups"',
    ],
    [
      () => layers.separableConv2d(4, 3, untyped({ strides: 2 })),
      'separableConv2d: there is no option "strides"; did you mean stride?',
    ],
    [
      () => layers.pointwiseConv2d(4, untyped({ padding: 2 })),
      'pointwiseConv2d: there is no option "padding"',
    ],
    [
      () => layers.prelu(untyped({ init: 0.1, channels: true })),
      'prelu: there is no option "channels"',
    ],
    [
      () => layers.localResponseNorm(5, untyped({ gamma: 1 })),
      'localResponseNorm: there is no option "gamma"',
    ],
    [
      () => layers.kaimingNormal(untyped({ modes: "out" })),
      'kaimingNormal: there is no option "modes"; did you mean mode?',
    ],
    [
      () => layers.maxNorm(2, untyped({ axis: 0 })),
      'maxNorm: there is no option "axis"; did you mean axes?',
    ],
    [
      () => layers.cosine(untyped({ lr: 1, step: 3 })),
      'cosine: there is no option "step"; did you mean steps?',
    ],
    [
      () => layers.shift(untyped({ by: 1, filled: 3 })),
      'shift: there is no option "filled"; did you mean fill?',
    ],
    [() => layers.flip(untyped({ axis: 1 })), 'flip: axis 1 is neither "width" nor "height"'],
    [
      () => layers.rotate(untyped({ degree: 3 })),
      'rotate: there is no option "degree"; did you mean degrees?',
    ],
    [
      () => layers.createPredictor(createHost(), model, new Map(), untyped({ batchSize: 3 })),
      'predict: there is no option "batchSize"; did you mean batch?',
    ],
    [
      () => make(untyped({ optimiser: 3 })),
      'train: there is no option "optimiser"; did you mean optimizer?',
    ],
    [
      () => make({ optimizer: untyped(undefined) }),
      "train: optimizer is undefined, must be an object",
    ],
    [() => make({ model: untyped("lenet5") }), "train: model is string, must be an object"],
    [
      () => make({ backend: untyped(Promise.resolve()) }),
      "train: backend is Promise, must be an object; await the promise",
    ],
    [() => make({ clip: { norm: untyped("1") } }), "train: clip.norm 1 is not a finite number > 0"],
    [() => make({ average: untyped("0.5") }), "train: average 0.5 is not in [0, 1)"],
    [() => layers.conv2d(-3, 3), "conv2d: outChannels -3 is not a whole number ≥ 1"],
    [
      () => layers.convTranspose1d(1.5, 3),
      "convTranspose1d: outChannels 1.5 is not a whole number ≥ 1",
    ],
    [() => layers.deformConv2d(0, 3), "deformConv2d: outChannels 0 is not a whole number ≥ 1"],
    [() => linear(NaN), "linear: outFeatures NaN is not a whole number ≥ 1"],
    [() => linear(untyped("10")), "linear: outFeatures 10 is not a whole number ≥ 1"],
    [
      () => createTrainer(untyped({ accumulates: 3 })),
      'train: there is no option "accumulates"; did you mean accumulate?',
    ],
    [
      () => layers.conv2d(4, 3, untyped(2)),
      "conv2d: options are 2, must be an object: { stride: … }",
    ],
    [() => adam(untyped(0.01)), "adam: options are 0.01, must be an object: { lr: … }"],
    [() => sgd(untyped(0.01)), "sgd: options are 0.01, must be an object: { lr: … }"],
    [
      () => adam(untyped({ learningRate: 1 })),
      'adam: there is no option "learningRate"; there are lr, betas, eps, weightDecay',
    ],
    [
      () => arrayDataset(untyped({ x: [], y: [], sample: [1], labels: [] })),
      'arrayDataset: there is no option "labels"',
    ],
    [
      () =>
        crossEntropy(untyped<Value>(null), untyped<Value>(null), untyped({ label_smoothing: 1 })),
      'crossEntropy: there is no option "label_smoothing"',
    ],
  ])("%#", (run, message) => {
    expect(run).toThrow(RangeError);
    expect(run).toThrow(message);
  });

  test("numbers that are text", () => {
    expect(() => sgd({ lr: untyped("0.1") })).toThrow(
      "sgd: learning rate 0.1 is not a finite number ≥ 0",
    );
    expect(() => sgd({ lr: 1, momentum: untyped("0.1") })).toThrow(
      "sgd: momentum 0.1 is not in [0, 1)",
    );
    expect(() => layers.dropout(untyped("0.1"))).toThrow(
      "dropout: probability 0.1 is not in [0, 1)",
    );
  });

  const fits: [Partial<FitOptions>, string][] = [
    ...[NaN, 0, -1, 1.5].map((epochs): [Partial<FitOptions>, string] => [
      { epochs },
      `train: epochs ${epochs} is not a whole number ≥ 1`,
    ]),
    [{ patience: 0, validation: good }, "train: patience 0 is not a whole number ≥ 1"],
    [untyped({ epoch: 1 }), 'fit: there is no option "epoch"; did you mean epochs?'],
  ];
  test.each(fits)("of fit: %o", async (options, message) => {
    const t = make();
    const error: unknown = await t.fit(good, { epochs: 1, ...options }).then(
      () => null,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(RangeError);
    expect(String(error)).toContain(message);
    expect(t.position).toEqual({ epoch: 0, step: 0 });
  });

  test("fit trains where it is awaited, once, and says so where there is nothing to do", async () => {
    const t = make();
    const run = t.fit(good, { epochs: 2 });
    expect(await run).toMatchObject({ epoch: 2 });
    expect(await run).toMatchObject({ epoch: 2 });
    expect(t.position).toEqual({ epoch: 2, step: 0 });
    await expect(t.fit(good, { epochs: 2 })).rejects.toThrow(
      "train: no epochs are left: 2 are complete, and the option epochs (2) is the total including those; epochs: 4 trains 2 more",
    );
    expect(await t.fit(good, { epochs: 2, resume: await t.checkpoint() })).toBeUndefined();
    expect(await all(t.fit(good, { epochs: 3 }))).toHaveLength(1);
  });
});
