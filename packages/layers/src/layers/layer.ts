// What a layer is, and how a model is traced into a graph. A layer is a plain object with a
// function of values; it asks the context for its parameters by name. The same description gives
// parameter lists, training graphs and pictures.

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
 * One step of a network, from one value to one value unless its types say otherwise. `forward` is
 * called once a trace, and must not keep values.
 */
export interface Layer<I extends Values = Value, O extends Values = Value> {
  readonly type: string;
  /** Its name in a list, instead of its index. */
  readonly name?: string | undefined;
  forward(x: I, ctx: Context): O;
}

/** Makes of a parameter, or of an output, one element that is added to the training loss. */
export type Regularizer = (value: Value) => Value;

/** Makes the new value of a parameter after its update: a tensor of the same shape. */
export type Constraint = (parameter: Value) => Value;

/** How training treats a parameter, besides its update. */
export interface ParamOptions {
  readonly regularizer?: Regularizer | undefined;
  readonly constraint?: Constraint | undefined;
}

/**
 * Passed to `forward`: a layer gets its parameters and runs its parts through it. Names have at
 * least one character and no `.`, `/` or space.
 */
export interface Context {
  /** True in a training step, unless the layer is frozen: dropout drops. */
  readonly training: boolean;
  /** A trainable tensor, saved as `path.name`. */
  param(name: string, shape: readonly number[], init: Init, options?: ParamOptions): Value;
  /** A tensor that is saved and not trained. */
  buffer(name: string, shape: readonly number[], init: Init): Value;
  /**
   * In training: sets the value of a buffer of this layer after the step. From then on `buffer`
   * returns this value.
   */
  update(name: string, next: Value): void;
  /**
   * Runs a part under `path.name`. The same layer under the same name uses the same parameters
   * again.
   */
  child<I extends Values, O extends Values>(name: string, layer: Layer<I, O>, x: I): O;
  /** An int32 [2] seed for `random`, different at each call and, in training, at each step. */
  seed(): Value;
  /**
   * In training: one more output that is compared with the labels; its loss is added `weight` times
   * to that of the model's output.
   */
  auxiliary(output: Value, weight: number): void;
  /** In training: adds one element to the loss. */
  loss(value: Value): void;
  /**
   * The same place in the model, where parameters are saved and not trained, and layers run as in
   * inference.
   */
  frozen(): Context;
}

/** A named tensor of a model. */
export interface Entry extends ParamOptions {
  readonly name: string;
  readonly spec: Spec;
  readonly init: Init;
  /** A buffer belongs to the state of a layer, as running statistics do. */
  readonly kind: "parameter" | "buffer";
  /** Whether training updates it: true for parameters that are not frozen. */
  readonly trainable: boolean;
}

/** The shape of an input for one sample, such as [1, 28, 28]; for several inputs, by name. */
export type Inputs<I extends Values> = I extends Value
  ? readonly number[]
  : { readonly [K in keyof I]: readonly number[] | Spec };

/**
 * A network: a layer, and the shape of one sample, without the batch. With several inputs it takes
 * a record of shapes, or of specs for other types than float32. Training and inference take models
 * with one input and one output.
 */
export interface Model<I extends Values = Value, O extends Values = Value> {
  readonly name: string;
  readonly layer: Layer<I, O>;
  readonly input: Inputs<I>;
  /** Number of classes that the output scores; labels are checked against it. */
  readonly classes?: number | undefined;
  /** Input values of background and foreground of a gray image. Default: [0, 1]. */
  readonly range?: readonly [background: number, foreground: number] | undefined;
  /** Default: cross-entropy. */
  readonly loss?: Loss | undefined;
}

/**
 * A model as a graph with the inputs […x, …entries, …seeds] and the outputs of the model.
 * `values[i]` is the tensor of `entries[i]`.
 */
export interface TracedModel<I extends Values = Value, O extends Values = Value> {
  readonly name: string;
  readonly graph: Graph;
  readonly x: I;
  readonly output: O;
  readonly entries: readonly Entry[];
  readonly values: readonly Value[];
  /** For each entry its value after a training step, where the model itself sets it, else null. */
  readonly updates: readonly (Value | null)[];
  /** One int32 [2] input for each use of randomness, in order; none unless training. */
  readonly seeds: readonly Value[];
  /** Outputs of auxiliary heads; none unless training. */
  readonly auxiliaries: readonly Auxiliary[];
  /** Elements that layers add to the loss; none unless training. */
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
  /** Whether a training step is traced. Default: false. */
  readonly training?: boolean | undefined;
  /** Paths of layers that run as in inference while the others train. */
  readonly frozen?: ReadonlySet<string> | undefined;
}

const listOf = (values: Values): readonly Value[] =>
  values instanceof Value ? [values] : Object.values(values);

const isShape = (shape: readonly number[] | Spec): shape is readonly number[] =>
  Array.isArray(shape);

/** The inputs of a model over `batch` samples; one input is called x. */
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
 * Traces a model. Throws ShapeError, with the path of the layer, where shapes do not fit or a name
 * is used twice.
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
 * A model traced for its entries: with two samples, as some layers need several, and the number
 * changes no entry.
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
      message`${{ model: model.name }} has the ${{ what }}s ${{ names: Object.keys(names).join(", ") }}, but needs one ${{ what }} without a name; trace it with traceModel`,
    );
  if (!isSingle(model.input)) throw named("input", model.input);
  if (!(output instanceof Value)) throw named("output", output);
}

/** The results of one trace: the contexts of all layers write into it. */
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

  // `own` holds the names that this run of the layer asked for, so that each name has one tensor.
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
            message`${{ name: quoted(name) }} is not a buffer that this layer asked for in training`,
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
            message`${{ name: quoted(name) }} is used for two layers, ${{ first: before.type }} and ${{ second: layer.type }}`,
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
            message`what a layer adds has shape ${{ shape: formatShape(value.shape) }}, must have one element`,
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
          message`${{ name: quoted(name) }} has shape ${{ shape: formatShape(known.shape) }} and is asked for again as ${{ asked: formatShape(shape) }}`,
        );
      return known;
    }
    mustBeFunction("name", `the init of ${name}`, entry.init, "a function such as zeros");
    const s = spec(shape);
    const value = input(s, name);
    this.entries.set(name, { name, spec: s, ...entry });
    this.values.set(name, value);
    return value;
  }
}
