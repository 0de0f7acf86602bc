// Layers of LeNet-5 as published: trainable subsampling, convolution with a connection table,
// radial basis functions. (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
// document recognition", Proc. IEEE 1998.)

import {
  add,
  affine,
  avgPool,
  concat,
  mul,
  neg,
  perAxis,
  reshape,
  slice,
  square,
  sub,
  sum,
  type PerAxis,
} from "@conv/ops";
import { checkOptions, formatShape, message, shapeError, sizeOf, type Value } from "@conv/tensor";
import { checkRank, conv2d, type ConvLayerOptions } from "../layers/conv.ts";
import { pytorch, values, type Init } from "../layers/init.ts";
import type { Layer } from "../layers/layer.ts";
import { checkLayerOptions, initWith, LAYER, WEIGHT } from "../layers/options.ts";

/**
 * Trainable subsampling, y[c] = weight[c] · (sum over the window of x[c]) + bias[c], with stride =
 * kernel = k: x (n, c, h, w) → (n, c, h/k, w/k). Parameters weight (c), bias (c). Throws ShapeError
 * if x has other than 4 axes or the kernel is larger than the map.
 */
export function subsample2d(
  kernel: PerAxis,
  options: { readonly init?: Init | undefined } = {},
): Layer {
  checkLayerOptions("subsample2d", options, "init");
  const { init = pytorch } = options;
  return {
    type: "subsample2d",
    forward(x, ctx) {
      checkRank("subsample2d", x, 2);
      const size = sizeOf(perAxis("subsample2d", "kernel", kernel, 2, 1));
      const fan = { in: size, out: 1 };
      const channel = (name: "weight" | "bias") =>
        reshape(ctx.param(name, [x.shape[1]], initWith(init, fan, name)), [1, x.shape[1], 1, 1]);
      return add(mul(affine(avgPool(x, kernel), size), channel("weight")), channel("bias"));
    },
  };
}

/** For each output map the indices of the input maps that it reads. */
export type ConnectionTable = readonly (readonly number[])[];

/**
 * Convolution whose output map `o` reads only the input maps `table[o]`: x (n, ic, h, w) → (n,
 * table.length, h′, w′). Consecutive maps with the same number of inputs become one grouped
 * convolution over the gathered inputs, so missing connections are neither computed nor counted.
 * Parts "0", "1", … with weight (maps, inputs, kh, kw) and bias (maps). Throws ShapeError for a map
 * without inputs, or for an input that does not exist.
 */
export function tableConv2d(
  table: ConnectionTable,
  kernel: PerAxis,
  options: Omit<ConvLayerOptions, "groups" | "layout"> = {},
): Layer {
  checkOptions(
    "tableConv2d",
    options,
    `stride padding dilation precision inChannels ${WEIGHT} ${LAYER}`,
  );
  const runs: number[][][] = [];
  table.forEach((seen, map) => {
    if (seen.length === 0)
      throw shapeError(
        "tableConv2d",
        "map-without-input",
        message`output map ${{ map }} has no input map; each row of the table needs at least one`,
      );
    const last = runs.at(-1);
    if (last?.[0].length === seen.length) last.push([...seen]);
    else runs.push([[...seen]]);
  });
  const parts = runs.map((run) =>
    conv2d(run.length, kernel, { ...options, inChannels: run.flat().length, groups: run.length }),
  );
  return {
    type: "tableConv2d",
    forward(x, ctx) {
      checkRank("tableConv2d", x, 2);
      return concat(
        parts.map((part, i) => ctx.child(`${i}`, part, gather(x, runs[i].flat()))),
        1,
      );
    },
  };
}

/** The channels of x in this order, with one slice for each run of consecutive channels. */
function gather(x: Value, channels: readonly number[]): Value {
  const [n, has, ...space] = x.shape;
  const slices: { start: number; count: number }[] = [];
  for (const channel of channels) {
    if (!Number.isInteger(channel) || channel < 0 || channel >= has)
      throw shapeError(
        "tableConv2d",
        "no-such-map",
        message`the table reads input map ${{ channel }}, counted from 0, the input has ${{ channels: has }} maps`,
      );
    const last = slices.at(-1);
    if (last && last.start + last.count === channel) last.count++;
    else slices.push({ start: channel, count: 1 });
  }
  return concat(
    slices.map(({ start, count }) =>
      slice(x, [0, start, ...space.map(() => 0)], [n, count, ...space]),
    ),
    1,
  );
}

/**
 * Radial basis functions with fixed centers: scores −Σ (x − center)², so that the nearest center
 * has the largest score; x (n, features) → (n, centers). Buffer centers (centers, features). Throws
 * ShapeError if x has another number of features than the centers.
 */
export function rbf(centers: readonly (readonly number[])[]): Layer {
  const features = centers[0]?.length ?? 0;
  return {
    type: "rbf",
    forward(x, ctx) {
      if (x.shape.length !== 2 || x.shape[1] !== features)
        throw shapeError(
          "rbf",
          "features",
          message`input has shape ${{ input: formatShape(x.shape) }}, the centers have ${{ features }} features`,
        );
      const at = ctx.buffer("centers", [centers.length, features], values(centers.flat()));
      return neg(sum(square(sub(reshape(x, [x.shape[0], 1, features]), at)), 2));
    },
  };
}
