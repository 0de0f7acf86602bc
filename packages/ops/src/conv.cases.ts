// Convolutions worth testing; each is a case of conv and of both its gradients.

import { spec } from "@conv/tensor";
import { opCase, type OpCase } from "./cases/case.ts";
import { convolved } from "./cases/convolved.ts";
import { rule, type Rules } from "./cases/rounding.ts";
import {
  convGradInputOp,
  convGradWeightOp,
  convOp,
  convTransposeGeometry,
  type ConvTransposeOptions,
} from "./conv.ts";
import {
  convGeometry,
  wShape,
  xShape,
  yShape,
  type ConvGeometry,
  type ConvOptions,
} from "./geometry.ts";

type Shape = readonly number[];

const all: [string, Shape, Shape, ConvOptions?][] = [
  // One axis
  ["1d", [2, 3, 9], [4, 3, 3]],
  ["1d single element", [1, 1, 1], [1, 1, 1]],
  ["1d stride 2 padding 1|2", [1, 2, 7], [3, 2, 4], { stride: 2, padding: [[1, 2]] }],
  ["1d dilation 3", [1, 2, 13], [2, 2, 3], { dilation: 3, padding: 3 }],
  [
    "1d dilation 2 stride 3 groups 2",
    [2, 4, 13],
    [6, 2, 3],
    { stride: 3, dilation: 2, padding: 1, groups: 2 },
  ],
  ["1d kernel 5 over input 2", [1, 3, 2], [2, 3, 5], { padding: 2 }],
  ["1d same", [1, 2, 5], [2, 2, 4], { padding: "same" }],
  ["1d depthwise", [1, 5, 9], [5, 1, 3], { groups: 5 }],
  ["1d long", [1, 3, 67], [5, 3, 7], { padding: 3 }],
  ["1d kernel 33", [2, 3, 75], [5, 3, 33], { padding: 16 }],
  ["1d steps over the kernel", [1, 2, 13], [2, 2, 2], { stride: 4 }],
  ["1d taps that see padding only", [1, 2, 5], [3, 2, 3], { dilation: 3, padding: [[6, 0]] }],
  ["1d nothing but padding", [2, 3, 1], [2, 3, 2], { dilation: 6, padding: 5 }],
  // Two axes, 1×1
  ["1×1", [1, 3, 5, 7], [5, 3, 1, 1]],
  ["1×1 8→16 batch 2", [2, 8, 7, 7], [16, 8, 1, 1]],
  ["1×1 13→9 @13", [1, 13, 13, 13], [9, 13, 1, 1]],
  ["1×1 16→33 @5", [1, 16, 5, 5], [33, 16, 1, 1]],
  ["1×1 64→8 @3", [1, 64, 3, 3], [8, 64, 1, 1]],
  ["1×1 stride 2", [1, 4, 9, 7], [6, 4, 1, 1], { stride: 2 }],
  ["1×1 groups 3", [1, 9, 5, 5], [6, 3, 1, 1], { groups: 3 }],
  ["1×1 padding 1", [1, 2, 3, 3], [3, 2, 1, 1], { padding: 1 }],
  ["1×1 on one pixel, batch 3", [3, 20, 1, 1], [10, 20, 1, 1]],
  // Two axes, larger kernels
  ["3×3", [1, 1, 3, 3], [1, 1, 3, 3]],
  ["3×3 padding 1", [1, 4, 7, 9], [4, 4, 3, 3], { padding: 1 }],
  ["3×3 padding 1, 5→7 @13×5 batch 3", [3, 5, 13, 5], [7, 5, 3, 3], { padding: 1 }],
  ["3×3 padding 1, 16→16 @8", [1, 16, 8, 8], [16, 16, 3, 3], { padding: 1 }],
  ["3×3 padding 1, 8→24 @14", [1, 8, 14, 14], [24, 8, 3, 3], { padding: 1 }],
  ["3×3 padding 1, 3→33 @7×19", [1, 3, 7, 19], [33, 3, 3, 3], { padding: 1 }],
  ["3×3 @1×1 padding 1", [2, 3, 1, 1], [4, 3, 3, 3], { padding: 1 }],
  ["3×3 @2×1 padding 1", [1, 2, 2, 1], [2, 2, 3, 3], { padding: 1 }],
  ["3×3 @2×3 padding 2", [1, 2, 2, 3], [2, 2, 3, 3], { padding: 2 }],
  ["3×3 @3 padding 1, 9→22", [1, 9, 3, 3], [22, 9, 3, 3], { padding: 1 }],
  ["2×2 @4 stride 2 groups 2 batch 3", [3, 10, 4, 4], [14, 5, 2, 2], { stride: 2, groups: 2 }],
  ["4×3 over the whole input, groups 2 batch 3", [3, 6, 4, 3], [4, 3, 4, 3], { groups: 2 }],
  ["3×3 stride 2 padding 1", [1, 4, 9, 9], [8, 4, 3, 3], { stride: 2, padding: 1 }],
  ["3×3 stride 2 leaves a row unread", [1, 2, 8, 6], [3, 2, 3, 3], { stride: 2 }],
  ["3×3 stride 1,2 padding 0,2", [1, 3, 5, 9], [2, 3, 3, 3], { stride: [1, 2], padding: [0, 2] }],
  [
    "3×3 uneven padding",
    [2, 2, 5, 6],
    [3, 2, 3, 3],
    {
      padding: [
        [0, 2],
        [3, 1],
      ],
    },
  ],
  ["3×3 dilation 2 padding 2", [1, 4, 9, 9], [4, 4, 3, 3], { dilation: 2, padding: 2 }],
  [
    "3×3 dilation 2,3 stride 2,1 padding 1|2",
    [1, 2, 9, 13],
    [3, 2, 3, 3],
    {
      dilation: [2, 3],
      stride: [2, 1],
      padding: [
        [1, 2],
        [2, 1],
      ],
    },
  ],
  ["3×3 dilation 1000 padding 1000", [1, 3, 5, 5], [7, 3, 3, 3], { dilation: 1000, padding: 1000 }],
  ["2×2 stride 20 padding 200", [1, 2, 3, 4], [3, 2, 2, 2], { stride: 20, padding: 200 }],
  ["3×26 over one row", [1, 2, 1, 40], [5, 2, 3, 26], { padding: [1, 0] }],
  ["2×3", [1, 3, 5, 7], [5, 3, 2, 3], { padding: [1, 0] }],
  ["5×5 over 3×2", [1, 2, 3, 2], [3, 2, 5, 5], { padding: 2 }],
  ["5×5 6→16 @14 (C3)", [1, 6, 14, 14], [16, 6, 5, 5]],
  ["5×5 16→20 @5 (C5) batch 2", [2, 16, 5, 5], [20, 16, 5, 5]],
  ["7×7 stride 2 padding 3", [1, 3, 17, 15], [8, 3, 7, 7], { stride: 2, padding: 3 }],
  ["4×4 stride 4", [2, 3, 12, 8], [5, 3, 4, 4], { stride: 4 }],
  ["1×7", [1, 3, 5, 9], [4, 3, 1, 7], { padding: [0, 3] }],
  ["7×1", [1, 3, 9, 5], [4, 3, 7, 1], { padding: [3, 0] }],
  ["3×3 same stride 2", [1, 2, 6, 7], [2, 2, 3, 3], { stride: 2, padding: "same" }],
  ["9×9 same", [1, 3, 11, 14], [5, 3, 9, 9], { padding: 4 }],
  ["11×10 @17×23", [2, 2, 17, 23], [3, 2, 11, 10], { padding: [5, 3] }],
  ["15×15 over 6×5", [1, 2, 6, 5], [2, 2, 15, 15], { padding: 7 }],
  ["5×17", [1, 3, 6, 21], [4, 3, 5, 17], { padding: [2, 8] }],
  ["1×26", [1, 2, 3, 40], [5, 2, 1, 26]],
  ["7×7 dilation 2", [1, 3, 15, 17], [4, 3, 7, 7], { dilation: 2, padding: 6 }],
  // Groups
  ["3×3 groups 2", [1, 6, 5, 5], [4, 3, 3, 3], { groups: 2, padding: 1 }],
  [
    "3×3 groups 4 stride 2 batch 2",
    [2, 16, 7, 7],
    [8, 4, 3, 3],
    { groups: 4, stride: 2, padding: 1 },
  ],
  ["3×3 groups 2 dilation 2", [1, 4, 7, 7], [6, 2, 3, 3], { groups: 2, dilation: 2, padding: 2 }],
  ["depthwise 3×3", [1, 8, 9, 13], [8, 1, 3, 3], { groups: 8, padding: 1 }],
  ["depthwise 3×3, 5 channels @7 batch 2", [2, 5, 7, 7], [5, 1, 3, 3], { groups: 5, padding: 1 }],
  ["depthwise 3×3 stride 2", [1, 7, 9, 9], [7, 1, 3, 3], { groups: 7, stride: 2, padding: 1 }],
  ["depthwise 3×3 @14", [1, 32, 14, 14], [32, 1, 3, 3], { groups: 32, padding: 1 }],
  ["depthwise 3×3 multiplier 3", [1, 4, 5, 7], [12, 1, 3, 3], { groups: 4, padding: 1 }],
  ["depthwise 3×3 @37×131", [1, 2, 37, 131], [2, 1, 3, 3], { groups: 2, padding: 1 }],
  [
    "depthwise 5×5 stride 2 @41×110",
    [1, 2, 41, 110],
    [2, 1, 5, 5],
    { groups: 2, stride: 2, padding: 2 },
  ],
  [
    "depthwise 3×3 stride 2 padding 0|1 @16",
    [1, 3, 16, 16],
    [3, 1, 3, 3],
    {
      groups: 3,
      stride: 2,
      padding: [
        [0, 1],
        [0, 1],
      ],
    },
  ],
  [
    "depthwise 5×5 dilation 2 stride 2",
    [1, 3, 13, 13],
    [3, 1, 5, 5],
    { groups: 3, dilation: 2, stride: 2, padding: 4 },
  ],
  [
    "depthwise 1×3 dilation 1000 padding 1000",
    [1, 2, 2, 9],
    [2, 1, 1, 3],
    { groups: 2, dilation: [1, 1000], padding: [0, 1000] },
  ],
  [
    "depthwise 3×3 stride 30 padding 300 @5",
    [1, 2, 5, 5],
    [2, 1, 3, 3],
    { groups: 2, stride: 30, padding: 300 },
  ],
  ["depthwise 7×7 @9", [1, 6, 9, 9], [6, 1, 7, 7], { groups: 6, padding: 3 }],
  ["9×9 groups 2", [1, 4, 9, 13], [6, 2, 9, 9], { groups: 2, padding: 4 }],
  ["depthwise 11×11 @12×19 batch 2", [2, 5, 12, 19], [5, 1, 11, 11], { groups: 5, padding: 5 }],
  ["depthwise 12×14 multiplier 2", [1, 3, 14, 15], [6, 1, 12, 14], { groups: 3, padding: [6, 7] }],
  ["1d depthwise kernel 33", [1, 3, 70], [3, 1, 33], { groups: 3, padding: 16 }],
  // Three axes and more
  ["3d", [1, 2, 4, 5, 3], [3, 2, 3, 3, 3], { padding: 1 }],
  [
    "3d stride 2 dilation 1,2,1 groups 2 batch 2",
    [2, 4, 5, 7, 5],
    [4, 2, 2, 2, 3],
    {
      stride: 2,
      dilation: [1, 2, 1],
      padding: [
        [0, 1],
        [1, 1],
        [2, 0],
      ],
      groups: 2,
    },
  ],
  ["3d depthwise", [1, 3, 3, 5, 5], [3, 1, 3, 3, 3], { groups: 3, padding: 1 }],
  ["3d 1×1×1", [1, 5, 2, 3, 3], [7, 5, 1, 1, 1]],
  ["4d", [1, 2, 3, 2, 3, 3], [2, 2, 2, 2, 1, 2], { padding: [1, 0, 0, 0] }],
  // Nothing
  ["batch 0", [0, 3, 5, 5], [4, 3, 3, 3], { padding: 1 }],
  ["1×1 batch 0", [0, 4, 3, 3], [8, 4, 1, 1]],
  ["0 output channels", [1, 3, 5, 5], [0, 3, 3, 3]],
  ["0 input channels", [2, 0, 5, 5], [3, 0, 3, 3], { padding: 1 }],
];

