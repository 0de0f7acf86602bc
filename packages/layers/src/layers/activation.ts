// Activations as layers, with PyTorch's formulas and defaults. All but softmax and logSoftmax are
// elementwise, and back ends fuse them into the preceding op.

import * as ops from "@conv/ops";
import { checkOptions, message, shapeError, type Value } from "@conv/tensor";
import { constant } from "./init.ts";
import type { Layer } from "./layer.ts";

const pure = (type: string, fn: (x: Value) => Value): Layer => ({ type, forward: (x) => fn(x) });

/** max(x, 0). */
export const relu = (): Layer => pure("relu", ops.relu);
/** min(max(x, 0), 6). */
export const relu6 = (): Layer => pure("relu6", ops.relu6);
/** x where x > 0, else slope·x. */
export const leakyRelu = (slope = 0.01): Layer => pure("leakyRelu", (x) => ops.leakyRelu(x, slope));
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = (): Layer => pure("sigmoid", ops.sigmoid);
/** Hyperbolic tangent. */
export const tanh = (): Layer => pure("tanh", ops.tanh);
/** amplitude · tanh(scale · x). Defaults: 1.7159 and 2/3 (LeCun et al. 1998). */
export const scaledTanh = (amplitude?: number, scale?: number): Layer =>
  pure("scaledTanh", (x) => ops.scaledTanh(x, amplitude, scale));
/**
 * scale·x where x > 0, else scale·alpha·(eˣ − 1), with scale ≈ 1.0507 and alpha ≈ 1.6733, for which
 * activations converge to mean 0 and variance 1 (Klambauer et al. 2017).
 */
export const selu = (): Layer => pure("selu", ops.selu);
/** x where x > 0, else alpha·(eˣ − 1). */
export const elu = (alpha = 1): Layer => pure("elu", (x) => ops.elu(x, alpha));
/**
 * x · Φ(x), where Φ is the standard normal distribution function. With `approximate: "tanh"`: x/2 ·
 * (1 + tanh(√(2/π)·(x + 0.044715·x³))). Default: "none".
 */
export function gelu(options: { readonly approximate?: "none" | "tanh" | undefined } = {}): Layer {
  checkOptions("gelu", options, "approximate");
  const { approximate = "none" } = options;
  return pure("gelu", (x) => ops.gelu(x, approximate));
}
/** x / (1 + e⁻ˣ), also called swish. */
export const silu = (): Layer => pure("silu", ops.silu);
/** x · tanh(log(1 + eˣ)). */
export const mish = (): Layer => pure("mish", ops.mish);
/** min(max(x + 3, 0), 6)/6. */
export const hardSigmoid = (): Layer => pure("hardSigmoid", ops.hardSigmoid);
/** x · min(max(x + 3, 0), 6)/6. */
export const hardSwish = (): Layer => pure("hardSwish", ops.hardSwish);
/**
 * log(1 + exp(beta·x))/beta, computed without overflow. Throws ShapeError unless beta is a finite
 * number > 0.
 */
export function softplus(beta = 1): Layer {
  if (!(beta > 0 && Number.isFinite(beta)))
    throw shapeError(
      "softplus",
      "number",
      message`beta ${{ value: beta }} is not a finite number > 0`,
    );
  return pure("softplus", (x) => ops.softplus(x, beta));
}

export interface PreluOptions {
  /** true: one slope for each channel (axis 1); false (the default): one for all channels. */
  readonly perChannel?: boolean | undefined;
  /** Initial slope. Default: 0.25. */
  readonly init?: number | undefined;
}

/**
 * x where x > 0, else weight·x. Parameter weight: (1), or (c) with `perChannel`. Throws ShapeError
 * if `perChannel` is set and x has fewer than 2 axes.
 */
export function prelu(options: PreluOptions = {}): Layer {
  checkOptions("prelu", options, "perChannel init");
  const { perChannel = false, init = 0.25 } = options;
  return {
    type: "prelu",
    forward(x, ctx) {
      if (perChannel && x.shape.length < 2)
        throw shapeError(
          "prelu",
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs at least 2 (batch and channels)`,
        );
      const slope = ctx.param("weight", [perChannel ? x.shape[1] : 1], constant(init));
      return ops.prelu(
        x,
        perChannel ? ops.reshape(slope, [1, x.shape[1], ...x.shape.slice(2).map(() => 1)]) : slope,
      );
    },
  };
}

/** eˣ / Σeˣ along an axis. Default: axis 1, the classes. */
export const softmax = (axis = 1): Layer => pure("softmax", (x) => ops.softmax(x, axis));
/** Logarithm of {@link softmax}, computed without overflow. */
export const logSoftmax = (axis = 1): Layer => pure("logSoftmax", (x) => ops.logSoftmax(x, axis));

/** Activations with default options by name, for the option `activation` of layers. */
export const activations = {
  elu,
  gelu,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  logSoftmax,
  mish,
  prelu,
  relu,
  relu6,
  scaledTanh,
  selu,
  sigmoid,
  silu,
  softmax,
  softplus,
  tanh,
} as const satisfies Readonly<Record<string, () => Layer>>;

export type ActivationName = keyof typeof activations;
