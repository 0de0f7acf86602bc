// Making maps larger: nearest and linear interpolation as PyTorch's interpolate has them, each a
// sparse matrix along every spatial axis, and the shuffles between channels and space.

import {
  checkOptions,
  message,
  scope,
  shapeError,
  spec,
  type Arg,
  type Window,
} from "@conv/tensor";
import { mustBeWhole, spatialRank } from "./check.ts";
import { reshape, transpose } from "./move.ts";
import { axisName, perAxis, type PerAxis } from "./padding.ts";
import { resample, type Tap } from "./resample.ts";

export interface UpsampleOptions {
  /** Sizes of the output. */
  readonly size?: PerAxis | undefined;
  /** Instead of `size`: output = ⌊input·scaleFactor⌋. */
  readonly scaleFactor?: PerAxis | undefined;
  /** `linear` is called bilinear over two axes, trilinear over three. */
  readonly mode?: "nearest" | "linear" | undefined;
  /** For `linear`: the first and last elements of input and output lie upon each other. */
  readonly alignCorners?: boolean | undefined;
}

/** Where an output lies in the input. `ratio` is input elements per output element. */
const nearest = (ratio: number, input: number) => {
  // PyTorch computes this in float32: at some sizes the product falls short of a whole number.
  const by = Math.fround(ratio);
  return (o: number): Tap[] => [[Math.min(input - 1, Math.floor(Math.fround(o * by))), 1]];
};

const linear =
  (at: (o: number) => number, input: number) =>
  (o: number): Tap[] => {
    const source = Math.max(0, at(o));
    const i = Math.min(input - 1, Math.floor(source));
    const rest = source - i;
    return rest > 0 && i + 1 < input ? [[i, 1 - rest], [i + 1, rest]] : [[i, 1]]; // prettier-ignore
  };

/**
 * How outputs look at the input, where the scale is a whole number: input i reaches outputs i·scale
 * − padLo + k.
 */
function windowOf(
  mode: "nearest" | "linear",
  alignCorners: boolean,
  input: number,
  output: number,
): Window | undefined {
  const scale = output / input;
  if (!Number.isInteger(scale) || (mode === "linear" && alignCorners)) return undefined;
  const reach =
    mode === "nearest"
      ? { kernel: scale, padLo: 0 }
      : { kernel: 2 * scale - (scale % 2), padLo: scale >> 1 };
  return { ...reach, stride: scale, dilation: 1, padHi: reach.padLo, transposed: true };
}

/**
 * x (n, c, …input) with every spatial axis interpolated, by PyTorch's rules:
 *
 *     nearest                  y[o] = x[⌊o·input/output⌋]
 *     linear                   y[o] between the neighbors of (o + ½)·input/output − ½
 *     linear, alignCorners     y[o] between the neighbors of o·(input − 1)/(output − 1)
 *
 * With `scaleFactor`, 1/scaleFactor stands for input/output. Throws ShapeError unless exactly one of size and
 * scaleFactor is given.
 */
