// The blocks of the networks by themselves: their parts, and the shapes they make. What they
// compute is held to PyTorch in answers.test.ts.

import { createCpu } from "@conv/kernels-cpu";
import { graphOf, sizeOf } from "@conv/tensor";
import { describe, expect, test } from "vitest";
import {
  arrayDataset,
  atrousPyramid,
  convNorm2d,
  createRandom,
  createTrainer,
  denseBlock,
  denseTransition,
  fire,
  inceptionA,
  inceptionB,
  inceptionC,
  inceptionD,
  inceptionE,
  inceptionV1,
  invertedResidual,
  linearBottleneck,
  mlpconv,
  parallel,
  pipe,
  relu,
  residualBasic,
  residualBottleneck,
  sequential,
  sgd,
  shuffleUnit,
  squeezeExcitation,
  stochasticDepth,
  traceModel,
  traceStep,
  unetConvs,
  unetDown,
  unetUp,
  type Layer,
} from "../src/index.ts";
import { googlenet, models, unet } from "../src/models/index.ts";
import { only } from "./tiny.ts";

const widths = [8, 4, 6, 2, 3, 5] as const;

/** Input, output, and the parts that have weights of more than one axis. */
const blocks: Record<string, [layer: Layer, input: number[], output: number[], parts: string]> = {
  convNorm2d: [convNorm2d(6, [1, 5], { dilation: 2, activation: null }), [4, 9, 9], [6, 9, 9], "0"],
  "convNorm2d with names": [
    convNorm2d(6, 3, { stride: 2, padding: 0, groups: 2, names: ["conv", "bn"] }),
    [4, 9, 9],
    [6, 4, 4],
    "conv",
  ],
  mlpconv: [mlpconv([5, 6, 7], 3, { stride: 2 }), [4, 9, 9], [7, 4, 4], "0 2 4"],
  "inceptionV1, 5×5": [
    inceptionV1(widths),
    [4, 9, 9],
    [22, 9, 9],
    "branch1 branch2.0 branch2.1 branch3.0 branch3.1 branch4.1",
  ],
  inceptionA: [
    inceptionA(32),
    [4, 9, 9],
    [256, 9, 9],
    "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool",
  ],
  inceptionB: [
    inceptionB(),
    [4, 9, 9],
    [484, 4, 4],
    "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3",
  ],
  inceptionC: [
    inceptionC(8),
    [4, 9, 9],
    [768, 9, 9],
    "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool",
  ],
  inceptionD: [
    inceptionD(),
    [4, 9, 9],
    [516, 4, 4],
    "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
  ],
  inceptionE: [
    inceptionE(),
    [4, 9, 9],
    [2048, 9, 9],
    "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool",
  ],
  residualBasic: [residualBasic(4), [4, 8, 8], [4, 8, 8], "conv1 conv2"],
  "residualBasic that changes the shape": [
    residualBasic(6, { stride: 2 }),
    [4, 8, 8],
    [6, 4, 4],
    "conv1 conv2 downsample.0",
  ],
  residualBottleneck: [
    residualBottleneck(8, { groups: 2, inner: 4, dilation: 2 }),
    [8, 8, 8],
    [8, 8, 8],
    "conv1 conv2 conv3",
  ],
  "residualBottleneck that projects": [
    residualBottleneck(8),
    [4, 8, 8],
    [8, 8, 8],
    "conv1 conv2 conv3 downsample.0",
  ],
  fire: [fire(2, 5), [4, 8, 8], [10, 8, 8], "squeeze expand1x1 expand3x3"],
  invertedResidual: [
    invertedResidual(4, {
      expanded: 12,
      squeeze: squeezeExcitation(3),
      survival: stochasticDepth(0.1),
    }),
    [4, 8, 8],
    [4, 8, 8],
    "block.0.0 block.1.0 block.2.fc1 block.2.fc2 block.3.0",
  ],
  "invertedResidual that need not widen": [
    invertedResidual(4, { expanded: 4, kernel: 5, stride: 2, activation: relu() }),
    [4, 8, 8],
    [4, 4, 4],
    "block.0.0 block.1.0",
  ],
  linearBottleneck: [
    linearBottleneck(6, { expanded: 12 }),
    [4, 8, 8],
    [6, 8, 8],
    "conv.0.0 conv.1.0 conv.2",
  ],
  shuffleUnit: [shuffleUnit(8, 8), [8, 8, 8], [8, 8, 8], "branch2.0 branch2.3 branch2.5"],
  "shuffleUnit that halves": [
    shuffleUnit(8, 12),
    [8, 8, 8],
    [12, 4, 4],
    "branch1.0 branch1.2 branch2.0 branch2.3 branch2.5",
  ],
  denseBlock: [
    denseBlock(2, 3),
    [4, 8, 8],
    [10, 8, 8],
    "denselayer1.conv1 denselayer1.conv2 denselayer2.conv1 denselayer2.conv2",
  ],
  denseTransition: [denseTransition(2), [4, 8, 8], [2, 4, 4], "conv"],
  atrousPyramid: [
    atrousPyramid([2, 3], 5),
    [4, 8, 9],
    [5, 8, 9],
    "convs.0.0 convs.1.0 convs.2.0 convs.3.1 project.0",
  ],
  unetConvs: [unetConvs(6), [4, 9, 8], [6, 5, 4], "conv1 conv2"],
  unetDown: [unetDown(6, { padding: 1 }), [4, 8, 8], [6, 4, 4], "conv1 conv2"],
  unetUp: [
    unetUp(3, unetDown(6)),
    [4, 20, 20],
    [3, 8, 8],
    "below.conv1 below.conv2 up conv1 conv2",
  ],
  "unetUp that keeps the size": [
    unetUp(3, unetDown(6, { padding: 1 }), { padding: 1 }),
    [4, 8, 8],
    [3, 8, 8],
    "below.conv1 below.conv2 up conv1 conv2",
  ],
  parallel: [
    parallel(pipe(), sequential({ a: relu(), b: convNorm2d(2, 1) })),
    [4, 3, 3],
    [6, 3, 3],
    "b.0",
  ],
};

