// Constraints: what a training step makes of a parameter after its update, as Keras defines them. A
// norm is taken over `axes`; where absent, over all but the first, so that each unit or output
// channel has its own, and over the whole of a bias.

import { map, sqrt, square, sum, type Axes, type Expr } from "@conv/ops";
import { checkOptions, type Value } from "@conv/tensor";
import { mustBe } from "../checks.ts";
import type { Constraint } from "../layers/layer.ts";

export interface NormOptions {
  readonly axes?: Axes | undefined;
}

/** Keras's ε: keeps a norm of 0 from being divided by. */
const EPSILON = 1e-7;

// w · desired(norm) / (ε + norm), with b the norm.
function scaled(name: string, desired: Expr, axes: Axes | undefined): Constraint {
  return (w: Value) => {
    const others = w.shape.flatMap((_, a) => (a > 0 || w.shape.length === 1 ? [a] : []));
    const norm = sqrt(sum(square(w), axes ?? others, true));
    return map(name, ["mul", "a", ["div", desired, ["add", "b", EPSILON]]], [w, norm]);
  };
}

/**
 * Scales what is longer than `max` down to that length (Srivastava et al. 2014). Throws RangeError
 * for a number out of range.
 */
export function maxNorm(max = 2, options: NormOptions = {}): Constraint {
  checkOptions("maxNorm", options, "axes");
  mustBe("a finite number ≥ 0", "maxNorm", { max });
  return scaled("maxNorm", ["min", "b", max], options.axes);
}

/** Scales to the length 1. */
export function unitNorm(options: NormOptions = {}): Constraint {
  checkOptions("unitNorm", options, "axes");
  return scaled("unitNorm", 1, options.axes);
}

export interface MinMaxNormOptions extends NormOptions {
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  /** How far each step goes: 1 all the way, less a part of it. */
  readonly rate?: number | undefined;
}

/**
 * Scales lengths into [min, max]: the new length is rate · clip(length, min, max) + (1 − rate) ·
 * length. Throws RangeError for numbers out of range.
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

/** max(w, 0). */
export const nonNeg = (): Constraint => (w) => map("nonNeg", ["max", "a", 0], [w]);