export function upsample<T extends Arg>(x: T, options: UpsampleOptions): T {
  const op = "upsample";
  checkOptions(op, options, "size scaleFactor mode alignCorners");
  const { size, scaleFactor, mode = "nearest", alignCorners = false } = options;
  const rank = spatialRank(op, x.spec);
  if ((size === undefined) === (scaleFactor === undefined))
    throw shapeError(op, "size-or-scale-factor", message`give one of size and scaleFactor`);
  if (alignCorners && mode === "nearest")
    throw shapeError(op, "align-corners-mode", message`alignCorners is for linear interpolation`);
  const scales =
    typeof scaleFactor === "number" ? Array.from({ length: rank }, () => scaleFactor) : scaleFactor;
  if (scales && scales.length !== rank)
    throw shapeError(
      op,
      "entries",
      message`scaleFactor has ${{ entries: scales.length }} entries for ${{ axes: rank }} spatial axes`,
    );
  const sizes = perAxis(
    op,
    "size",
    size ?? scales!.map((s, a) => Math.floor(x.shape[a + 2] * s)),
    rank,
    1,
  );
  const most = 2 ** 20;
  sizes.forEach((v, a) => {
    if (v > most)
      throw shapeError(
        op,
        "size-too-large",
        message`size ${{ size: v }} is more than ${{ most }}, the most that an axis may have`,
        axisName(rank, a),
      );
  });
  // throws for more than can be, before any table of places is made
  spec([...x.shape.slice(0, 2), ...sizes]);
  return scope(() =>
    // The last axis first: rows that are copied or added whole are cheaper, so they come when there
    // are more of them.
    sizes.reduceRight((y, output, a) => {
      const input = x.shape[a + 2];
      if (input === 0)
        throw shapeError(op, "input-empty", message`input is empty`, axisName(rank, a));
      if (output === input && (!scales || scales[a] === 1)) return y;
      const ratio = scales ? 1 / scales[a] : input / output;
      const step = output > 1 ? (input - 1) / (output - 1) : 0;
      const row =
        mode === "nearest"
          ? nearest(ratio, input)
          : linear(alignCorners ? (o) => o * step : (o) => (o + 0.5) * ratio - 0.5, input);
      return resample(
        y,
        Array.from({ length: output }, (_, o) => row(o)),
        a + 2,
        windowOf(mode, alignCorners, input, output),
      );
    }, x),
  );
}

/**
 * Channels laid out in space: x (n, c·r², h, w) → (n, c, h·r, w·r), y[c, h·r + i, w·r + j] = x[c·r²
 * + i·r + j, h, w]; over any number of spatial axes. Shi et al., "Real-Time Single Image and Video
 * Super-Resolution", CVPR 2016. Throws ShapeError where the channels do not divide.
 */
export function pixelShuffle<T extends Arg>(x: T, factor: number): T {
  const [n, channels, ...space] = x.shape;
  const rank = mustHaveSpace("pixelShuffle", x, factor);
  const c = channels / factor ** rank;
  if (!Number.isInteger(c))
    throw shapeError(
      "pixelShuffle",
      "channels-not-divisible",
      message`${{ channels }} channels do not divide by ${{ factor }}^${{ axes: rank }} = ${{ divisor: factor ** rank }}`,
    );
  const order = [0, 1, ...space.flatMap((_, a) => [2 + rank + a, 2 + a])];
  // (n, c·rᵏ, …) → (n, c, r, …, h, …) → (n, c, h, r, …) → (n, c, h·r, …)
  return scope(() => {
    const split = reshape(x, [n, c, ...space.map(() => factor), ...space]);
    return reshape(transpose(split, order), [n, c, ...space.map((v) => v * factor)]);
  });
}

/**
 * Space laid out in channels, the inverse of {@link pixelShuffle}: x (n, c, h·r, w·r) → (n, c·r²,
 * h, w). Throws ShapeError where the sizes do not divide.
 */
export function pixelUnshuffle<T extends Arg>(x: T, factor: number): T {
  const [n, c, ...space] = x.shape;
  const rank = mustHaveSpace("pixelUnshuffle", x, factor);
  space.forEach((v, a) => {
    if (v % factor)
      throw shapeError(
        "pixelUnshuffle",
        "size-not-divisible",
        message`size ${{ size: v }} does not divide by ${{ factor }}`,
        axisName(rank, a),
      );
  });
  const order = [0, 1, ...space.map((_, a) => 3 + 2 * a), ...space.map((_, a) => 2 + 2 * a)];
  return scope(() => {
    const split = reshape(x, [n, c, ...space.flatMap((v) => [v / factor, factor])]);
    return reshape(transpose(split, order), [
      n,
      c * factor ** rank,
      ...space.map((v) => v / factor),
    ]);
  });
}

/** How many spatial axes there are. */
function mustHaveSpace(op: string, { spec: x }: Arg, factor: number): number {
  mustBeWhole(op, "factor", factor, 1);
  return spatialRank(op, x);
}
