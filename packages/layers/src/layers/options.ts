// Options that layers have in common, PyTorch's and Keras's words side by side: what each layer
// does around its own work (layout, activation, freezing), and how weight and bias begin and are
// held in training.

import { affine, transpose } from "@conv/ops";
import { checkOptions, quoted, shapeError, type Value } from "@conv/tensor";
import { activations, type ActivationName } from "./activation.ts";
import { fanOf, ones, pytorch, zeros, type Fan, type Init, type Initializer } from "./init.ts";
import type { Constraint, Context, Layer, Regularizer } from "./layer.ts";

export interface LayerOptions {
  /** Its name within the whole, instead of its place in a list. */
  readonly name?: string | undefined;
  /**
   * false: its tensors are saved and never change, no gradient is computed for them, and it runs as
   * when predicting. Default: true.
   */
  readonly trainable?: boolean | undefined;
  /** What follows: a layer, under the name `activation`, or its name. */
  readonly activation?: ActivationName | Layer | undefined;
  /**
   * What the layer gives out adds this to the loss of a training step, divided by the batch as in
   * Keras.
   */
  readonly activityRegularizer?: Regularizer | undefined;
}

/**
 * "channels-first" (n, c, …space), the default, or "channels-last" (n, …space, c), for input and
 * output.
 */
export type Layout = "channels-first" | "channels-last";

export interface SpatialOptions extends LayerOptions {
  readonly layout?: Layout | undefined;
}

export interface WeightOptions {
  /** Default: true. */
  readonly bias?: boolean | undefined;
  /** Keras's word for `bias`. */
  readonly useBias?: boolean | undefined;
  /** First weight and bias by the layer's fan. Default: PyTorch's. */
  readonly init?: Init | undefined;
  /** Instead of `init`, for the weight. */
  readonly kernelInitializer?: Init | undefined;
  /** Instead of `init`, for the bias: `zeros`, `constant(0.1)`. */
  readonly biasInitializer?: Initializer | undefined;
  readonly kernelRegularizer?: Regularizer | undefined;
  readonly biasRegularizer?: Regularizer | undefined;
  readonly kernelConstraint?: Constraint | undefined;
  readonly biasConstraint?: Constraint | undefined;
}

/**
 * Names of {@link LayerOptions}, {@link WeightOptions} and {@link AffineOptions}, as `checkOptions`
 * takes them.
 */
export const LAYER = "name trainable activation activityRegularizer";
export const WEIGHT =
  "bias useBias init kernelInitializer biasInitializer kernelRegularizer biasRegularizer kernelConstraint biasConstraint";
export const AFFINE =
  "affine scale center gammaInitializer betaInitializer gammaRegularizer betaRegularizer gammaConstraint betaConstraint eps";

/**
 * The layer with what its options put around it. Throws RangeError for an option that is none of
 * `names` nor common to all layers.
 */
export function configured(layer: Layer, options: SpatialOptions, names: string): Layer {
  checkOptions(layer.type, options, `${names} ${LAYER}`);
  return around(layer, options);
}

function around(layer: Layer, options: SpatialOptions): Layer {
  const {
    name,
    trainable = true,
    activation,
    activityRegularizer,
    layout = "channels-first",
  } = options;
  const active = typeof activation === "string" ? activationOf(layer.type, activation) : activation;
  if (layout !== "channels-first" && layout !== "channels-last")
    throw shapeError(
      layer.type,
      `layout ${JSON.stringify(layout)} is neither "channels-first" nor "channels-last"`,
    );
  const forward = (x: Value, ctx: Context): Value => {
    const y = layer.forward(x, trainable ? ctx : ctx.frozen());
    const z = active ? ctx.child("activation", active, y) : y;
    if (activityRegularizer) ctx.loss(affine(activityRegularizer(z), 1 / z.shape[0]));
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
    throw shapeError(
      type,
      `there is no activation ${quoted(name)}; there are ${Object.keys(activations).join(", ")}`,
    );
  return activations[name]();
}

// (n, …space, c) → (n, c, …space)
const toFirst = (x: Value): Value =>
  transpose(x, [0, x.shape.length - 1, ...x.shape.slice(2).map((_, a) => a + 1)]);
// (n, c, …space) → (n, …space, c)
const toLast = (x: Value): Value => transpose(x, [0, ...x.shape.slice(2).map((_, a) => a + 2), 1]);

/**
 * The same layer with tensors that are saved and never change: no gradient is computed for them,
 * and all in it runs as when predicting.
 */
export const freeze = (layer: Layer): Layer =>
  around(layer, { name: layer.name, trainable: false });

/**
 * The same layer for inputs (n, …space, c), with outputs of that kind: what the option `layout`
 * does, for any layer.
 */
export const channelsLast = (layer: Layer): Layer =>
  around(layer, { name: layer.name, layout: "channels-last" });

/** The parameter weight. */
export const weightOf = (
  ctx: Context,
  shape: readonly number[],
  options: WeightOptions,
  fan: Fan = fanOf(shape),
): Value => {
  const {
    init = pytorch,
    kernelInitializer = init,
    kernelRegularizer: regularizer,
    kernelConstraint: constraint,
  } = options;
  return ctx.param("weight", shape, kernelInitializer(fan, "weight"), { regularizer, constraint });
};

/**
 * The parameter bias, where there is one. Throws ShapeError where `bias` and `useBias` say
 * different things.
 */
export function biasOf(
  type: string,
  ctx: Context,
  shape: readonly number[],
  options: WeightOptions,
  fan: Fan,
): Value | undefined {
  const {
    bias,
    useBias,
    init = pytorch,
    biasInitializer,
    biasRegularizer: regularizer,
    biasConstraint: constraint,
  } = options;
  if (bias !== undefined && useBias !== undefined && bias !== useBias)
    throw shapeError(type, `bias is ${bias} and useBias is ${useBias}`);
  if (!(bias ?? useBias ?? true)) return undefined;
  return ctx.param("bias", shape, biasInitializer ?? init(fan, "bias"), {
    regularizer,
    constraint,
  });
}

export interface AffineOptions {
  /**
   * Whether each normalized value is scaled by a parameter weight and shifted by a parameter bias.
   */
  readonly affine?: boolean | undefined;
  /** Keras's words, each for one of them. Default: `affine`. */
  readonly scale?: boolean | undefined;
  readonly center?: boolean | undefined;
  /** Of weight; default: ones. */
  readonly gammaInitializer?: Initializer | undefined;
  /** Of bias; default: zeros. */
  readonly betaInitializer?: Initializer | undefined;
  readonly gammaRegularizer?: Regularizer | undefined;
  readonly betaRegularizer?: Regularizer | undefined;
  readonly gammaConstraint?: Constraint | undefined;
  readonly betaConstraint?: Constraint | undefined;
}

/** The parameters weight and bias of a normalization, where there are such. */
export function affineOf(
  ctx: Context,
  shape: readonly number[],
  options: AffineOptions,
  byDefault = true,
): { weight?: Value | undefined; bias?: Value | undefined } {
  const {
    affine = byDefault,
    scale = affine,
    center = affine,
    gammaInitializer = ones,
    betaInitializer = zeros,
  } = options;
  const [gamma, beta] = [
    { regularizer: options.gammaRegularizer, constraint: options.gammaConstraint },
    { regularizer: options.betaRegularizer, constraint: options.betaConstraint },
  ];
  return {
    ...(scale && { weight: ctx.param("weight", shape, gammaInitializer, gamma) }),
    ...(center && { bias: ctx.param("bias", shape, betaInitializer, beta) }),
  };
}
