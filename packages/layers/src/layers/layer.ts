// The interface of layers, and tracing of a model into a graph. A layer is a plain object with a
// function `forward`, which gets its parameters by name from the context. Lists of parameters,
// graphs for training and inference, and diagrams all come from the same trace.

import {
  checkOptions,
  formatShape,
  type Graph,
  graphOf,
  input,
  message,
  quoted,
  sameShape,
  shapeError,
  sizeOf,
  type Spec,
  spec,
  unsupported,
  Value,
  within,
} from "@conv/tensor";
import { mustBeFunction } from "../checks.ts";
import type { Loss } from "../training/loss.ts";
import type { Init } from "./init.ts";

/** One value, or several by name. */
export type Values = Value | Readonly<Record<string, Value>>;

/**
 * A layer of a network, by default with one input and one output. `forward` is called once for each
 * use in a trace, and must not store values.
 */
export interface Layer<I extends Values = Value, O extends Values = Value> {
  readonly type: string;
  /** Name in a list of layers. Default: its index. */
  readonly name?: string | undefined;
  forward(x: I, ctx: Context): O;
}

/**
 * Computes a penalty of a parameter or an output, one element, that is added to the training loss.
 */
export type Regularizer = (value: Value) => Value;

/** Computes the new value of a parameter after its update: a tensor of the same shape. */
export type Constraint = (parameter: Value) => Value;

/** Regularizer and constraint of a parameter in training. */
export interface ParamOptions {
  readonly regularizer?: Regularizer | undefined;
  readonly constraint?: Constraint | undefined;
}

/**
 * The argument of `forward` through which a layer gets its parameters and runs its parts. Names
 * have at least one character and no `.`, `/` or space.
 */
export interface Context {
  /** Whether this is a training step and the layer is not frozen. */
  readonly training: boolean;
  /** A trainable tensor, saved as `path.name`. */
  param(name: string, shape: readonly number[], init: Init, options?: ParamOptions): Value;
  /** A tensor that is saved and not trained. */
  buffer(name: string, shape: readonly number[], init: Init): Value;
  /**
   * In training: sets the value that a buffer of this layer has after the step. Later calls of
   * `buffer` in the same trace return it.
   */
  update(name: string, next: Value): void;
  /** Runs a part under `path.name`. Calls with the same layer and name share parameters. */
  child<I extends Values, O extends Values>(name: string, layer: Layer<I, O>, x: I): O;
  /** A seed for `random`, int32 [2], different for each call and, in training, for each step. */
  seed(): Value;
  /**
   * In training: adds an auxiliary output. Its loss against the labels, times `weight`, is added to
   * the loss of the model's output.
   */
  auxiliary(output: Value, weight: number): void;
  /** In training: adds a value of one element to the loss. Ignored in inference. */
  loss(value: Value): void;
  /**
   * A context with the same path, in which parameters are not trained and layers run as in
   * inference.
   */
  frozen(): Context;
}

/** A named tensor of a model. */
export interface Entry extends ParamOptions {
  readonly name: string;
  readonly spec: Spec;
  readonly init: Init;
  /** A buffer is saved and not trained, for example running statistics. */
  readonly kind: "parameter" | "buffer";
  /** Whether training updates it: true for parameters that are not frozen. */
  readonly trainable: boolean;
}

/** The shape of an input for one sample, such as [1, 28, 28]; for several inputs, by name. */
export type Inputs<I extends Values> = I extends Value
  ? readonly number[]
  : { readonly [K in keyof I]: readonly number[] | Spec };

/**
 * A network: a layer, and the shape of one sample without the batch axis. A model with several
 * inputs has a record of shapes, or of specs for types other than float32. The trainer and the
 * predictor need models with one input and one output.
 */
export interface Model<I extends Values = Value, O extends Values = Value> {
  readonly name: string;
  readonly layer: Layer<I, O>;
  readonly input: Inputs<I>;
  /** Number of classes, against which labels are checked. */
  readonly classes?: number | undefined;
  /** Input values for background and foreground of a gray image. Default: [0, 1]. */
  readonly range?: readonly [background: number, foreground: number] | undefined;
  /** Default: cross-entropy. */
  readonly loss?: Loss | undefined;
}

/**
 * A model as a graph. Inputs: x, entries, seeds, in this order. Outputs: those of the model.
 * `values[i]` is the tensor of `entries[i]`.
 */
