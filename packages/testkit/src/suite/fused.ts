// Graphs of several nodes, as networks have them: what a back end may fuse, reorder or keep in a
// layout of its own must not show.

import {
  add,
  affine,
  avgPool,
  broadcastTo,
  concat,
  conv,
  convTranspose,
  div,
  exp,
  flatten,
  gelu,
  grad,
  hardSwish,
  leakyRelu,
  linear,
  logSoftmax,
  map,
  matmul,
  maximum,
  maxPool,
  mean,
  mul,
  pad,
  relu,
  reshape,
  scaledTanh,
  sigmoid,
  silu,
  slice,
  softmax,
  square,
  sub,
  sum,
  tanh,
  transpose,
} from "@conv/ops";
import { optimize, type Value } from "@conv/tensor";
import { describe, it } from "vitest";
import { check } from "../check.ts";
import { graphOfShapes, inputsOf, share, specsOf, type Device } from "./device.ts";

type Fused = [name: string, shapes: number[][], fn: (...xs: Value[]) => Value | readonly Value[]];

const bias = (y: Value, b: Value): Value =>
  add(y, reshape(b, [1, b.shape[0], ...y.shape.slice(2).map(() => 1)]));

const graphs: readonly Fused[] = [
  [
    "conv, bias, relu",
    [[2, 3, 9, 7], [10, 3, 3, 3], [10]],
    (x, w, b) => relu(bias(conv(x, w, { padding: 1 }), b)),
  ],
  [
    "conv, bias, relu at stride 2",
    [[1, 5, 11, 9], [7, 5, 3, 3], [7]],
    (x, w, b) => relu(bias(conv(x, w, { padding: 1, stride: 2 }), b)),
  ],
  [
    "pointwise conv, bias, leaky relu",
    [[2, 9, 5, 5], [13, 9, 1, 1], [13]],
    (x, w, b) => leakyRelu(bias(conv(x, w), b)),
  ],
  [
    "depthwise conv, bias, relu",
    [[1, 10, 8, 9], [10, 1, 3, 3], [10]],
    (x, w, b) => relu(bias(conv(x, w, { padding: 1, groups: 10 }), b)),
  ],
  [
    "depthwise conv of long rows, bias, + x, relu",
    [[1, 3, 5, 45], [3, 1, 3, 3], [3]],
    (x, w, b) => relu(add(bias(conv(x, w, { padding: 1, groups: 3 }), b), x)),
  ],
  [
    "conv, bias, tanh, average pool",
    [[2, 1, 12, 12], [6, 1, 5, 5], [6]],
    (x, w, b) => avgPool(tanh(bias(conv(x, w), b)), 2),
  ],
  [
    "conv, bias, tanh, max pool",
    [[1, 2, 11, 9], [5, 2, 3, 3], [5]],
    (x, w, b) => maxPool(tanh(bias(conv(x, w), b)), 3, { stride: 2, padding: 1 }),
  ],
  [
    "conv, scale and shift per channel, relu",
    [
      [2, 4, 6, 6],
      [6, 4, 3, 3],
      [1, 6, 1, 1],
      [1, 6, 1, 1],
    ],
    (x, w, s, t) => relu(add(mul(conv(x, w), s), t)),
  ],
  [
    "depthwise conv, bias, hard swish",
    [[1, 10, 8, 9], [10, 1, 3, 3], [10]],
    (x, w, b) => hardSwish(bias(conv(x, w, { padding: 1, groups: 10 }), b)),
  ],
  [
    "pointwise conv, bias, silu",
    [[2, 9, 5, 5], [13, 9, 1, 1], [13]],
    (x, w, b) => silu(bias(conv(x, w), b)),
  ],
  [
    "conv, bias, gelu, and its gradient",
    [[1, 3, 6, 7], [5, 3, 3, 3], [5]],
    (x, w, b) => grad(sum(gelu(bias(conv(x, w), b))), [x, w]),
  ],
  [
    "maps standardised, averages of windows over channels",
    [[2, 6, 5, 5]],
    (x) => {
      const centered = sub(x, mean(x, [2, 3], true));
      const padding = [
        [1, 1],
        [0, 0],
        [0, 0],
      ] as const;
      return mul(
        centered,
        reshape(
          avgPool(reshape(square(centered), [2, 1, 6, 5, 5]), [3, 1, 1], { stride: 1, padding }),
          x.shape,
        ),
      );
    },
  ],
  [
    "residual: conv + x, relu",
    [[1, 8, 7, 5], [8, 8, 3, 3], [8]],
    (x, w, b) => relu(add(bias(conv(x, w, { padding: 1 }), b), x)),
  ],
  [
    "a conv's result used before and after its relu",
    [
      [1, 3, 6, 6],
      [4, 3, 3, 3],
    ],
    (x, w) => ((y) => [y, relu(y), sum(y)])(conv(x, w)),
  ],
  [
    "two convs of one input",
    [
      [2, 4, 6, 6],
      [3, 4, 3, 3],
      [5, 4, 1, 1],
    ],
    (x, v, w) => concat([relu(conv(x, v, { padding: 1 })), conv(x, w)], 1),
  ],
  [
    "conv of conv of conv",
    [
      [1, 3, 10, 10],
      [5, 3, 3, 3],
      [9, 5, 3, 3],
      [2, 9, 3, 3],
    ],
    (x, a, b, c) =>
      conv(relu(conv(relu(conv(x, a, { padding: 1 })), b, { stride: 2, padding: 1 })), c),
  ],
  [
    "separable conv: depthwise, pointwise, bias, relu",
    [[1, 6, 9, 9], [6, 1, 3, 3], [11, 6, 1, 1], [11]],
    (x, d, p, b) => relu(bias(conv(conv(x, d, { groups: 6, padding: 1, stride: 2 }), p), b)),
  ],
  [
    "encode and decode",
    [
      [1, 2, 9, 9],
      [4, 2, 3, 3],
      [4, 2, 3, 3],
    ],
    (x, w, v) => sigmoid(convTranspose(relu(conv(x, w, { stride: 2 })), v, { stride: 2 })),
  ],
  [
    "transposed conv of one pixel, bias, relu",
    [[2, 5, 1, 1], [5, 6, 4, 4], [6]],
    (x, w, b) => relu(bias(convTranspose(x, w), b)),
  ],
  [
    "conv as large as the image, bias, + z, tanh",
    [[2, 4, 3, 3], [7, 4, 3, 3], [7], [2, 7, 1, 1]],
    (x, w, b, z) => tanh(add(bias(conv(x, w), b), z)),
  ],
  [
    "linear on one row, + z, relu",
    [[1, 23], [10, 23], [10], [1, 10]],
    (x, w, b, z) => relu(add(linear(x, w, b), z)),
  ],
  [
    "conv over one axis, bias, relu, pool",
    [[2, 3, 21], [5, 3, 4], [5]],
    (x, w, b) => maxPool(relu(bias(conv(x, w, { dilation: 2 }), b)), 2),
  ],
  [
    "conv over three axes, bias, tanh",
    [[1, 2, 5, 4, 6], [3, 2, 2, 3, 2], [3]],
    (x, w, b) => tanh(bias(conv(x, w, { padding: 1 }), b)),
  ],
  [
    "conv, padded by a node of its own",
    [
      [1, 2, 5, 5],
      [3, 2, 3, 3],
    ],
    (x, w) => conv(pad(x, [0, 0, 1, 0], [0, 0, 2, 1]), w),
  ],
  [
    "the middle of an image before another",
    [
      [1, 4, 8, 8],
      [1, 3, 4, 4],
    ],
    (x, y) => concat([slice(relu(x), [0, 0, 2, 2], [1, 4, 4, 4]), relu(y)], 1),
  ],
  [
    "conv of a slice of channels",
    [
      [1, 6, 5, 5],
      [4, 3, 3, 3],
    ],
    (x, w) => conv(slice(x, [0, 2, 0, 0], [1, 3, 5, 5]), w),
  ],
  [
    "conv in channels-last, by transposes",
    [
      [2, 6, 5, 3],
      [4, 3, 3, 3],
    ],
    (x, w) => transpose(conv(transpose(x, [0, 3, 1, 2]), w), [0, 2, 3, 1]),
  ],
  [
    "conv whose weight is computed",
    [
      [1, 2, 6, 6],
      [3, 2, 3, 3],
      [3, 1, 1, 1],
    ],
    (x, w, s) => conv(x, mul(w, s)),
  ],
  [
    "linear, relu, linear, log softmax",
    [[7, 20], [16, 20], [16], [10, 16], [10]],
    (x, v, a, w, b) => logSoftmax(linear(relu(linear(x, v, a)), w, b)),
  ],
  ["linear of one sample", [[1, 33], [10, 33], [10]], (x, w, b) => scaledTanh(linear(x, w, b))],
  [
    "attention",
    [
      [2, 5, 8],
      [2, 7, 8],
      [2, 7, 3],
    ],
    (q, k, v) => matmul(softmax(mul(matmul(q, k, { transposeB: true }), 8 ** -0.5), -1), v),
  ],
  [
    "chain with several outputs",
    [[4, 33]],
    (x) => ((a) => ((b) => [a, b, mul(a, b), sub(b, 1)])(sigmoid(a)))(affine(x, 0.5, -1)),
  ],
  [
    "diamonds",
    [
      [3, 5, 7],
      [5, 1],
    ],
    (x, s) => {
      const a = tanh(mul(x, s));
      const b = exp(a);
      const c = div(a, add(b, 1));
      return [add(mul(a, b), c), maximum(b, c), b];
    },
  ],
  [
    "many operands in one chain",
    Array.from({ length: 9 }, () => [2, 17]),
    (...xs) => xs.reduce((a, b, i) => (i % 2 ? mul(a, b) : add(a, b))),
  ],
  [
    "expression of eight tensors",
    Array.from({ length: 8 }, (_, i) => (i % 3 ? [5, 6] : [6])),
    (...xs) =>
      map(
        "eight",
        [
          "add",
          ["mul", "a", ["sub", "b", "c"]],
          ["max", ["mul", "d", "e"], ["min", "f", ["add", "g", "h"]]],
        ],
        xs,
      ),
  ],
  [
    "batch norm as in training",
    [
      [3, 4, 5, 5],
      [1, 4, 1, 1],
      [1, 4, 1, 1],
    ],
    (x, g, b) => {
      const centered = sub(x, mean(x, [0, 2, 3], true));
      const variance = mean(square(centered), [0, 2, 3], true);
      return [
        add(mul(div(centered, map("std", ["sqrt", ["add", "a", 1e-5]], [variance])), g), b),
        variance,
      ];
    },
  ],
  [
    "sum over sums",
    [[4, 5, 6]],
    (x) => [sum(x), sum(sum(x, 0)), mean(x, [1]), sum(square(x), -1, true)],
  ],
  ["broadcast, then reduce", [[5]], (x) => sum(broadcastTo(x, [3, 4, 5]), [0, 1])],
  [
    "reshapes and transposes between",
    [[2, 3, 4]],
    (x) => relu(reshape(transpose(reshape(x, [6, 4])), [2, 2, 6])),
  ],
  [
    "lenet, whole",
    [[2, 1, 16, 16], [6, 1, 5, 5], [6], [8, 6, 3, 3], [8], [10, 32], [10]],
    (x, w1, b1, w2, b2, w3, b3) => {
      const s2 = maxPool(relu(bias(conv(x, w1), b1)), 2);
      return softmax(mul(linear(flatten(maxPool(relu(bias(conv(s2, w2), b2)), 2)), w3, b3), 0.01));
    },
  ],
];

