// Every function that takes options refuses those that it does not know, by name. A new export has
// to be listed here: with a call that hands it options, or among those that take none.

import * as ops from "@conv/ops";
import { createHost, hostArray, input, spec, tensor } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import * as algebra from "../src/algebra/index.ts";
import * as layers from "../src/index.ts";
import * as models from "../src/models/index.ts";
import * as files from "../src/node.ts";
import * as optim from "../src/training/optim.ts";
import { failure, only } from "./tiny.ts";

const odd: object = { nonsense: 1 };
const host = createHost();
const x = tensor(host, new Float32Array(64), [1, 1, 8, 8]);
const traced = input(spec([1, 1, 8, 8]));
const w = tensor(host, new Float32Array(9), [1, 1, 3, 3]);
const rows = tensor(host, [0, 0, 0, 0], [2, 2]);
const labels = tensor(host, [0, 1], [2], "int32");
const rowsOf = tensor(host, [0, 0], [1, 1, 2]);
const index = tensor(host, [0, 1], [1, 2], "int32");
const model = only(layers.linear(2), [2]);
const state = layers.initialize(model);
const data = layers.arrayDataset({ x: new Float32Array(4), y: [0, 1], sample: [2] });
const sgd = layers.sgd({ lr: 1 });
const trainer = () => layers.createTrainer({ backend: host, model, optimizer: sgd });
const kernel: algebra.Convolution = { weight: hostArray(spec([1, 1, 3, 3])), bias: undefined };

const { relu } = layers;
const all = { ...layers };
/** Layers by the rank at the end of their name. */
const ranks = (names: string, call: (rank: "1d" | "2d" | "3d", name: string) => unknown) =>
  Object.fromEntries(
    names
      .split(" ")
      .flatMap((name) =>
        (["1d", "2d", "3d"] as const).map((rank) => [name + rank, () => call(rank, name)]),
      ),
  );

