// Options that layers share: layout, activation and freezing of any layer, and initializers,
// regularizers and constraints of weight and bias.

import { affine, transpose } from "@conv/ops";
import { checkOptions, message, quoted, rangeError, type Value } from "@conv/tensor";
import { mustBeFunction } from "../checks.ts";
import { activations, type ActivationName } from "./activation.ts";
import { fanOf, ones, pytorch, zeros, type Fan, type Init } from "./init.ts";
import type { Constraint, Context, Layer, Regularizer } from "./layer.ts";

export interface LayerOptions {
  /** Name in a list of layers. Default: its index. */
  readonly name?: string | undefined;
  /**
   * false: the layer's tensors are saved but never change, no gradient is computed for them, and
   * the layer runs as in inference. Default: true.
   */
  readonly trainable?: boolean | undefined;
  /**
   * Activation after the layer: a name, or a layer, which becomes the part `activation`. Default:
   * none.
   */
  readonly activation?: ActivationName | Layer | undefined;
  /**
   * Applied to the layer's output. The result divided by the batch size is added to the training
   * loss.
   */
  readonly outputRegularizer?: Regularizer | undefined;
}

/**
 * Order of the axes of input and output: "channels-first" (n, c, …space), the default, or
 * "channels-last" (n, …space, c).
 */
export type Layout = "channels-first" | "channels-last";

export interface SpatialOptions extends LayerOptions {
  readonly layout?: Layout | undefined;
}

/** Regularizers and constraints of the parameters weight and bias. Default: none. */
interface PenaltyOptions {
  readonly weightRegularizer?: Regularizer | undefined;
  readonly biasRegularizer?: Regularizer | undefined;
  readonly weightConstraint?: Constraint | undefined;
  readonly biasConstraint?: Constraint | undefined;
}

export interface WeightOptions extends PenaltyOptions {
  /** Whether there is a bias. Default: true. */
  readonly bias?: boolean | undefined;
  /** Initializer of weight and bias. Default: {@link pytorch}. */
  readonly init?: Init | undefined;
  /** Initializer of the weight. Default: `init`. */
  readonly weightInit?: Init | undefined;
  /** Initializer of the bias. Default: `init`. */
  readonly biasInit?: Init | undefined;
}

export interface AffineOptions extends PenaltyOptions {
  /** Whether normalized values are multiplied by a parameter weight and a bias is added. */
  readonly affine?: boolean | undefined;
  /** Whether there is a weight. Default: `affine`. */
  readonly weight?: boolean | undefined;
  /** Whether there is a bias. Default: `affine`. */
  readonly bias?: boolean | undefined;
  /** Default: ones. */
  readonly weightInit?: Init | undefined;
  /** Default: zeros. */
  readonly biasInit?: Init | undefined;
}

/**
 * Names of {@link LayerOptions}, {@link WeightOptions} and {@link AffineOptions}, for
 * `checkOptions`.
 */
export const LAYER = "name trainable activation outputRegularizer";
const PARAMETERS =
  "weightInit biasInit weightRegularizer biasRegularizer weightConstraint biasConstraint";
export const WEIGHT = `bias init ${PARAMETERS}`;
export const AFFINE = `affine weight bias ${PARAMETERS} eps`;

const EXAMPLES: Readonly<Record<string, string>> = {
  init: "xavierUniform() or zeros",
  regularizer: "l2(0.01)",
  constraint: "maxNorm(2)",
};

/**
 * Throws RangeError for unknown options, and for an initializer, regularizer or constraint that is
 * not a function.
 */
export function checkLayerOptions(type: string, options: object, names: string): void {
  checkOptions(type, options, names);
  for (const [name, value] of Object.entries(options)) {
    const [kind] = /(init|Regularizer|Constraint)$/i.exec(name) ?? [];
    if (kind && value !== undefined)
      mustBeFunction(type, name, value, `a function such as ${EXAMPLES[kind.toLowerCase()]}`);
  }
}

/**
 * The layer with the shared options applied. Throws RangeError for an option that is neither in
 * `names` nor shared by all layers.
 */
