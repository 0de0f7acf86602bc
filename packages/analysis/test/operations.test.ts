// Operations by every convention, against those that others published or whose programs print them.

import * as layers from "@conv/layers";
import {
  conv2d,
  freeze,
  linear,
  sequential,
  sgd,
  traceModel,
  traceStep,
  zeros,
  type Layer,
  type Model,
} from "@conv/layers";
import { models } from "@conv/layers/models";
import {
  conv,
  convTranspose,
  grad,
  linear as product,
  map,
  mean,
  square,
  sub,
  sum,
  type Expr,
} from "@conv/ops";
import { graphOf, input, spec, type Value } from "@conv/tensor";
import { describe, expect, it } from "vitest";
import { conventionNames, conventions, operationConventions, summarize } from "../src/index.ts";

const of = (model: Model, batch?: number) => summarize(traceModel(model, { batch }));

/**
 * Parameters, buffers, and multiply-accumulates of convolutions and matrix products, with biases,
 * and of convolutions alone: torchvision's own models.
 */
const torchvision: Record<
  string,
  readonly [parameters: number, buffers: number, macs: number, withBias: number, convOnly: number]
> = {
  alexnet: [61_100_840, 0, 714_188_480, 714_682_664, 655_566_528],
  vgg11: [132_863_336, 0, 7_609_090_048, 7_616_525_288, 7_485_456_384],
  vgg11_bn: [132_868_840, 5512, 7_609_090_048, 7_616_525_288, 7_485_456_384],
  vgg13: [133_047_848, 0, 11_308_466_176, 11_320_718_312, 11_184_832_512],
  vgg13_bn: [133_053_736, 5898, 11_308_466_176, 11_320_718_312, 11_184_832_512],
  vgg16: [138_357_544, 0, 15_470_264_320, 15_483_821_032, 15_346_630_656],
  vgg16_bn: [138_365_992, 8461, 15_470_264_320, 15_483_821_032, 15_346_630_656],
  vgg19: [143_667_240, 0, 19_632_062_464, 19_646_923_752, 19_508_428_800],
  vgg19_bn: [143_678_248, 11_024, 19_632_062_464, 19_646_923_752, 19_508_428_800],
  resnet18: [11_689_512, 9620, 1_814_073_344, 1_814_074_344, 1_813_561_344],
  resnet34: [21_797_672, 17_060, 3_663_761_408, 3_663_762_408, 3_663_249_408],
  resnet50: [25_557_032, 53_173, 4_089_184_256, 4_089_185_256, 4_087_136_256],
  resnet101: [44_549_160, 105_448, 7_801_405_440, 7_801_406_440, 7_799_357_440],
  resnet152: [60_192_808, 151_579, 11_513_626_624, 11_513_627_624, 11_511_578_624],
  resnext50_32x4d: [25_028_904, 68_277, 4_230_479_872, 4_230_480_872, 4_228_431_872],
  wideResnet50_2: [68_883_240, 68_277, 11_398_021_120, 11_398_022_120, 11_395_973_120],
  googlenet: [6_624_904, 14_617, 1_498_376_192, 1_498_377_192, 1_497_352_192],
  inceptionV3: [27_161_264, 36_320, 5_713_216_096, 5_713_217_096, 5_711_168_096],
  squeezenet1_0: [1_248_424, 0, 818_924_576, 823_270_824, 818_924_576],
  squeezenet1_1: [1_235_496, 0, 349_151_936, 351_741_288, 349_151_936],
  mobilenetV2: [3_504_872, 34_164, 300_774_272, 300_775_272, 299_494_272],
  mobilenetV3Large: [5_483_032, 24_446, 216_589_760, 216_597_120, 214_080_960],
  mobilenetV3Small: [2_542_856, 12_146, 56_510_400, 56_515_312, 54_896_576],
  shufflenetV2: [2_278_604, 16_236, 144_907_992, 144_908_992, 143_883_992],
  densenet121: [7_978_856, 83_769, 2_834_161_664, 2_834_162_664, 2_833_137_664],
};

it.each(Object.entries(torchvision))(
  "%s counts as torchvision's does",
  (name, [parameters, buffers, macs, withBias, convOnly]) => {
    const { totals } = of(models[name]());
    expect(totals).toMatchObject({
      parameters,
      buffers,
      macs,
      operations: {
        torchvision: macs,
        "with-bias": withBias,
        "conv-only": convOnly,
        flops2: 2 * macs,
      },
    });
  },
);

it("counts ResNet-50 in six ways", () => {
  const { totals } = of(models.resnet50());
  expect(totals.operations).toEqual({
    torchvision: 4_089_184_256,
    "conv-only": 4_087_136_256,
    "with-bias": 4_089_185_256,
    torchinfo: 4_089_238_376,
    // products and biases, 2 for each of 11,113,984 normalized, 1 for each of 9,608,704 rectified
    // and of 903,168 pooled
    ptflops: 4_089_185_256 + 2 * 11_113_984 + 9_608_704 + 903_168,
    flops2: 8_178_368_512,
  });
  expect(Object.keys(operationConventions)).toEqual([...conventionNames]);
  expect(conventions.operations).toBe(operationConventions);
});