export interface TracedModel<I extends Values = Value, O extends Values = Value> {
  readonly name: string;
  readonly graph: Graph;
  readonly x: I;
  readonly output: O;
  readonly entries: readonly Entry[];
  readonly values: readonly Value[];
  /**
   * For each entry the new value that the model itself computes in a training step (running
   * statistics), else null.
   */
  readonly updates: readonly (Value | null)[];
  /** One input, int32 [2], for each call of `ctx.seed`, in order; empty in inference. */
  readonly seeds: readonly Value[];
  /** Outputs of auxiliary heads; empty in inference. */
  readonly auxiliaries: readonly Auxiliary[];
  /** Values that layers add to the loss; empty in inference. */
  readonly losses: readonly Value[];
}

/** An output that exists in training only. */
export interface Auxiliary {
  readonly output: Value;
  /** Factor of its loss. */
  readonly weight: number;
}

export interface TraceOptions {
  /** Number of samples. Default: 1. */
  readonly batch?: number | undefined;
  /** Traces for a training step instead of inference. Default: false. */
  readonly training?: boolean | undefined;
  /** Paths of layers that run as in inference while the others train. */
  readonly frozen?: ReadonlySet<string> | undefined;
}

const listOf = (values: Values): readonly Value[] =>
  values instanceof Value ? [values] : Object.values(values);

const isShape = (shape: readonly number[] | Spec): shape is readonly number[] =>
  Array.isArray(shape);

/** The inputs of a model for `batch` samples. A single input has the name x. */
function inputsOf<I extends Values>(given: Inputs<I>, batch: number): I {
  const make = (of: readonly number[] | Spec, name: string) => {
    const { shape, dtype } = isShape(of) ? spec(of) : of;
    return input(spec([batch, ...shape], dtype), name);
  };
  const of: readonly number[] | Readonly<Record<string, readonly number[] | Spec>> = given;
  const made: Values = isSingle(of)
    ? make(of, "x")
    : Object.fromEntries(Object.entries(of).map(([name, each]) => [name, make(each, name)]));
  return made as I; // Inputs<I> has the names of I
}

const isSingle = (
  inputs: readonly number[] | Readonly<Record<string, readonly number[] | Spec>>,
): inputs is readonly number[] => Array.isArray(inputs);

/**
 * Traces a model into a graph. Throws ShapeError, with the path of the layer, if shapes do not fit
 * or a name is used twice.
 */
export function traceModel<I extends Values, O extends Values>(
  model: Model<I, O>,
  options: TraceOptions = {},
): TracedModel<I, O> {
  checkOptions("traceModel", options, "batch training frozen");
  const { batch = 1, training = false, frozen } = options;
  const x = inputsOf<I>(model.input, batch);
  const store = new Store(training, frozen);
  const output = model.layer.forward(x, store.context("", new Set()));
  const values = [...store.values.values()];
  const updates = [...store.values.keys()].map((name) => store.updates.get(name) ?? null);
  return {
    name: model.name,
    graph: graphOf([...listOf(x), ...values, ...store.seeds], listOf(output)),
    x,
    output,
    entries: [...store.entries.values()],
    values,
    updates,
    seeds: store.seeds,
    auxiliaries: store.auxiliaries,
    losses: store.losses,
  };
}

/**
 * Traces a model for its entries, which do not depend on the batch size. There are two samples
 * because normalization over a batch needs more than one value.
 */
export const describeModel = <I extends Values, O extends Values>(
  model: Model<I, O>,
  options?: TraceOptions,
): TracedModel<I, O> => traceModel(model, { batch: 2, ...options });

/** Throws UnsupportedError unless a model has one input and one output, neither of them named. */
export function mustBeSingle(op: string, model: Model, output: Value): void {
  const named = (what: string, names: object) =>
    unsupported(
      op,
      `named-${what}s`,
      message`${{ model: model.name }} has the ${{ what }}s ${{ names: Object.keys(names).join(", ") }}, but the trainer and the predictor need one ${{ what }} without a name; trace it with traceModel`,
    );
  if (!isSingle(model.input)) throw named("input", model.input);
  if (!(output instanceof Value)) throw named("output", output);
}

