// Constraints, functions that are applied to a parameter after its update, as Keras defines them.
// Norms are over `axes`. By default they are over all axes but the first, so that each unit or
// output channel has its own norm, and over all elements of a bias.

import { map, sqrt, square, sum, type Axes, type Expr } from "@conv/ops";
import { checkOptions, type Value } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import type { Constraint } from "../layers/layer.ts";

export interface NormOptions {
  readonly axes?: Axes | undefined;
}

/** ε of Keras, against division by 0. */
const EPSILON = 1e-7;

// w · desired(norm) / (ε + norm); in the expression b is the norm.
function scaled(name: string, desired: Expr, axes: Axes | undefined): Constraint {
  return (w: Value) => {
    const others = w.shape.flatMap((_, a) => (a > 0 || w.shape.length === 1 ? [a] : []));
    const norm = sqrt(sum(square(w), axes ?? others, true));
    return map(name, ["mul", "a", ["div", desired, ["add", "b", EPSILON]]], [w, norm]);
  };
}

/**
 * Scales vectors with a norm above `max` (default 2) to the norm `max` (Srivastava et al. 2014).
 * Throws RangeError unless max is a finite number ≥ 0.
 */
export function maxNorm(max = 2, options: NormOptions = {}): Constraint {
  checkOptions("maxNorm", options, "axes");
  mustBe("a finite number ≥ 0", "maxNorm", { max });
  return scaled("maxNorm", ["min", "b", max], options.axes);
}

/** Scales to norm 1. */
export function unitNorm(options: NormOptions = {}): Constraint {
  checkOptions("unitNorm", options, "axes");
  return scaled("unitNorm", 1, options.axes);
}

export interface MinMaxNormOptions extends NormOptions {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** Share of the correction that each step applies, from 0 to 1. Default: 1. */
  readonly rate?: number | undefined;
}

/**
 * Scales norms into [min, max] (default [0, 1]): the new norm is rate · clip(norm, min, max) + (1 −
 * rate) · norm. Throws RangeError for options out of range.
 */
export function minMaxNorm(options: MinMaxNormOptions = {}): Constraint {
  checkOptions("minMaxNorm", options, "min max rate axes");
  const { min = 0, max = 1, rate = 1, axes } = options;
  mustBe("a finite number ≥ 0", "minMaxNorm", { min, max, rate });
  mustBe("in [0, 1]", "minMaxNorm", { rate });
  const inside: Expr = ["max", ["min", "b", max], min];
  return scaled(
    "minMaxNorm",
    rate === 1 ? inside : ["add", ["mul", rate, inside], ["mul", 1 - rate, "b"]],
    axes,
  );
}

/** max(w, 0) for each element. */
export const nonNeg = (): Constraint => (w) => map("nonNeg", ["max", "a", 0], [w]);