/**
 * What ptflops 0.7.5 counts of torchvision's networks (0.14.1; its pytorch backend with
 * count_functional False: modules alone), and what their functions add (`F.relu`, `F.avg_pool2d`
 * and the like, `mean`); less the pools of AlexNet and VGG, which change nothing at this size of
 * image.
 */
const ptflops: Record<string, readonly [modules: number, functions?: number]> = {
  alexnet: [715_561_896, -9216],
  vgg11: [7_630_106_088, -25_088],
  vgg11_bn: [7_644_958_184, -25_088],
  vgg13: [11_339_116_008, -25_088],
  vgg13_bn: [11_363_601_896, -25_088],
  vgg16: [15_503_523_304, -25_088],
  vgg16_bn: [15_530_618_344, -25_088],
  vgg19: [19_667_930_600, -25_088],
  vgg19_bn: [19_697_634_792, -25_088],
  resnet18: [1_822_177_768],
  resnet34: [3_675_629_032],
  resnet50: [4_121_925_096],
  resnet101: [7_849_500_136],
  resnet152: [11_580_687_848],
  resnext50_32x4d: [4_273_080_296],
  wideResnet50_2: [11_440_621_544],
  googlenet: [1_507_755_400, 3_226_160],
  inceptionV3: [5_733_633_992, 8_967_488 + 2_002_400 + 574_752],
  squeezenet1_0: [830_046_392],
  squeezenet1_1: [355_862_008],
  mobilenetV2: [320_237_288, 62_720],
  mobilenetV3Large: [228_356_576],
  mobilenetV3Small: [60_125_440],
  shufflenetV2: [150_598_480, 50_176],
  densenet121: [2_882_620_136, 50_176 + 50_176],
  efficientnetB0: [401_669_732],
};

it.each(Object.entries(ptflops))("%s counts as ptflops does", (name, [modules, functions = 0]) => {
  expect(of(models[name]()).totals.operations.ptflops).toBe(modules + functions);
});

it.each<[string, Layer, number]>([
  ["batchNorm2d", layers.batchNorm2d(), 2304],
  ["batchNorm2d, without parameters", layers.batchNorm2d({ affine: false }), 1152],
  ["groupNorm", layers.groupNorm(4), 2304],
  ["layerNorm", layers.layerNorm([8, 12, 12]), 1152],
  ["instanceNorm2d", layers.instanceNorm2d(), 1152],
  ["instanceNorm2d, with parameters", layers.instanceNorm2d({ affine: true }), 2304],
  ["convTranspose2d", layers.convTranspose2d(4, 3, { stride: 2 }), 43_972],
  ["prelu", layers.prelu({ perChannel: true }), 1152],
  ["gelu", layers.gelu(), 1152],
  ["silu", layers.silu(), 0],
  ["hardSwish", layers.hardSwish(), 0],
  ["adaptiveMaxPool2d", layers.adaptiveMaxPool2d(4), 1152],
])("%s counts as ptflops does", (_, layer, count) => {
  expect(of({ name: "one", layer, input: [8, 12, 12] }).totals.operations.ptflops).toBe(count);
});

/** MB (of 1,000,000 bytes) of "Forward/backward pass size" and "Params size". */
const torchinfo: Record<string, readonly [passes: number, parameters: number]> = {
  resnet152: [360.87, 240.77],
  resnet50: [177.83, 102.23],
  vgg16: [108.45, 553.43],
  alexnet: [3.95, 244.4],
  mobilenetV2: [106.86, 14.02],
};

it.each(Object.entries(torchinfo))(
  "%s takes the memory that torchinfo prints",
  (name, [passes, parameters]) => {
    const memory = of(models[name]()).torchinfo;
    const mega = (bytes: number) => Number((bytes / 1e6).toFixed(2));
    expect([mega(memory.passes), mega(memory.parameters), mega(memory.input)]).toEqual([
      passes,
      parameters,
      0.6,
    ]);
    expect(memory.total).toBe(memory.input + memory.passes + memory.parameters);
  },
);