/** The results of one trace, which the contexts of all layers write. */
class Store {
  readonly training: boolean;
  readonly entries = new Map<string, Entry>();
  readonly values = new Map<string, Value>();
  readonly updates = new Map<string, Value>();
  readonly seeds: Value[] = [];
  readonly auxiliaries: Auxiliary[] = [];
  readonly losses: Value[] = [];
  readonly #layers = new Map<string, Pick<Layer, "type">>();

  readonly #frozen: ReadonlySet<string>;

  constructor(training: boolean, frozen: ReadonlySet<string> = new Set()) {
    this.training = training;
    this.#frozen = frozen;
  }

  // `own` has the names of the tensors that this call of the layer created, to refuse a name that
  // is used twice.
  context(path: string, own: Set<string>, frozen = false): Context {
    const training = this.training && !frozen && !this.#frozen.has(path);
    const named = (name: string) => {
      if (!/^[^./\s]+$/.test(name))
        throw shapeError(
          "name",
          "name",
          message`${{ name: quoted(name) }} must have at least one character and no dot, slash or space`,
        );
      return path ? `${path}.${name}` : name;
    };
    const tensor = (
      name: string,
      shape: readonly number[],
      entry: Omit<Entry, "name" | "spec">,
    ) => {
      const full = named(name);
      if (own.has(full))
        throw shapeError(
          "name",
          "name-used-twice",
          message`${{ name: quoted(name) }} is used twice; give each part its own name with ctx.child`,
        );
      own.add(full);
      return this.#tensor(full, shape, entry);
    };
    return {
      training,
      param: (name, shape, init, options) =>
        tensor(name, shape, { init, kind: "parameter", trainable: !frozen, ...options }),
      buffer: (name, shape, init) => {
        const value = tensor(name, shape, { init, kind: "buffer", trainable: false });
        return this.updates.get(named(name)) ?? value;
      },
      update: (name, next) => {
        const full = named(name);
        const entry = this.entries.get(full);
        if (!training || !own.has(full) || entry?.kind !== "buffer")
          throw shapeError(
            "update",
            "not-a-buffer",
            message`${{ name: quoted(name) }} is not a buffer that this layer created in training; call ctx.buffer first`,
          );
        if (!sameShape(next.shape, entry.spec.shape))
          throw shapeError(
            "update",
            "update-shape",
            message`${{ name: quoted(name) }} has shape ${{ shape: formatShape(entry.spec.shape) }}, its update has ${{ update: formatShape(next.shape) }}`,
          );
        this.updates.set(full, next);
      },
      child: (name, layer, x) => {
        const full = named(name);
        const before = this.#layers.get(full);
        if (before && before !== layer)
          throw shapeError(
            "name",
            "name-of-two-layers",
            message`${{ name: quoted(name) }} is used for two layers, ${{ first: before.type }} and ${{ second: layer.type }}; give each its own name`,
          );
        this.#layers.set(full, layer);
        return within(name, () => layer.forward(x, this.context(full, new Set(), frozen)));
      },
      seed: () => {
        const value = input(spec([2], "int32"), `seed${this.seeds.length}`);
        this.seeds.push(value);
        return value;
      },
      auxiliary: (output, weight) => {
        if (!this.training)
          throw shapeError(
            "auxiliary",
            "auxiliary-in-inference",
            message`an auxiliary output exists in training only; check ctx.training first`,
          );
        this.auxiliaries.push({ output, weight });
      },
      loss: (value) => {
        if (sizeOf(value.shape) !== 1)
          throw shapeError(
            "loss",
            "loss-shape",
            message`the value that a layer adds to the loss has shape ${{ shape: formatShape(value.shape) }}, must have one element; reduce it with sum or mean`,
          );
        if (training) this.losses.push(value);
      },
      frozen: () => this.context(path, own, true),
    };
  }

  #tensor(name: string, shape: readonly number[], entry: Omit<Entry, "name" | "spec">): Value {
    const known = this.values.get(name);
    if (known) {
      if (!sameShape(known.shape, shape))
        throw shapeError(
          "name",
          "other-shape",
          message`${{ name: quoted(name) }} has shape ${{ shape: formatShape(known.shape) }} in its first use and ${{ asked: formatShape(shape) }} in another; a layer that is used twice needs inputs of equal channels`,
        );
      return known;
    }
    mustBeFunction("name", `the initializer of ${name}`, entry.init, "a function such as zeros");
    const s = spec(shape);
    const value = input(s, name);
    this.entries.set(name, { name, spec: s, ...entry });
    this.values.set(name, value);
    return value;
  }
}