export function configured(layer: Layer, options: SpatialOptions, names: string): Layer {
  checkLayerOptions(layer.type, options, `${names} ${LAYER}`);
  return around(layer, options);
}

function around(layer: Layer, options: SpatialOptions): Layer {
  const {
    name,
    trainable = true,
    activation,
    outputRegularizer,
    layout = "channels-first",
  } = options;
  const active = typeof activation === "string" ? activationOf(layer.type, activation) : activation;
  if (layout !== "channels-first" && layout !== "channels-last")
    throw rangeError(
      layer.type,
      "layout",
      message`layout ${{ layout: JSON.stringify(layout) }} is neither "channels-first" nor "channels-last"`,
    );
  const forward = (x: Value, ctx: Context): Value => {
    const y = layer.forward(x, trainable ? ctx : ctx.frozen());
    const z = active ? ctx.child("activation", active, y) : y;
    if (outputRegularizer) ctx.loss(affine(outputRegularizer(z), 1 / z.shape[0]));
    return z;
  };
  return {
    type: layer.type,
    ...(name !== undefined && { name }),
    forward: layout === "channels-first" ? forward : (x, ctx) => toLast(forward(toFirst(x), ctx)),
  };
}

function activationOf(type: string, name: ActivationName): Layer {
  if (!Object.hasOwn(activations, name))
    throw rangeError(
      type,
      "unknown-activation",
      message`there is no activation ${{ activation: quoted(name) }}; use one of ${{ known: Object.keys(activations).join(", ") }}`,
    );
  return activations[name]();
}

// (n, …space, c) → (n, c, …space)
const toFirst = (x: Value): Value =>
  transpose(x, [0, x.shape.length - 1, ...x.shape.slice(2).map((_, a) => a + 1)]);
// (n, c, …space) → (n, …space, c)
const toLast = (x: Value): Value => transpose(x, [0, ...x.shape.slice(2).map((_, a) => a + 2), 1]);

/**
 * The same layer, frozen: its tensors are saved but never change, no gradient is computed for them,
 * and the layer and its parts run as in inference.
 */
export const freeze = (layer: Layer): Layer =>
  around(layer, { name: layer.name, trainable: false });

/** The same layer with input and output (n, …space, c), as by the option `layout`. */
export const channelsLast = (layer: Layer): Layer =>
  around(layer, { name: layer.name, layout: "channels-last" });

/** An initializer with fixed fan and role. */
export const initWith =
  (init: Init, fan: Fan, role: "weight" | "bias"): Init =>
  (shape, random) =>
    init(shape, random, fan, role);

/** The parameter weight. */
export function weightOf(
  ctx: Context,
  shape: readonly number[],
  { init = pytorch, weightInit = init, weightRegularizer, weightConstraint }: WeightOptions,
  fan: Fan = fanOf(shape),
): Value {
  return ctx.param("weight", shape, initWith(weightInit, fan, "weight"), {
    regularizer: weightRegularizer,
    constraint: weightConstraint,
  });
}

/** The parameter bias, undefined with `bias: false`. */
export function biasOf(
  ctx: Context,
  shape: readonly number[],
  { bias = true, init = pytorch, biasInit = init, biasRegularizer, biasConstraint }: WeightOptions,
  fan: Fan,
): Value | undefined {
  if (!bias) return undefined;
  return ctx.param("bias", shape, initWith(biasInit, fan, "bias"), {
    regularizer: biasRegularizer,
    constraint: biasConstraint,
  });
}

/** The parameters weight and bias of a normalization, as far as the options have them. */
export function affineOf(
  ctx: Context,
  shape: readonly number[],
  options: AffineOptions,
  byDefault = true,
): { weight?: Value | undefined; bias?: Value | undefined } {
  const { affine = byDefault, weight = affine, bias = affine } = options;
  const fan = { in: 1, out: 1 }; // weights are elementwise
  return {
    ...(weight && {
      weight: weightOf(ctx, shape, { ...options, weightInit: options.weightInit ?? ones }, fan),
    }),
    ...(bias && {
      bias: biasOf(ctx, shape, { ...options, biasInit: options.biasInit ?? zeros }, fan),
    }),
  };
}
