// Convolution and transposed convolution layers in one, two and three dimensions, with PyTorch's
// names, defaults and shapes. For depthwise convolution set `groups` to the number of channels.

import {
  add,
  conv,
  convTranspose,
  flip,
  mustDivide,
  padWith,
  perAxis,
  reshape,
  resolvePadding,
  spanOf,
  type ConvOptions,
  type Padding,
  type PaddingMode,
  type PerAxis,
  type Precision,
} from "@conv/ops";
import { message, shapeError, type Value } from "@conv/tensor";
import { mustCount } from "../checks.ts";
import { fanOf } from "./init.ts";
import type { Layer } from "./layer.ts";
import {
  biasOf,
  configured,
  WEIGHT,
  weightOf,
  type SpatialOptions,
  type WeightOptions,
} from "./options.ts";

interface SharedOptions extends SpatialOptions, WeightOptions {
  readonly stride?: PerAxis | undefined;
  /** Numbers or a name, see `Padding` and `explainPadding` of `@conv/ops`. Default: 0. */
  readonly padding?: Padding | undefined;
  readonly dilation?: PerAxis | undefined;
  readonly groups?: number | undefined;
  /** Overrides the precision of the back end for this layer and its gradients. */
  readonly precision?: Precision | undefined;
  /** Number of input channels, which is checked. Default: taken from the input. */
  readonly inChannels?: number | undefined;
}

export interface ConvLayerOptions extends SharedOptions {
  /** Values of the padding. Default: "zeros". */
  readonly paddingMode?: PaddingMode | undefined;
  /**
   * true: mathematical convolution, with the kernel reversed along every spatial axis. Default:
   * false, cross-correlation.
   */
  readonly flipKernel?: boolean | undefined;
}

export interface ConvTransposeLayerOptions extends SharedOptions {
  /**
   * Elements added at the end of each axis of the output; must be smaller than stride or dilation.
   * Default: 0.
   */
  readonly outputPadding?: PerAxis | undefined;
  /** Spatial sizes of the output, from which outputPadding is computed. */
  readonly outputSize?: PerAxis | undefined;
}

/** Names of the options that all convolutions share, without `groups`. */
export const CONV = `stride padding dilation layout inChannels precision ${WEIGHT}`;

/** Throws ShapeError unless x has batch, channels and `rank` spatial axes. */
export function checkRank(type: string, x: Value, rank: number): void {
  if (x.shape.length !== rank + 2)
    throw shapeError(
      type,
      "input-rank",
      message`input has ${{ axes: x.shape.length }} axes, needs ${{ needed: rank + 2 }} (batch, channels and ${{ spatial: rank }} spatial)`,
    );
}

/** y (n, c, …) plus bias (c). */
export const addBias = (y: Value, bias: Value): Value =>
  add(y, reshape(bias, [1, y.shape[1], ...y.shape.slice(2).map(() => 1)]));

/** The number of channels of x. Throws ShapeError if they do not fit the layer. */
export function checkChannels(
  type: string,
  outChannels: number,
  x: Value,
  { inChannels, groups = 1 }: SharedOptions,
): number {
  const channels = x.shape[1];
  if (inChannels !== undefined && inChannels !== channels)
    throw shapeError(
      type,
      "channels",
      message`inChannels is ${{ channels: inChannels }}, input has ${{ input: channels }}`,
    );
  mustDivide(type, "input channels", channels, groups);
  mustDivide(type, "output channels", outChannels, groups);
  return channels;
}

/** Convolution with the padding mode and kernel orientation of the options. */
function correlate(
  x: Value,
  w: Value,
  { paddingMode = "zeros", flipKernel = false, ...given }: ConvLayerOptions,
): Value {
  const options = geometryOf(given);
  const space = w.shape.slice(2).map((_, a) => a + 2);
  const kernel = flipKernel ? flip(w, space) : w;
  return paddingMode === "zeros"
    ? conv(x, kernel, options)
    : conv(padded(x, w, options, paddingMode), kernel, { ...options, padding: 0 });
}

/** The options of the op, without those of the layer. */
export const geometryOf = ({
  stride,
  padding,
  dilation,
  groups,
  precision,
}: SharedOptions): ConvOptions => ({
  stride,
  padding,
  dilation,
  groups,
  precision,
});

