// What a layer is, and how a model is traced into a graph. A layer is a plain object with a
// function of a value; it asks the context for its parameters by name, so the same description
// gives parameter lists, training graphs and pictures.

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
  spec,
  type Spec,
  type Value,
  within,
} from "@conv/tensor";
import { mustBeFunction } from "../checks.ts";
import type { Loss } from "../training/loss.ts";
import type { Init } from "./init.ts";

/**
 * One step of a network. `forward` is called while tracing, once a trace, and must not keep values.
 */
export interface Layer {
  readonly type: string;
  /** Its name within the whole, instead of its place in a list. */
  readonly name?: string | undefined;
  forward(x: Value, ctx: Context): Value;
}

/**
 * What a training step adds to its loss for a parameter: one element, of which gradients are taken.
 */
export type Regularizer = (parameter: Value) => Value;

/** What a training step makes of a parameter after its update: a tensor of the same shape. */
export type Constraint = (parameter: Value) => Value;

/** What training does with a parameter besides descending. */
export interface ParamOptions {
  readonly regularizer?: Regularizer | undefined;
  readonly constraint?: Constraint | undefined;
}

/**
 * Handed to `forward`: where a layer gets its parameters and runs its parts. Names may not be empty
 * or hold `.` or `/`.
 */
export interface Context {
  /** Whether a training step is traced (dropout drops), and nothing is frozen here. */
  readonly training: boolean;
  /** A trainable tensor, saved as `path.name`. */
  param(name: string, shape: readonly number[], init: Init, options?: ParamOptions): Value;
  /** A tensor that is saved and not trained. */
  buffer(name: string, shape: readonly number[], init: Init): Value;
  /**
   * While training: what a buffer of this layer is after the step. From then on `buffer` gives this
   * value.
   */
  update(name: string, next: Value): void;
  /**
   * Runs a part under `path.name`. The same layer under the same name again uses the same
   * parameters.
   */
  child(name: string, layer: Layer, x: Value): Value;
  /** An int32 [2] seed for `random`, different at each call and, when training, at each step. */
  seed(): Value;
  /**
   * While training: one more output that is held against the labels, its loss added `weight` times
   * to that of the model's output.
   */
  auxiliary(output: Value, weight: number): void;
  /** While training: one element that is added to what the step minimizes. */
  loss(value: Value): void;
  /**
   * The same place in the model, where parameters are saved and not trained, and layers run as when
   * predicting.
   */
  frozen(): Context;
}

/** A named tensor of a model. */
export interface Entry extends ParamOptions {
  readonly name: string;
  readonly spec: Spec;
  readonly init: Init;
  /** Whether it is a parameter or belongs to the layer's memory, as running statistics do. */
  readonly kind: "parameter" | "buffer";
  /**
   * Whether a training step descends along its gradient: true for parameters that are not frozen.
   */
  readonly trainable: boolean;
}

/** A network: a layer, and the shape of one sample (without the batch). */
export interface Model {
  readonly name: string;
  readonly layer: Layer;
  /** For example [1, 28, 28]. */
  readonly input: readonly number[];
  /** Number of classes that the output scores; labels are checked against it. */
  readonly classes?: number | undefined;
  /** Input values of background and foreground of a gray image. Default: [0, 1]. */
  readonly range?: readonly [background: number, foreground: number] | undefined;
  /** Default: cross-entropy. */
  readonly loss?: Loss | undefined;
}

/**
 * A model as a graph with inputs [x, …entries, …seeds] and output [output]; `values[i]` is the
 * tensor named by `entries[i]`.
 */
export interface TracedModel {
  readonly name: string;
  readonly graph: Graph;
  readonly x: Value;
  readonly output: Value;
  readonly entries: readonly Entry[];
  readonly values: readonly Value[];
  /**
   * For each entry what a training step makes of it, where the model itself says so (running
   * statistics), else null.
   */
  readonly updates: readonly (Value | null)[];
  /** One int32 [2] input per use of randomness, in order of use; none unless training. */
  readonly seeds: readonly Value[];
  /** Outputs of auxiliary heads; none unless training. */
  readonly auxiliaries: readonly Auxiliary[];
  /** Elements that layers add to the loss; none unless training. */
  readonly losses: readonly Value[];
}

/** An output that only training sees. */
export interface Auxiliary {
  readonly output: Value;
  /** What its loss counts for. */
  readonly weight: number;
}

export interface TraceOptions {
  /** Samples at once. */
  readonly batch?: number | undefined;
  readonly training?: boolean | undefined;
  /** Paths of layers that run as when predicting, though the rest trains. */
  readonly frozen?: ReadonlySet<string> | undefined;
}

/**
 * Traces a model. Throws ShapeError, with the layer's path, where shapes do not fit or a name is
 * used twice.
 */
export function traceModel(model: Model, options: TraceOptions = {}): TracedModel {
  checkOptions("traceModel", options, "batch training frozen");
  const { batch = 1, training = false, frozen } = options;
  const x = input(spec([batch, ...model.input]), "x");
  const store = new Store(training, frozen);
  const output = model.layer.forward(x, store.context("", new Set()));
  const values = [...store.values.values()];
  const updates = [...store.values.keys()].map((name) => store.updates.get(name) ?? null);
  return {
    name: model.name,
    graph: graphOf([x, ...values, ...store.seeds], [output]),
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
 * A model traced for its entries alone: with several samples, which some layers need, and which
 * change no entry.
 */
export const describeModel = (model: Model, options?: TraceOptions): TracedModel =>
  traceModel(model, { batch: 2, ...options });

/** What one trace collects: the contexts of all layers write into it. */
class Store {
  readonly training: boolean;
  readonly entries = new Map<string, Entry>();
  readonly values = new Map<string, Value>();
  readonly updates = new Map<string, Value>();
  readonly seeds: Value[] = [];
  readonly auxiliaries: Auxiliary[] = [];
  readonly losses: Value[] = [];
  readonly #layers = new Map<string, Layer>();

  readonly #frozen: ReadonlySet<string>;

  constructor(training: boolean, frozen: ReadonlySet<string> = new Set()) {
    this.training = training;
    this.#frozen = frozen;
  }

  // `own` holds the names that this run of the layer asked for: one name, one tensor.
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