const withOptions: Readonly<Record<string, Readonly<Record<string, () => unknown>>>> = {
  layers: {
    gelu: () => layers.gelu(odd),
    prelu: () => layers.prelu(odd),
    linear: () => layers.linear(2, odd),
    convNorm2d: () => layers.convNorm2d(2, 3, odd),
    invertedResidual: () => layers.invertedResidual(2, { expanded: 2, ...odd }),
    linearBottleneck: () => layers.linearBottleneck(2, { expanded: 2, ...odd }),
    subsample2d: () => layers.subsample2d(2, odd),
    tableConv2d: () => layers.tableConv2d([[0]], 3, odd),
    mlpconv: () => layers.mlpconv([2, 2], 3, odd),
    residualBasic: () => layers.residualBasic(2, odd),
    residualBottleneck: () => layers.residualBottleneck(4, odd),
    squeezeExcitation: () => layers.squeezeExcitation(2, odd),
    unetConvs: () => layers.unetConvs(2, odd),
    unetDown: () => layers.unetDown(2, odd),
    unetUp: () => layers.unetUp(2, relu(), odd),
    ...ranks("conv convTranspose separableConv", (rank, name) =>
      all[`${name as "conv"}${rank}`](2, 3, odd),
    ),
    ...ranks("depthwiseConv", (rank) => all[`depthwiseConv${rank}`](3, odd)),
    ...ranks("pointwiseConv", (rank) => all[`pointwiseConv${rank}`](2, odd)),
    ...ranks("maxUnpool", (rank) => all[`maxUnpool${rank}`](2, relu(), odd)),
    ...ranks("pad", (rank) => all[`pad${rank}`](1, "zeros", odd)),
    ...ranks("instanceNorm batchNorm", (rank, name) => all[`${name as "batchNorm"}${rank}`](odd)),
    ...ranks("maxPool avgPool", (rank, name) => all[`${name as "maxPool"}${rank}`](2, odd)),
    ...ranks("adaptiveAvgPool adaptiveMaxPool", (rank, name) =>
      all[`${name as "adaptiveAvgPool"}${rank}`](2, odd),
    ),
    ...ranks("lpPool", (rank) => all[`lpPool${rank}`](2, 2, odd)),
    deformConv2d: () => layers.deformConv2d(2, 3, odd),
    pixelShuffle: () => layers.pixelShuffle(2, odd),
    pixelUnshuffle: () => layers.pixelUnshuffle(2, odd),
    upsample: () => layers.upsample({ scaleFactor: 2, ...odd }),
    groupNorm: () => layers.groupNorm(1, odd),
    layerNorm: () => layers.layerNorm(undefined, odd),
    localResponseNorm: () => layers.localResponseNorm(5, odd),
    globalAvgPool: () => layers.globalAvgPool(odd),
    globalMaxPool: () => layers.globalMaxPool(odd),
    kaimingNormal: () => layers.kaimingNormal(odd),
    kaimingUniform: () => layers.kaimingUniform(odd),
    xavierNormal: () => layers.xavierNormal(odd),
    xavierUniform: () => layers.xavierUniform(odd),
    crop: () => layers.crop({ padding: 1, ...odd }),
    cutOut: () => layers.cutOut({ size: 1, ...odd }),
    flip: () => layers.flip(odd),
    rotate: () => layers.rotate({ degrees: 1, ...odd }),
    shift: () => layers.shift({ by: 1, ...odd }),
    warp: () => layers.warp(odd),
    arrayDataset: () =>
      layers.arrayDataset({ x: new Float32Array(2), y: [0], sample: [2], ...odd }),
    keepCheckpoints: () =>
      layers.keepCheckpoints(trainer(), trainer().fit(data, { epochs: 1 }), odd).next(),
    maxNorm: () => layers.maxNorm(2, odd),
    minMaxNorm: () => layers.minMaxNorm(odd),
    unitNorm: () => layers.unitNorm(odd),
    l1l2: () => layers.l1l2(odd),
    traceModel: () => layers.traceModel(model, odd),
    ...Object.fromEntries(
      Object.entries(optim).flatMap(([name, make]) =>
        typeof make === "function" ? [[name, () => make({ lr: 1, ...odd })]] : [],
      ),
    ),
    cosine: () => layers.cosine({ lr: 1, steps: 2, ...odd }),
    multiStep: () => layers.multiStep({ lr: 1, at: [1], ...odd }),
    oneCycle: () => layers.oneCycle({ lr: 1, steps: 2, ...odd }),
    stepDecay: () => layers.stepDecay({ lr: 1, every: 1, ...odd }),
    createPredictor: () => layers.createPredictor(host, model, state, odd),
    traceGradients: () => layers.traceGradients(model, 2, odd),
    traceStep: () => layers.traceStep(model, sgd, 2, odd),
    traceUpdate: () => layers.traceUpdate(model, sgd, odd),
    createTrainer: () => layers.createTrainer({ backend: host, model, optimizer: sgd, ...odd }),
  },
  models: Object.fromEntries(
    Object.entries({ ...models.models, lenet5: models.lenet5 }).map(([name, make]) => [
      name,
      () => (make as (options: object) => unknown)(odd),
    ]),
  ),
  algebra: {
    convolutionOf: () => algebra.convolutionOf(state, "", odd),
    separate: () => algebra.separate(kernel, { kind: "spatial", rank: 1, input: [8, 8], ...odd }),
  },
  files: {
    loadFile: () => files.loadFile("none", odd),
    loadSafetensors: () => files.loadSafetensors("none", odd),
  },
  ops: {
    deformConv2d: () => ops.deformConv2d(traced, traced, traced, undefined, odd),
    explainPadding: () => ops.explainPadding({ input: 8, kernel: 3, ...odd }),
    binaryCrossEntropyWithLogits: () => ops.binaryCrossEntropyWithLogits(x, x, odd),
    crossEntropy: () => ops.crossEntropy(rows, labels, odd),
    dice: () => ops.dice(x, x, odd),
    hinge: () => ops.hinge(rows, labels, odd),
    huber: () => ops.huber(x, x, odd),
    matmul: () => ops.matmul(rows, rows, odd),
    gather: () => ops.gather(rowsOf, index, odd),
    scatterAdd: () => ops.scatterAdd(rowsOf, index, { size: [2], ...odd }),
    upsample: () => ops.upsample(x, { scaleFactor: 2, ...odd }),
    conv: () => ops.conv(x, w, odd),
    convTranspose: () => ops.convTranspose(x, w, odd),
    avgPool: () => ops.avgPool(x, 2, odd),
    lpPool: () => ops.lpPool(x, 2, 2, odd),
    maxPool: () => ops.maxPool(x, 2, odd),
    maxPoolIndices: () => ops.maxPoolIndices(x, 2, odd),
  },
};

/**
 * Functions that take no options: what they take beside numbers, lists and names is checked as what
 * it is.
 */
