// Initializers of parameters. The default is PyTorch's for convolutions and linear layers: Kaiming
// uniform with a = √5, which is U(±1/√fan_in), for weight and bias.

import { checkOptions, formatShape, message, rangeError, shapeError, sizeOf } from "@conv/tensor";
import type { Random } from "../data/random.ts";

/** Number of inputs of one unit (fan_in), and number of units that read one input (fan_out). */
export interface Fan {
  readonly in: number;
  readonly out: number;
}

/** The role of a parameter in its layer. */
export type Role = "weight" | "bias";

/**
 * Returns the initial values of a parameter of this shape, in row-major order. A layer passes the
 * fan of its weight and the role of the parameter. By default the parameter is a weight with the
 * fan of its own shape.
 */
export type Init = (
  shape: readonly number[],
  random: Random,
  fan?: Fan,
  role?: Role,
) => Float32Array;

const fill = (shape: readonly number[], next: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, next);

/** Uniform distribution in [lo, hi). */
export const uniform =
  (lo: number, hi: number): Init =>
  (shape, random) =>
    fill(shape, () => lo + (hi - lo) * random.uniform());

/** Normal distribution with this mean and standard deviation. */
export const normal =
  (mean: number, std: number): Init =>
  (shape, random) =>
    fill(shape, () => mean + std * random.normal());

/** All values equal. */
export const constant =
  (value: number): Init =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value);
export const zeros: Init = constant(0);
export const ones: Init = constant(1);

/** The given values. Throws ShapeError unless their number is that of the shape. */
export const values =
  (list: ArrayLike<number>): Init =>
  (shape) => {
    if (list.length !== sizeOf(shape))
      throw shapeError(
        "values",
        "init-length",
        message`${{ given: list.length }} values do not fill shape ${{ shape: formatShape(shape) }}, which has ${{ needed: sizeOf(shape) }}`,
      );
    return Float32Array.from(list);
  };

/**
 * The fan of a weight (out, in, …kernel), as PyTorch computes it: in·kernel and out·kernel. Throws
 * ShapeError for fewer than 2 axes.
 */
export function fanOf(weight: readonly number[]): Fan {
  if (weight.length < 2)
    throw shapeError(
      "fan",
      "fan-rank",
      message`a weight of shape ${{ shape: formatShape(weight) }} has no fan, needs at least ${{ rank: 2 }} axes`,
    );
  const field = sizeOf(weight.slice(2));
  return { in: weight[1] * field, out: weight[0] * field };
}

/** An initializer of weights that sets a bias to 0. */
const weightOnly =
  (make: (fan: Fan) => Init): Init =>
  (shape, random, fan = fanOf(shape), role = "weight") =>
    (role === "bias" ? zeros : make(fan))(shape, random);

const bounded = (bound: number): Init => uniform(-bound, bound);

/** U(±1/√fan_in) for weight and bias, PyTorch's default. */
export const pytorch: Init = (shape, random, fan = fanOf(shape)) =>
  bounded(1 / Math.sqrt(fan.in))(shape, random);

/** U(±2.4/fan_in) for weight and bias (LeCun, Bottou, Bengio and Haffner 1998, appendix A). */
export const lecun1998: Init = (shape, random, fan = fanOf(shape)) =>
  bounded(2.4 / fan.in)(shape, random);

/**
 * Throws RangeError for unknown options, and if a layer called the function that returns the
 * initializer, for `init: xavierUniform` instead of `init: xavierUniform()`.
 */
function checkInit(op: string, options: object, names: string): void {
  if (Array.isArray(options))
    throw rangeError(
      op,
      "init-not-called",
      message`${{ name: op }} is not an initializer, but returns one; write ${{ call: `${op}()` }}`,
    );
  checkOptions(op, options, names);
}

// A uniform distribution in ±b has variance b²/3: hence 6, where the normal distribution has 2.
const kinds = {
  uniform: { numerator: 6, make: bounded },
  normal: { numerator: 2, make: (std: number): Init => normal(0, std) },
};

export interface KaimingOptions {
  /** Slope of the leaky ReLU after the layer. Default: 0, ReLU. */
  readonly a?: number | undefined;
  readonly mode?: "in" | "out" | undefined;
}

function kaiming(name: string, kind: keyof typeof kinds, options: KaimingOptions): Init {
  checkInit(name, options, "a mode");
  const { a = 0, mode = "in" } = options;
  const { numerator, make } = kinds[kind];
  return weightOnly((fan) => make(Math.sqrt(numerator / ((1 + a * a) * fan[mode]))));
}

/** Uniform with variance 2/((1 + a²)·fan) for the weight, 0 for the bias (He et al. 2015). */
export const kaimingUniform = (options: KaimingOptions = {}): Init =>
  kaiming("kaimingUniform", "uniform", options);
/** {@link kaimingUniform} with a normal distribution. */
export const kaimingNormal = (options: KaimingOptions = {}): Init =>
  kaiming("kaimingNormal", "normal", options);

export interface XavierOptions {
  readonly gain?: number | undefined;
}

function xavier(name: string, kind: keyof typeof kinds, options: XavierOptions): Init {
  checkInit(name, options, "gain");
  const { gain = 1 } = options;
  const { numerator, make } = kinds[kind];
  return weightOnly((fan) => make(gain * Math.sqrt(numerator / (fan.in + fan.out))));
}

/**
 * Uniform with variance gain²·2/(fan_in + fan_out) for the weight, 0 for the bias (Glorot and
 * Bengio 2010).
 */
export const xavierUniform = (options: XavierOptions = {}): Init =>
  xavier("xavierUniform", "uniform", options);
/** {@link xavierUniform} with a normal distribution. */
export const xavierNormal = (options: XavierOptions = {}): Init =>
  xavier("xavierNormal", "normal", options);