const gradients: readonly Fused[] = [
  [
    "conv, bias, relu, pool",
    [[2, 2, 8, 8], [5, 2, 3, 3], [5]],
    (x, w, b) =>
      grad(sum(square(maxPool(relu(bias(conv(x, w, { padding: 1 }), b)), 2))), [x, w, b]),
  ],
  [
    "depthwise and pointwise",
    [
      [1, 4, 7, 7],
      [4, 1, 3, 3],
      [6, 4, 1, 1],
    ],
    (x, d, p) =>
      grad(sum(square(conv(tanh(conv(x, d, { groups: 4, stride: 2, padding: 1 })), p))), [x, d, p]),
  ],
  [
    "linear, tanh, linear",
    [[5, 9], [7, 9], [7], [3, 7]],
    (x, v, b, w) => grad(mean(square(linear(tanh(linear(x, v, b)), w))), [x, v, b, w]),
  ],
  [
    "a gradient of gradients of conv",
    [
      [1, 2, 5, 5],
      [3, 2, 3, 3],
    ],
    (x, w) => {
      const [dx, dw] = grad(sum(tanh(conv(x, w, { stride: 2, padding: 1 }))), [x, w]);
      return grad(add(sum(square(dx)), sum(square(dw))), [x, w]);
    },
  ],
];

/** Registers graphs of several nodes. */
export function fusedSuite(device: Device): void {
  describe("graphs", () => {
    for (const [name, shapes, fn] of share(device, graphs, () => "graphs")) {
      const graph = graphOfShapes(shapes, fn);
      it(name, () => check(device.backend, graph, inputsOf(specsOf(graph), name)));
    }
  });
  describe("gradients of graphs", () => {
    for (const [name, shapes, fn] of share(device, gradients, () => "gradients")) {
      const graph = optimize(graphOfShapes(shapes, fn));
      it(name, () => check(device.backend, graph, inputsOf(specsOf(graph), name)));
    }
  });
}