const transposed: [string, Shape, Shape, ConvTransposeOptions?][] = [
  ["1d transposed stride 2", [1, 2, 5], [2, 3, 4], { stride: 2, padding: 1 }],
  ["transposed 2×2 stride 2", [1, 4, 5, 3], [4, 3, 2, 2], { stride: 2 }],
  [
    "transposed 3×3 stride 2 outputPadding 1",
    [2, 3, 4, 4],
    [3, 5, 3, 3],
    { stride: 2, padding: 1, outputPadding: 1 },
  ],
  [
    "transposed 4×4 stride 2 groups 2",
    [1, 4, 3, 3],
    [4, 3, 4, 4],
    { stride: 2, padding: 1, groups: 2 },
  ],
  ["transposed 3×3 dilation 2", [1, 2, 3, 3], [2, 2, 3, 3], { dilation: 2, padding: [1, 0] }],
  ["3d transposed", [1, 2, 2, 3, 2], [2, 2, 2, 3, 2], { stride: [2, 1, 2] }],
];

const triple = (name: string, g: ConvGeometry): OpCase[] => {
  const [x, w, y] = [xShape(g), wShape(g), yShape(g)].map((s) => spec(s));
  return [
    opCase(name, convOp, g, [x, w]),
    opCase(name, convGradInputOp, g, [y, w]),
    opCase(name, convGradWeightOp, g, [y, x]),
  ];
};

export const cases: readonly OpCase[] = [
  ...all.flatMap(([name, x, w, options]) => triple(name, convGeometry(spec(x), spec(w), options))),
  ...transposed.flatMap(([name, x, w, options]) =>
    triple(name, convTransposeGeometry(spec(x), spec(w), options)),
  ),
];

export const rules: Rules = [
  rule(convOp, convolved),
  rule(convGradInputOp, convolved),
  rule(convGradWeightOp, convolved),
];