function padded(
  x: Value,
  w: Value,
  { stride = 1, dilation = 1, padding = 0 }: ConvOptions,
  mode: PaddingMode,
): Value {
  const [, , ...input] = x.shape;
  const [, , ...kernel] = w.shape;
  const d = perAxis("conv", "dilation", dilation, kernel.length, 1);
  const s = perAxis("conv", "stride", stride, kernel.length, 1);
  const { padLo, padHi } = resolvePadding("conv", padding, input, spanOf(kernel, d), s);
  return padWith(x, padLo, padHi, mode);
}

/** What differs between plain and transposed convolution. */
interface Kind<O extends SharedOptions> {
  readonly type: string;
  /** Names of the options of this kind. */
  readonly names: string;
  weight(ic: number, oc: number, groups: number): [number, number];
  apply(x: Value, w: Value, options: O): Value;
}

const plain: Kind<ConvLayerOptions> = {
  type: "conv",
  names: "paddingMode flipKernel",
  weight: (ic, oc, groups) => [oc, ic / groups],
  apply: correlate,
};
const transposed: Kind<ConvTransposeLayerOptions> = {
  type: "convTranspose",
  names: "outputPadding outputSize",
  weight: (ic, oc, groups) => [ic, oc / groups],
  apply: (x, w, options) => {
    const { outputPadding, outputSize } = options;
    return convTranspose(x, w, { ...geometryOf(options), outputPadding, outputSize });
  },
};

/**
 * x (n, ic, …input) → (n, outChannels, …output), with `rank` spatial axes. Parameters weight
 * (outChannels, ic/groups, …kernel), for a transposed convolution (ic, outChannels/groups,
 * …kernel), and bias (outChannels).
 */
function layer<O extends SharedOptions>(
  kind: Kind<O>,
  rank: number,
  outChannels: number,
  kernel: PerAxis,
  options: O,
): Layer {
  const type = `${kind.type}${rank}d`;
  const { groups = 1 } = options;
  mustCount(type, "outChannels", outChannels);
  const layer: Layer = {
    type,
    forward(x, ctx) {
      checkRank(type, x, rank);
      const channels = checkChannels(type, outChannels, x, options);
      const shape = [
        ...kind.weight(channels, outChannels, groups),
        ...perAxis(type, "kernel", kernel, rank, 1),
      ];
      const y = kind.apply(x, weightOf(ctx, shape, options), options);
      const bias = biasOf(ctx, [outChannels], options, fanOf(shape));
      return bias ? addBias(y, bias) : y;
    },
  };
  return configured(layer, options, `${CONV} groups ${kind.names}`);
}

/**
 * Convolution over one spatial axis: x (n, ic, w) → (n, outChannels, w′), with w′ = ⌊(w + padding −
 * dilation·(kernel − 1) − 1)/stride⌋ + 1, where `padding` is the sum of both sides. Parameters
 * weight (outChannels, ic/groups, kernel), bias (outChannels). Throws ShapeError if the geometry
 * does not fit.
 */
export const conv1d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 1, outChannels, kernel, options);
/** {@link conv1d} over two spatial axes: x (n, ic, h, w) → (n, outChannels, h′, w′). */
export const conv2d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 2, outChannels, kernel, options);
/** {@link conv1d} over three spatial axes: x (n, ic, d, h, w) → (n, outChannels, d′, h′, w′). */
export const conv3d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 3, outChannels, kernel, options);

/**
 * Transposed convolution over one spatial axis, the gradient of `conv1d` with respect to its input:
 * x (n, ic, w) → (n, outChannels, w′), with w′ = (w − 1)·stride − padding + dilation·(kernel − 1) +
 * 1 + outputPadding, where `padding` is the sum of both sides. Parameters weight (ic,
 * outChannels/groups, kernel), bias (outChannels). Throws ShapeError if the geometry does not fit.
 */
export const convTranspose1d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 1, outChannels, kernel, options);
/** {@link convTranspose1d} over two spatial axes: x (n, ic, h, w) → (n, outChannels, h′, w′). */
export const convTranspose2d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 2, outChannels, kernel, options);
/**
 * {@link convTranspose1d} over three spatial axes: x (n, ic, d, h, w) → (n, outChannels, d′, h′,
 * w′).
 */
export const convTranspose3d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 3, outChannels, kernel, options);