describe("blocks", () => {
  test.each(Object.entries(blocks))("%s", (_, [layer, input, output, parts]) => {
    const { output: y, entries } = traceModel(only(layer, input));
    const convolutions = entries.flatMap(({ name, spec }) =>
      spec.shape.length > 1 ? [name.replace(/(\.conv)?\.weight$/, "")] : [],
    );
    expect({ output: y.shape, parts: convolutions.join(" ") }).toEqual({
      output: [1, ...output],
      parts,
    });
  });

  test("a U-Net cannot come back larger than it went", () => {
    expect(() => traceModel(only(unetUp(3, convNorm2d(3, 1)), [4, 8, 8]))).toThrow(
      "unetUp: the inner layers and the upsampling turn 8×8 into 16×16, which must not be larger; use an inner layer that does not enlarge its input",
    );
  });

  test("a U-Net with padding scores every pixel", () => {
    expect(
      traceModel({ ...unet({ padding: 1, classes: 3 }), input: [1, 32, 48] }).output.shape,
    ).toEqual([1, 3, 32, 48]);
  });
});

describe("training networks", () => {
  test.each(Object.keys(models))("%s uses all its parameters, and has a step", (name) => {
    const model = models[name]();
    const { x, output, auxiliaries, entries, values, seeds } = traceModel(model, {
      batch: 2,
      training: true,
    });
    const { nodes } = graphOf(
      [x, ...values, ...seeds],
      [output, ...auxiliaries.map((head) => head.output)],
    );
    const used = new Set(nodes.flatMap((n) => n.inputs));
    expect(
      entries.filter((e, i) => e.trainable && !used.has(values[i])).map((e) => e.name),
    ).toEqual([]);
    const { written } = traceStep(model, sgd({ lr: 0.1 }), 2, {
      target: { shape: output.shape.slice(2), dtype: "int32" },
    });
    expect(written).toHaveLength(entries.filter((e) => e.name !== "output.centers").length);
  });

  test("the heads of GoogLeNet learn with it", { timeout: 60_000 }, async () => {
    const model = { ...googlenet({ auxiliary: true, classes: 2 }), input: [3, 64, 64] };
    const random = createRandom("images");
    const x = Float32Array.from({ length: 2 * sizeOf(model.input) }, () => random.normal());
    const backend = await createCpu({ threads: 1 });
    const trainer = createTrainer({ backend, model, optimizer: sgd({ lr: 0.01 }), batch: 2 });
    const before = await trainer.state();
    for await (const { loss } of trainer.fit(arrayDataset({ x, y: [0, 1], sample: model.input }), {
      epochs: 1,
    })) {
      expect(loss).toBeGreaterThan(1.6 * Math.log(2) - 0.5);
      expect(loss).toBeLessThan(1.6 * Math.log(2) + 0.5);
    }
    const after = await trainer.state();
    const moved = [...after]
      .filter(([name, { data }]) => data.some((v, i) => v !== before.get(name)!.data[i]))
      .map(([name]) => name);
    expect(moved.length).toBeGreaterThan(0.98 * after.size); // but for units that no image reached
    expect(moved).toEqual(
      expect.arrayContaining([
        "aux1.fc2.weight",
        "aux2.fc2.weight",
        "aux2.conv.bn.running_mean",
        "conv1.conv.weight",
      ]),
    );
    trainer.dispose();
    backend.dispose();
  });
});