const without: Readonly<Record<string, string>> = {
  layers:
    "elu hardSigmoid hardSwish leakyRelu logSoftmax mish relu relu6 scaledTanh selu sigmoid silu softmax softplus tanh " +
    "channelDropout dropout flatten pipe sequential stochasticDepth branches parallel residual " +
    "atrousPyramid channelShuffle denseBlock denseTransition fire inceptionA inceptionB inceptionC inceptionD inceptionE inceptionV1 rbf shuffleUnit " +
    "constant fanOf lecun1998 normal ones pytorch uniform values zeros augmentAll augmented decodeIdx readIdxHeader subset averagedState " +
    "decodeCheckpoint nonNeg channelsLast freeze l1 l2 createBest confusion meanAbsoluteError topK inTurn warmUp createRandom shuffled " +
    "decodeSafetensors encodeSafetensors average initialize matchState mustBeFinite",
  models: "maximumAPosteriori",
  algebra:
    "compose convolve effortOf layersOf foldBatchNorm convolveFull flip times toMatrix transposed conv1x1ToLinear linearToConv1x1 svd",
  files: "saveFile checkSave",
  // The geometries are made of the options of layers and commands, which hold other options, too.
  ops:
    "convGeometry convTransposeGeometry poolGeometry " +
    "abs add affine broadcastShape cos div elementwiseOp elu erf exp expm1 floor gelu hardSigmoid hardSwish isElementwise leakyRelu log log1p map maximum " +
    "minimum mish mul neg pow prelu relu relu6 round scaledTanh selu sigmoid silu sin softplus sqrt square sub tanh formatPadding countFns differentiate evaluator " +
    "formatExpr substitute variable variables grad absoluteError binaryCrossEntropy lossTerms squaredError linear matmulGeometry max mean flip " +
    "resample select padWith broadcastStrides broadcastTo sum sumTo logSoftmax softmax pixelShuffle pixelUnshuffle walk full constantOf random " +
    "oneHot cast equal greater greaterEqual less lessEqual notEqual where windowsOf mustBePrecision mustDivide precisionOf outputSizes boundedStride eachTerm xShape wShape yShape perAxis resolvePadding axisName spanOf paddingPerAxis keepsSize " +
    "reshape flatten concat transpose pad slice eachWindow maxUnpool argMax",
};

const exported: Readonly<Record<string, object>> = { layers, models, algebra, files, ops };

describe.each(Object.keys(exported))("%s", (name) => {
  test("lists every function", () => {
    const functions = Object.entries(exported[name]).flatMap(([key, value]) =>
      typeof value === "function" && !/^[A-Z]/.test(key) ? [key] : [],
    );
    expect([...Object.keys(withOptions[name]), ...without[name].split(" ")].toSorted()).toEqual(
      functions.toSorted(),
    );
  });
  test("refuses options that there are not, by name", async () => {
    for (const [key, call] of Object.entries(withOptions[name])) {
      const said = await (async () => call())().then(
        () => "nothing",
        (error: unknown) => error,
      );
      expect(said, key).toBeInstanceOf(RangeError);
      expect(`${said}`, key).toMatch(/^RangeError: \w+: there is no option "nonsense"; /);
    }
  });
});

test("the nearest name is proposed", () => {
  expect(() => models.lenet5({ clases: 5 } as object)).toThrow(
    failure("RangeError", 'lenet5: there is no option "clases"; did you mean classes?'),
  );
  expect(() => layers.residualBottleneck(64, { dilatoin: 2 } as object)).toThrow(
    failure(
      "RangeError",
      'residualBottleneck: there is no option "dilatoin"; did you mean dilation?',
    ),
  );
  expect(() => layers.convNorm2d(8, 3, { strides: 2 } as object)).toThrow(
    failure("RangeError", 'convNorm2d: there is no option "strides"; did you mean stride?'),
  );
});

test("networks have as many classes as are asked for, and refuse other numbers", () => {
  const { classes, layer } = models.lenet5({ classes: 5 });
  expect([
    classes,
    layers.traceModel({ ...models.lenet5({ classes: 5 }), layer }).output.shape,
  ]).toEqual([5, [1, 5]]);
  for (const wrong of [0, -1, 1.5, NaN])
    expect(() => models.resnet18({ classes: wrong })).toThrow(
      failure("RangeError", `resnet18: classes ${wrong} is not a whole number ≥ 1`),
    );
});
