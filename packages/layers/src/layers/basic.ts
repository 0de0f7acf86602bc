// Layers without geometry: linear, flatten, dropout, and sequences of layers.

import * as ops from "@conv/ops";
import { kindOf, message, shapeError } from "@conv/tensor";
import { mustBe, mustCount } from "../checks.ts";
import { fanOf } from "./init.ts";
import type { Layer } from "./layer.ts";
import {
  biasOf,
  configured,
  WEIGHT,
  weightOf,
  type LayerOptions,
  type WeightOptions,
} from "./options.ts";

export interface LinearOptions extends LayerOptions, WeightOptions {
  /** Number of input features, which is checked. Default: taken from the input. */
  readonly inFeatures?: number | undefined;
}

/**
 * y = x·wᵀ + b over the last axis: x (n, …, in) → (n, …, outFeatures). Parameters weight
 * (outFeatures, in), bias (outFeatures). Throws RangeError unless outFeatures is a whole number ≥
 * 1, and ShapeError if x does not fit.
 */
export function linear(outFeatures: number, options: LinearOptions = {}): Layer {
  const { inFeatures } = options;
  mustCount("linear", "outFeatures", outFeatures);
  const layer: Layer = {
    type: "linear",
    forward(x, ctx) {
      if (x.shape.length < 2)
        throw shapeError(
          "linear",
          "input-rank",
          message`input has ${{ axes: x.shape.length }} axes, needs at least 2 (batch and features)`,
        );
      const features = x.shape[x.shape.length - 1];
      if (inFeatures !== undefined && inFeatures !== features)
        throw shapeError(
          "linear",
          "features",
          message`inFeatures is ${{ features: inFeatures }}, input has ${{ input: features }}`,
        );
      const shape = [outFeatures, features];
      return ops.linear(
        x,
        weightOf(ctx, shape, options),
        biasOf(ctx, [outFeatures], options, fanOf(shape)),
      );
    },
  };
  return configured(layer, options, `inFeatures ${WEIGHT}`);
}

/** Joins all axes from `startAxis` on, with the default 1: (n, c, h, w) → (n, c·h·w). */
export const flatten = (startAxis = 1): Layer => ({
  type: "flatten",
  forward: (x) => ops.flatten(x, startAxis),
});

/**
 * In training, sets elements to 0 with probability p and multiplies the others by 1/(1 − p). There
 * is one random number for each element of the shape `drawn(x.shape)`, broadcast over x.
 */
function dropping(
  type: string,
  p: number,
  drawn: (shape: readonly number[]) => readonly number[],
): Layer {
  mustBe("in [0, 1)", type, { probability: p });
  return {
    type,
    forward(x, ctx) {
      if (!ctx.training || p === 0) return x;
      // u (uniform) ≥ p keeps: x · [u ≥ p] / (1 − p)
      return ops.map(
        type,
        ["select", ["gt", p, "b"], 0, ["mul", 1 / (1 - p), "a"]],
        [x, ops.random(ctx.seed(), drawn(x.shape))],
      );
    },
  };
}

/**
 * In training, sets each element to 0 with probability p (default 0.5) and multiplies the others by
 * 1/(1 − p). In inference it returns its input. Throws RangeError unless 0 ≤ p < 1.
 */
export const dropout = (p = 0.5): Layer => dropping("dropout", p, (shape) => shape);

/**
 * {@link dropout} of whole channels of a sample, as torch.nn.Dropout2d: x (n, c, …) → the same
 * shape (Tompson et al. 2015).
 */
export const channelDropout = (p = 0.5): Layer =>
  dropping("channelDropout", p, (shape) => shape.map((size, a) => (a < 2 ? size : 1)));

/**
 * {@link dropout} of whole samples ("row", the default) or of the whole batch ("batch"). Before a
 * residual sum it skips the block (Huang et al. 2016).
 */
export const stochasticDepth = (p: number, mode: "row" | "batch" = "row"): Layer =>
  dropping("stochasticDepth", p, (shape) =>
    shape.map((size, a) => (a === 0 && mode === "row" ? size : 1)),
  );

/**
 * A list of layers with the names "0", "1", … (or their option `name`), pairs of name and layer, or
 * an object.
 */
export type Parts =
  | readonly Layer[]
  | readonly (readonly [string, Layer])[]
  | Readonly<Record<string, Layer>>;

/**
 * Layers in sequence. The order is that of the list or object; JavaScript orders keys that are
 * whole numbers first, so use pairs for such names.
 */
export const sequential = (parts: Parts): Layer => ({
  type: "sequential",
  forward: (x, ctx) =>
    named(parts).reduce((value, [name, layer]) => ctx.child(name, layer, value), x),
});

const isPair = (part: Layer | readonly [string, Layer]): part is readonly [string, Layer] =>
  Array.isArray(part);

/** Parts with their names. Throws ShapeError for a part that is not a layer. */
export function named(parts: Parts): readonly (readonly [string, Layer])[] {
  const list: readonly (readonly [string, Layer])[] = Array.isArray(parts)
    ? parts.map((part: Layer | readonly [string, Layer], i) =>
        isPair(part) ? part : [part?.name ?? `${i}`, part],
      )
    : Object.entries(parts);
  for (const [name, part] of list)
    if (typeof part?.forward !== "function")
      throw shapeError(
        name,
        "not-a-layer",
        message`this part is ${{ kind: kindOf(part) }}, must be a layer; call the function that makes it: relu(), not relu`,
      );
  return list;
}

/**
 * Layers in sequence under one name, such as a convolution and its activation. Only one of them may
 * have a parameter of a given name.
 */
export const pipe = (...layers: readonly Layer[]): Layer => ({
  type: layers[0]?.type ?? "pipe",
  forward: (x, ctx) => layers.reduce((value, layer) => layer.forward(value, ctx), x),
});
