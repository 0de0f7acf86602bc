// First values of parameters. An Initializer fills one tensor; an Init chooses the initializers of
// a layer from its fan. The default is PyTorch's: kaiming uniform with a = √5, that is
// U(±1/√fan_in), for weight and bias alike.

import { checkOptions, formatShape, shapeError, sizeOf } from "@conv/tensor";
import type { Random } from "../data/random.ts";

/** Makes the first values of a parameter of this shape. */
export type Initializer = (shape: readonly number[], random: Random) => Float32Array;

/** How many inputs feed one unit, and how many units one input feeds. */
export interface Fan {
  readonly in: number;
  readonly out: number;
}

/** Chooses the initializer of a layer's weight or bias. */
export type Init = (fan: Fan, role: "weight" | "bias") => Initializer;

/** Uniform in [lo, hi). */
export const uniform =
  (lo: number, hi: number): Initializer =>
  (shape, random) =>
    Float32Array.from({ length: sizeOf(shape) }, () => lo + (hi - lo) * random.uniform());

/** Normal with this mean and standard deviation. */
export const normal =
  (mean: number, std: number): Initializer =>
  (shape, random) =>
    Float32Array.from({ length: sizeOf(shape) }, () => mean + std * random.normal());

export const constant =
  (value: number): Initializer =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value);
export const zeros: Initializer = constant(0);
export const ones: Initializer = constant(1);

/** Exactly these numbers; throws ShapeError unless there are as many as the shape holds. */
export const values =
  (list: ArrayLike<number>): Initializer =>
  (shape) => {
    if (list.length !== sizeOf(shape))
      throw shapeError(
        "values",
        `${list.length} values do not fill shape ${formatShape(shape)}, which holds ${sizeOf(shape)}`,
      );
    return Float32Array.from(list);
  };

/** The fan of a weight (out, in, …kernel), counted as PyTorch does. */
export function fanOf(weight: readonly number[]): Fan {
  if (weight.length < 2)
    throw shapeError(
      "fan",
      `a weight of shape ${formatShape(weight)} has no fan, needs at least 2 axes`,
    );
  const field = sizeOf(weight.slice(2));
  return { in: weight[1] * field, out: weight[0] * field };
}

const bound = (b: number): Initializer => uniform(-b, b);

/** PyTorch's default: U(±1/√fan_in) for weight and bias. */
export const pytorch: Init = (fan) => bound(1 / Math.sqrt(fan.in));

/** LeCun, Bottou, Bengio and Haffner 1998, appendix A: U(±2.4/fan_in) for weight and bias. */
export const lecun1998: Init = (fan) => bound(2.4 / fan.in);

export interface KaimingOptions {
  /** Slope of the leaky relu that follows; 0 for relu. */
  readonly a?: number | undefined;
  readonly mode?: "in" | "out" | undefined;
}

/** He et al. 2015: variance 2/((1 + a²)·fan) for the weight, uniform; the bias is zero. */
export function kaimingUniform(options: KaimingOptions = {}): Init {
  checkOptions("kaimingUniform", options, "a mode");
  const { a = 0, mode = "in" } = options;
  return (fan, role) => (role === "bias" ? zeros : bound(Math.sqrt(6 / ((1 + a * a) * fan[mode]))));
}

/** As {@link kaimingUniform}, normal. */
export function kaimingNormal(options: KaimingOptions = {}): Init {
  checkOptions("kaimingNormal", options, "a mode");
  const { a = 0, mode = "in" } = options;
  return (fan, role) =>
    role === "bias" ? zeros : normal(0, Math.sqrt(2 / ((1 + a * a) * fan[mode])));
}

/**
 * Glorot and Bengio 2010: variance gain²·2/(fan_in + fan_out) for the weight, uniform; the bias is
 * zero.
 */
export function xavierUniform(options: { readonly gain?: number | undefined } = {}): Init {
  checkOptions("xavierUniform", options, "gain");
  const { gain = 1 } = options;
  return (fan, role) => (role === "bias" ? zeros : bound(gain * Math.sqrt(6 / (fan.in + fan.out))));
}

/** As {@link xavierUniform}, normal. */
export function xavierNormal(options: { readonly gain?: number | undefined } = {}): Init {
  checkOptions("xavierNormal", options, "gain");
  const { gain = 1 } = options;
  return (fan, role) =>
    role === "bias" ? zeros : normal(0, gain * Math.sqrt(2 / (fan.in + fan.out)));
}