describe("the gradients", () => {
  const products = new Set(["conv", "convGradInput", "convGradWeight", "matmul"]);
  it.each(["lenet5", "lenet5_1998", "resnet18", "squeezenet1_1", "mobilenetV2"])(
    "of %s are counted as a training step computes them",
    (name) => {
      const model = {
        ...models[name](),
        input: name.startsWith("lenet") ? models[name]().input : [3, 64, 64],
      };
      const { traced } = traceStep(model, sgd({ lr: 0.1 }), 2);
      const { macs, backward } = of(model, 2).totals;
      const work = traced.nodes.filter((n) => products.has(n.op.name));
      const total = work.reduce(
        (all, n) =>
          all +
          n.op.cost(
            n.inputs.map((v) => v.spec),
            n.params,
          ).macs,
        0,
      );
      expect(macs + backward.dx + backward.dw).toBe(total);
    },
  );

  it("of ResNet-50 are twice its operations but those to the image", () => {
    expect(of(models.resnet50()).totals.backward).toEqual({
      dx: 4_089_184_256 - 118_013_952,
      dw: 4_089_184_256,
    });
  });

  it("of a transposed convolution are counted by the same rule", () => {
    const x = input(spec([1, 4, 8, 8]), "x");
    const [v, w] = [input(spec([4, 4, 3, 3]), "v"), input(spec([4, 2, 3, 3]), "w")];
    const y = convTranspose(conv(x, v), w, { stride: 2 });
    const entries = [v, w].map(
      (p) => ({ name: `${p.name}`, spec: p.spec, kind: "parameter", trainable: true }) as const,
    );
    const { totals } = summarize({
      name: "two",
      graph: graphOf([x, v, w], [y]),
      x,
      entries,
      values: [v, w],
    });
    const [first, second] = [36 * 4 * 4 * 9, 36 * 4 * 2 * 9];
    expect(totals).toMatchObject({
      macs: first + second,
      backward: { dx: second, dw: first + second },
    });
    const full = graphOf([x, v, w], grad(sum(y), [v, w]));
    // conv, two dw, one dx: the result itself is not needed
    expect(full.nodes.filter((n) => products.has(n.op.name)).length).toBe(4);
  });

  it("of frozen layers are not computed, nor those before the first that is trained", () => {
    const c = (): Layer => conv2d(4, 3, { padding: 1, bias: false });
    const { layers } = of({
      name: "half",
      input: [4, 8, 8],
      layer: sequential([c(), freeze(c()), c(), freeze(c())]),
    });
    const macs = 64 * 4 * 4 * 9;
    expect(layers.map((l) => l.backward)).toEqual([
      { dx: 0, dw: macs },
      { dx: macs, dw: 0 },
      { dx: macs, dw: macs },
      { dx: macs, dw: 0 },
    ]);
    expect(layers.map((l) => [l.trainable, l.frozen])).toEqual([
      [144, 0],
      [0, 144],
      [144, 0],
      [0, 144],
    ]);
  });
});

it("shared parameters are counted once, with the layer that uses them first", () => {
  const once = linear(8, { bias: false });
  const twice: Layer = {
    type: "twice",
    forward(x, ctx) {
      const w = ctx.param("weight", [8, 8], zeros);
      return ["a", "b"].reduce(
        (v, name) => ctx.child(name, { type: "by", forward: (u) => product(u, w) }, v),
        ctx.child("first", once, x),
      );
    },
  };
  const { totals, layers } = of({ name: "tied", input: [8], layer: sequential({ twice }) });
  expect(totals).toMatchObject({ parameters: 128, shared: 64, macs: 3 * 64 });
  expect(layers.map((l) => [l.path, l.parameters, l.shared])).toEqual([
    ["twice.first", 64, 0],
    ["twice.a", 64, 64],
    ["twice.b", 0, 64],
  ]);
});

/**
 * What a network of one layer counts by ptflops' convention, every op that it applies by `map`
 * labeled otherwise.
 */
const labeled = (label: string) => {
  const named = (f: Expr, inputs: readonly Value[]) => map(label, f, inputs);
  const norm =
    (affine: boolean): Layer["forward"] =>
    (x, ctx) => {
      const centered = sub(x, mean(x, [1, 2, 3], true));
      const scale = named(
        ["div", 1, ["sqrt", ["add", "a", 1e-5]]],
        [mean(square(centered), [1, 2, 3], true)],
      );
      const y = named(["mul", "a", "b"], [scale, centered]);
      if (!affine) return y;
      const [weight, bias] = ["weight", "bias"].map((name) => ctx.param(name, [8, 12, 12], zeros));
      return named(["add", ["mul", "a", "c"], "b"], [weight, bias, y]);
    };
  const counted = (forward: Layer["forward"]) =>
    of({ name: "one", layer: { type: label, forward }, input: [8, 12, 12] }).totals.operations
      .ptflops;
  return {
    normalization: counted(norm(false)),
    withParameters: counted(norm(true)),
    doubled: counted((x) => named(["mul", 2, "a"], [x])),
    rectified: counted((x) => named(["max", "a", 0], [x])),
    weighed: counted((x, ctx) =>
      named(["mul", "a", "b"], [x, ctx.param("weight", [8, 1, 1], zeros)]),
    ),
  };
};

it.each(["layerNorm", "layerNormScale", "groupNorm", "batchNormScale", "relu", "conv", "mine"])(
  "an op labeled %s counts as what it computes",
  (label) => {
    expect(labeled(label)).toEqual({
      normalization: 1152,
      withParameters: 1152,
      doubled: 0,
      rectified: 1152,
      weighed: 2304,
    });
  },
);
