// Deformable convolution: every tap of every output looks where an offset sends it, between the
// pixels, and counts as a mask says. Zhu, Hu, Lin and Dai, "Deformable ConvNets v2", CVPR 2019; the
// arguments are those of torchvision.ops.deform_conv2d.

import {
  apply,
  checkOptions,
  formatShape,
  message,
  sameShape,
  shapeError,
  type Value,
} from "@conv/tensor";
import { cast } from "./cast.ts";
import { conv } from "./conv.ts";
import { full } from "./create.ts";
import { add, map, mul } from "./elementwise.ts";
import type { Expr } from "./expr.ts";
import { gather } from "./gather.ts";
import { convGeometry, type ConvGeometry, type ConvOptions } from "./geometry.ts";
import { reshape, slice } from "./move.ts";
import { resampleOp } from "./resample.ts";

/** The numbers along the axis of a traced vector of that many axes, all others of size 1. */
function numbers(list: readonly number[], axis: number, rank: number): Value {
  const one = full(
    Array.from({ length: rank }, () => 1),
    1,
  );
  return apply(resampleOp, { axis, size: 1, rows: list.map((v) => [[0, v]] as const) }, [one])[0];
}

/** floor(v) + step, where that is one of 0 … size − 1. */
const whole = (v: string, step: number): Expr =>
  step ? ["add", ["floor", v], step] : ["floor", v];
const inside = (v: string, step: number, size: number): Expr => [
  "mul",
  ["gt", whole(v, step), -0.5],
  ["gt", size - 0.5, whole(v, step)],
];
const part = (v: string, step: number): Expr =>
  step ? ["sub", v, ["floor", v]] : ["sub", 1, ["sub", v, ["floor", v]]];

/**
 * Rows of pixels (b, c, h·w) read at y and x (b, count), 0 outside → (b, c, count): over the four
 * pixels i around a position,
 *
 *     Σ (1 − |y − yᵢ|)·(1 − |x − xᵢ|)·value
 */
function sample(rows: Value, y: Value, x: Value, [height, width]: readonly number[]): Value {
  const [b, count] = y.shape;
  const corners = [0, 1].flatMap((dy) =>
    [0, 1].map((dx) => {
      const within: Expr = ["mul", inside("a", dy, height), inside("b", dx, width)];
      const flat: Expr = ["add", ["mul", whole("a", dy), width], whole("b", dx)];
      const index = cast(map("pixelAt", ["select", within, flat, -1], [y, x]), "int32");
      const weight = map("pixelWeight", ["mul", part("a", dy), part("b", dx)], [y, x]);
      return mul(gather(rows, index), reshape(weight, [b, 1, count]));
    }),
  );
  return corners.reduce((sum, corner) => add(sum, corner));
}

/**
 * Throws ShapeError unless the value has `channels` of them for each output position; returns how
 * many groups of `of` channels.
 */
function offsetGroups(what: string, v: Value, of: number, g: ConvGeometry): number {
  const groups = v.shape[1] / of;
  if (
    !sameShape(v.shape, [g.n, groups * of, ...g.output]) ||
    !Number.isInteger(groups) ||
    groups < 1 ||
    g.ic % groups
  )
    throw shapeError(
      "deformConv2d",
      "offset-shape",
      message`${{ what }} has shape ${{ shape: formatShape(v.shape) }}, needs ${{ batch: g.n }}×${{ perGroup: of }}·groups×${{ output: formatShape(g.output) }} with groups that divide ${{ channels: g.ic }} channels`,
    );
  return groups;
}

/**
 * Deformable convolution of x (n, ic, h, w) with w (oc, ic/groups, kh, kw) → (n, oc, h′, w′). With
 * positions read between the pixels, 0 outside,
 *
 *     y[o] = Σₖ w[k] · mask[k, o] · x(o·stride − pad + k·dilation + offset[k, o])
 *
 * offset (n, 2·og·kh·kw, h′, w′) holds for each of og groups of channels and each tap the shift
 * down, then right; mask (n, og·kh·kw, h′, w′) is left out for version 1. Nothing differs from
 * `conv` where offsets are 0 and the mask is 1. Throws ShapeError.
 */
export function deformConv2d(
  x: Value,
  w: Value,
  offset: Value,
  mask?: Value,
  options?: ConvOptions,
): Value {
  checkOptions("deformConv2d", options, "stride padding dilation groups precision");
  const g = convGeometry(x.spec, w.spec, options, "deformConv2d");
  if (g.input.length !== 2)
    throw shapeError(
      "deformConv2d",
      "input-rank",
      message`input has ${{ axes: x.shape.length }} axes, needs 4`,
    );
  const [[kh, kw], [oh, ow]] = [g.kernel, g.output];
  const taps = kh * kw;
  const groups = offsetGroups("offset", offset, 2 * taps, g);
  if (mask && offsetGroups("mask", mask, taps, g) !== groups)
    throw shapeError(
      "deformConv2d",
      "groups-differ",
      message`offset has ${{ offset: groups }} groups, mask has ${{ mask: mask.shape[1] / taps }}`,
    );
  // (n, 2·og·kh·kw, oh, ow) → two of (n·og, kh, kw, oh, ow): each tap's place without offset is
  // added.
  const pairs = reshape(offset, [g.n * groups, taps, 2, oh * ow]);
  const [y, xAt] = [0, 1].map((a) => {
    const shift = reshape(slice(pairs, [0, 0, a, 0], [g.n * groups, taps, 1, oh * ow]), [
      g.n * groups,
      kh,
      kw,
      oh,
      ow,
    ]);
    const tap = numbers(
      Array.from({ length: g.kernel[a] }, (_, k) => k * g.dilation[a] - g.padLo[a]),
      1 + a,
      5,
    );
    const output = numbers(
      Array.from({ length: g.output[a] }, (_, o) => o * g.stride[a]),
      3 + a,
      5,
    );
    return reshape(add(add(shift, tap), output), [g.n * groups, taps * oh * ow]);
  });
  const rows = reshape(x, [g.n * groups, g.ic / groups, g.input[0] * g.input[1]]);
  const seen = sample(rows, y, xAt, g.input);
  const counted = mask ? mul(seen, reshape(mask, [g.n * groups, 1, taps * oh * ow])) : seen;
  // Taps are channels of a 1×1 convolution.
  return conv(
    reshape(counted, [g.n, g.ic * taps, oh, ow]),
    reshape(w, [g.oc, (g.ic / g.groups) * taps, 1, 1]),
    {
      groups: g.groups,
      precision: g.precision,
    },
  );
}
