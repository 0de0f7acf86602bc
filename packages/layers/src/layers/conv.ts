// Convolution layers in one, two and three dimensions, plain and transposed, with PyTorch's names,
// defaults and shapes. Depthwise is groups = channels.

import {
  add,
  conv,
  convTranspose,
  flip,
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
  /** Numbers or a name: see PaddingName of `@conv/ops`, and explainPadding there. */
  readonly padding?: Padding | undefined;
  readonly dilation?: PerAxis | undefined;
  readonly groups?: number | undefined;
  /** Stands for the precision of the back end in this layer and its gradients. */
  readonly precision?: Precision | undefined;
  /** Checked against the input; taken from it where absent. */
  readonly inChannels?: number | undefined;
}

export interface ConvLayerOptions extends SharedOptions {
  /** What the padding holds. Default: zeros. */
  readonly paddingMode?: PaddingMode | undefined;
  /**
   * Convolution as mathematics has it, with the kernel reversed along every spatial axis. Default:
   * false, cross-correlation.
   */
  readonly flipKernel?: boolean | undefined;
}

export interface ConvTransposeLayerOptions extends SharedOptions {
  /** Added at the end of each axis; must be smaller than stride or dilation. */
  readonly outputPadding?: PerAxis | undefined;
  /** Sizes of the output: chooses outputPadding. */
  readonly outputSize?: PerAxis | undefined;
}

/** Names of what convolutions share, but `groups`. */
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

/** y plus a number for each channel. */
export const addBias = (y: Value, bias: Value): Value =>
  add(y, reshape(bias, [1, y.shape[1], ...y.shape.slice(2).map(() => 1)]));

/** The channels of x; throws ShapeError where the layer does not fit them. */
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
  if (channels % groups)
    throw shapeError(
      type,
      "groups",
      message`${{ channels }} input channels do not divide into ${{ groups }} groups`,
    );
  if (outChannels % groups)
    throw shapeError(
      type,
      "groups",
      message`${{ channels: outChannels }} output channels do not divide into ${{ groups }} groups`,
    );
  return channels;
}

/** Convolution with the padding and the kernel that the options say. */
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

/** What of the options is the op's. */
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

/** How the layers differ: the first two axes of the weight, and the op. */
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
 * (outChannels, ic/groups, …kernel), transposed (ic, outChannels/groups, …kernel), and bias
 * (outChannels).
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
 * Convolution over one spatial axis: x (n, ic, w) → (n, outChannels, w′). Throws ShapeError where
 * the geometry does not fit.
 */
export const conv1d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 1, outChannels, kernel, options);
/**
 * Convolution over two spatial axes: x (n, ic, h, w) → (n, outChannels, h′, w′). Throws ShapeError
 * where the geometry does not fit.
 */
export const conv2d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 2, outChannels, kernel, options);
/**
 * Convolution over three spatial axes: x (n, ic, d, h, w) → (n, outChannels, d′, h′, w′). Throws
 * ShapeError where the geometry does not fit.
 */
export const conv3d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvLayerOptions = {},
): Layer => layer(plain, 3, outChannels, kernel, options);

/**
 * Transposed convolution over one spatial axis: x (n, ic, w) → (n, outChannels, (w − 1)·stride −
 * padding + span + outputPadding).
 */
export const convTranspose1d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 1, outChannels, kernel, options);
/**
 * Transposed convolution over two spatial axes, the gradient of `conv2d` to its input. Throws
 * ShapeError where the geometry does not fit.
 */
export const convTranspose2d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 2, outChannels, kernel, options);
/** Transposed convolution over three spatial axes. */
export const convTranspose3d = (
  outChannels: number,
  kernel: PerAxis,
  options: ConvTransposeLayerOptions = {},
): Layer => layer(transposed, 3, outChannels, kernel, options);
