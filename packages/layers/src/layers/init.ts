// First values of parameters. The default is PyTorch's: Kaiming uniform with a = √5, which is
// U(±1/√fan_in), for weight and bias alike.

import { checkOptions, formatShape, message, rangeError, shapeError, sizeOf } from "@conv/tensor";
import type { Random } from "../data/random.ts";

/** How many inputs feed one unit, and how many units one input feeds. */
export interface Fan {
  readonly in: number;
  readonly out: number;
}

/** What a parameter is to its layer. */
export type Role = "weight" | "bias";

/**
 * Makes the first values of a parameter of this shape. A layer passes the fan of its weight and the
 * role of the parameter; by default the parameter is a weight with the fan of its own shape.
 */
export type Init = (
  shape: readonly number[],
  random: Random,
  fan?: Fan,
  role?: Role,
) => Float32Array;

const fill = (shape: readonly number[], next: () => number): Float32Array =>
  Float32Array.from({ length: sizeOf(shape) }, next);

/** Uniform in [lo, hi). */
export const uniform =
  (lo: number, hi: number): Init =>
  (shape, random) =>
    fill(shape, () => lo + (hi - lo) * random.uniform());

/** Normal with this mean and standard deviation. */
export const normal =
  (mean: number, std: number): Init =>
  (shape, random) =>
    fill(shape, () => mean + std * random.normal());

/** The same number everywhere. */
export const constant =
  (value: number): Init =>
  (shape) =>
    new Float32Array(sizeOf(shape)).fill(value);
export const zeros: Init = constant(0);
export const ones: Init = constant(1);

/** These numbers. Throws ShapeError unless there are as many as the shape holds. */
export const values =
  (list: ArrayLike<number>): Init =>
  (shape) => {
    if (list.length !== sizeOf(shape))
      throw shapeError(
        "values",
        "init-length",
        message`${{ given: list.length }} values do not fill shape ${{ shape: formatShape(shape) }}, which holds ${{ needed: sizeOf(shape) }}`,
      );
    return Float32Array.from(list);
  };

/** The fan of a weight (out, in, …kernel), counted as in PyTorch. */
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

/** An init for the weight; the bias is zero. */
const weightOnly =
  (make: (fan: Fan) => Init): Init =>
  (shape, random, fan = fanOf(shape), role = "weight") =>
    (role === "bias" ? zeros : make(fan))(shape, random);

const bounded = (bound: number): Init => uniform(-bound, bound);

/** PyTorch's default: U(±1/√fan_in) for weight and bias. */
export const pytorch: Init = (shape, random, fan = fanOf(shape)) =>
  bounded(1 / Math.sqrt(fan.in))(shape, random);

/** LeCun, Bottou, Bengio and Haffner 1998, appendix A: U(±2.4/fan_in) for weight and bias. */
export const lecun1998: Init = (shape, random, fan = fanOf(shape)) =>
  bounded(2.4 / fan.in)(shape, random);

/** Throws RangeError for wrong options, and where a layer called what makes an init. */
function checkInit(op: string, options: object, names: string): void {
  if (Array.isArray(options))
    throw rangeError(
      op,
      "init-not-called",
      message`${{ name: op }} makes an init: write ${{ call: `${op}()` }}`,
    );
  checkOptions(op, options, names);
}

// The squared bound of a uniform distribution is 3 times its variance: 6 where a normal one has 2.
const kinds = {
  uniform: { numerator: 6, make: bounded },
  normal: { numerator: 2, make: (std: number): Init => normal(0, std) },
};

export interface KaimingOptions {
  /** Slope of the leaky ReLU that follows; 0 for ReLU. */
  readonly a?: number | undefined;
  readonly mode?: "in" | "out" | undefined;
}

function kaiming(name: string, kind: keyof typeof kinds, options: KaimingOptions): Init {
  checkInit(name, options, "a mode");
  const { a = 0, mode = "in" } = options;
  const { numerator, make } = kinds[kind];
  return weightOnly((fan) => make(Math.sqrt(numerator / ((1 + a * a) * fan[mode]))));
}

/** He et al. 2015: uniform, variance 2/((1 + a²)·fan) for the weight; the bias is zero. */
export const kaimingUniform = (options: KaimingOptions = {}): Init =>
  kaiming("kaimingUniform", "uniform", options);
/** As {@link kaimingUniform}, normal. */
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
 * Glorot and Bengio 2010: uniform, variance gain²·2/(fan_in + fan_out) for the weight; the bias is
 * zero.
 */
export const xavierUniform = (options: XavierOptions = {}): Init =>
  xavier("xavierUniform", "uniform", options);
/** As {@link xavierUniform}, normal. */
export const xavierNormal = (options: XavierOptions = {}): Init =>
  xavier("xavierNormal", "normal", options);
