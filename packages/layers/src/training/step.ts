// A training step as one graph: forward, loss, backward and update together, so that it compiles to
// one program; and its parts alone, for those who gather gradients of several machines.

import {
  add,
  affine,
  concat,
  full,
  grad,
  map,
  reshape,
  slice,
  sqrt,
  square,
  sum,
  variable,
  type Expr,
} from "@conv/ops";
import {
  checkOptions,
  graphOf,
  input,
  optimize,
  sizeOf,
  spec,
  within,
  type Graph,
  type Spec,
  type Value,
} from "@conv/tensor";
import type { Target } from "../data/data.ts";
import { labelsOf } from "../inference/forward.ts";
import {
  describeModel,
  traceModel,
  type Entry,
  type Model,
  type TracedModel,
} from "../layers/layer.ts";
import { measure, type Loss } from "./loss.ts";
import type { Optimizer } from "./optim.ts";
import { applyRules, frozenLayers, type ParameterRule } from "./rules.ts";

/** Limits of the gradients, put on them before the update; the values first. */
export interface Clip {
  /** Every element is brought into [−value, value]. */
  readonly value?: number | undefined;
  /**
   * All gradients are scaled by one factor so that √Σg² over all of them is at most this, as
   * torch.nn.utils.clip_grad_norm_.
   */
  readonly norm?: number | undefined;
}

/** Names of {@link StepOptions}. */
const STEP = "loss target rules clip gather average guard";

export interface StepOptions {
  /** Default: the model's own, or cross-entropy. */
  readonly loss?: Loss | undefined;
  /** What a sample is labeled with; a class where absent. */
  readonly target?: Target | undefined;
  readonly rules?: readonly ParameterRule[] | undefined;
  readonly clip?: Clip | undefined;
  /**
   * `add` adds weight·gradient of the loss to the slots `sum` and the weight to the slot `weight`,
   * and updates nothing but buffers of the model; `apply` updates by their quotient and clears
   * them. What layers add to the loss has slots `added`, to which share·gradient goes: the last
   * number of `hyper` (last but one with `average`) is the batch's share of the samples.
   */
  readonly gather?: "add" | "apply" | undefined;
  /**
   * Keeps a moving average of each parameter in a slot, average ← d·average + (1 − d)·parameter;
   * the last number of `hyper` is d.
   */
  readonly average?: boolean | undefined;
  /**
   * One more input and output at the end, of one element: 1 while all is finite. Once the loss, a
   * gradient or anything that the step would write is not, it is 0, and nothing changes any more.
   */
  readonly guard?: boolean | undefined;
}

/** One of the tensors kept for parameters from step to step. */
export interface Slot {
  /** `momentum/c1.weight`. */
  readonly name: string;
  readonly spec: Spec;
  /** Index of the parameter's entry; −1 where it belongs to all of them. */
  readonly entry: number;
}

/**
 * The graph of a step. Inputs: x, labels, hyper, …seeds, …entries, …slots; outputs: loss, output,
 * …entries that change (`written`), …slots that change (`kept`). Those at the end may be written
 * over the inputs that they replace. The loss has three elements: the loss, the weight that its
 * mean is over, and what layers and regularizers added to that mean.
 */
export interface TrainingGraph {
  readonly graph: Graph;
  /** The same before it was optimized: every layer's nodes as they were asked for. */
  readonly traced: Graph;
  readonly entries: readonly Entry[];
  readonly slots: readonly Slot[];
  /**
   * Indices of the entries that a step changes: the trained ones, and buffers such as running
   * statistics.
   */
  readonly written: readonly number[];
  /** Indices of the slots that a step changes. */
  readonly kept: readonly number[];
  /** Number of int32 [2] seeds. */
  readonly seeds: number;
  /** Number of values in `output` for one sample. */
  readonly width: number;
  /**
   * The values that the loss, the gradients, and all that is written are made of, each after what
   * it is made of.
   */
  readonly made: Record<"forward" | "backward" | "update", readonly Value[]>;
}

/** The graph of an update alone, and which entries and slots it changes. */
export interface UpdateGraph {
  readonly graph: Graph;
  readonly slots: readonly Slot[];
  readonly written: readonly number[];
  readonly kept: readonly number[];
}

/** Indices of the entries that are trained. */
export const trainedOf = (
  model: Model,
  entries: readonly Entry[],
  rules?: readonly ParameterRule[],
): number[] => applyRules(model.name, entries, rules).flatMap((options, i) => (options ? [i] : []));

/**
 * Indices of the entries that the model itself changes while training, as it does with running
 * statistics.
 */
export const followedOf = (model: Model, rules?: readonly ParameterRule[]): number[] =>
  changes(describeModel(model, { training: true, frozen: frozenLayers(model, rules) }));
const changes = ({ updates }: TracedModel): number[] => updates.flatMap((v, i) => (v ? [i] : []));

/** What is kept for each trained parameter, one kind of tensor after the other for each of them. */
export function slotsOf(
  model: Model,
  optimizer: Optimizer,
  entries: readonly Entry[],
  { rules, gather, average }: StepOptions,
): Slot[] {
  const sums = gather
    ? ["sum", ...(describeModel(model, { training: true }).losses.length > 0 ? ["added"] : [])]
    : [];
  const kinds = [...optimizer.slots, ...sums, ...(average ? ["average"] : [])];
  const own = applyRules(model.name, entries, rules).flatMap((options, entry) =>
    options
      ? kinds.map((kind) => ({
          name: `${kind}/${entries[entry].name}`,
          spec: entries[entry].spec,
          entry,
        }))
      : [],
  );
  return gather ? [...own, { name: "weight", spec: spec([]), entry: -1 }] : own;
}

const sumOf = (values: readonly Value[]): Value | null =>
  values.length > 0 ? values.reduce(add) : null;

/** Forward and backward over a batch. */
interface Descent {
  readonly traced: TracedModel;
  readonly labels: Value;
  /** Loss with all that is added to it, weight, and what was added. */
  readonly numbers: Value;
  /**
   * Of the loss with all that is added to it; where they are gathered, of the mean of the loss
   * alone.
   */
  readonly gradients: readonly Value[];
  readonly weight: Value;
  /**
   * Where gradients are gathered: those of what layers and regularizers add, null where they add
   * nothing.
   */
  readonly added: readonly Value[] | null;
  readonly penalties: readonly Value[] | null;
}

function traceLoss(
  model: Model,
  batch: number,
  { loss = model.loss, target, rules, gather }: StepOptions,
): Descent {
  const traced = traceModel(model, { batch, training: true, frozen: frozenLayers(model, rules) });
  const { output, entries, values, auxiliaries, losses } = traced;
  const labels = labelsOf(batch, target);
  const trained = trainedOf(model, entries, rules);
  const wrt = trained.map((i) => values[i]);
  const { mean, weight, added, penalty } = within("loss", () => {
    const main = measure(loss, output, labels);
    const heads = auxiliaries.map((head) =>
      affine(measure(loss, head.output, labels).mean, head.weight),
    );
    const penalties = trained.flatMap((i) => entries[i].regularizer?.(values[i]) ?? []);
    const scalars = (list: readonly Value[]) => sumOf(list.map((v) => reshape(v, [])));
    return {
      mean: heads.reduce(add, main.mean),
      weight: main.weight,
      added: scalars(losses),
      penalty: scalars(penalties),
    };
  });
  const { numbers, error } = within("loss", () => {
    const extra = sumOf([added, penalty].filter((v) => v !== null));
    const error = extra ? add(mean, extra) : mean;
    return {
      error,
      numbers: concat([error, weight, extra ?? full([], 0)].map((v) => reshape(v, [1]))),
    };
  });
  return {
    traced,
    labels,
    numbers,
    gradients: grad(gather ? mean : error, wrt),
    weight,
    added: gather && added ? grad(added, wrt) : null,
    penalties: gather && penalty ? grad(penalty, wrt) : null,
  };
}

function clipped(gradients: readonly Value[], { value, norm }: Clip): readonly Value[] {
  const limited =
    value === undefined
      ? gradients
      : gradients.map((g) => map("clip", ["max", ["min", "a", value], -value], [g]));
  if (norm === undefined) return limited;
  const length = sqrt(limited.map((g) => sum(square(g))).reduce(add));
  const factor = map("clipFactor", ["min", 1, ["div", norm, ["add", "a", 1e-6]]], [length]);
  return limited.map((g) => map("clipNorm", ["mul", "a", "b"], [g, factor]));
}

// What a float32 holds is finite up to here; the host computes in float64 and rounds what it
// writes.
const LARGEST = 3.4028234663852886e38;

/**
 * In how many places any of several tensors of one shape is not finite in float32: NaN (no
 * comparison holds) or beyond it.
 */
export function notFinite(tensors: readonly Value[]): Value {
  const fine = tensors
    .map((_, i): Expr => ["gt", LARGEST, ["abs", variable(i)]])
    .reduce((a, b) => ["mul", a, b]);
  return sum(map("notFinite", ["sub", 1, fine], tensors));
}

const TOGETHER = 4; // a gradient, its parameter and two slots

/**
 * 1 where `health` is and every tensor is finite, else 0. Those of one shape are read together, a
 * few at a time.
 */
function stillFine(health: Value, tensors: readonly Value[]): Value {
  const open = new Map<string, Value[]>();
  const groups: Value[][] = [];
  for (const v of tensors) {
    const shape = v.shape.join();
    const last = open.get(shape);
    if (last && last.length < TOGETHER) last.push(v);
    else {
      const group = [v];
      groups.push(group);
      open.set(shape, group);
    }
  }
  const places = concat(groups.map((list) => reshape(notFinite(list), [1])));
  return map("health", ["mul", "a", ["gt", 1, "b"]], [health, sum(places)]);
}

/** What becomes of each parameter and slot: the new value by the old. */
function traceNext(
  model: Model,
  optimizer: Optimizer,
  { entries, values }: TracedModel,
  { gradients, weight, added, penalties }: Pick<Descent, "gradients"> & Partial<Descent>,
  settings: StepOptions,
) {
  const { gather, average, clip = {}, rules } = settings;
  const slots = slotsOf(model, optimizer, entries, settings);
  const slotValues = slots.map((s) => input(s.spec, s.name));
  const options = applyRules(model.name, entries, rules);
  const trained = values.flatMap((p, i) =>
    options[i]
      ? [
          {
            p,
            options: options[i],
            constraint: entries[i].constraint,
            slots: slotValues.filter((_, k) => slots[k].entry === i),
          },
        ]
      : [],
  );
  // The numbers of a step: the optimizer's, the share where gradients are gathered, the decay where
  // there are averages.
  const hyper = input(
    spec([optimizer.hypers + Number(gather !== undefined) + Number(average ?? false)]),
    "hyper",
  );
  const next = new Map<Value, Value>();
  within("update", () => {
    const numbers = Array.from({ length: hyper.shape[0] }, (_, i) =>
      reshape(slice(hyper, [i], [1]), []),
    );
    const own = optimizer.slots.length;
    const total = slotValues[slotValues.length - 1];
    const all = gather && weight && add(total, weight);
    const gathered = gradients.map((g, k) => {
      if (!all) return g;
      const at = trained[k].slots.slice(own);
      const sums = [
        map("gather", ["add", "a", ["mul", "b", "c"]], [at[0], g, weight]),
        ...(added
          ? [
              map(
                "gather",
                ["add", "a", ["mul", "b", "c"]],
                [at[1], added[k], numbers[optimizer.hypers]],
              ),
            ]
          : []),
      ];
      sums.forEach((v, i) => next.set(at[i], gather === "add" ? v : full(v.shape, 0)));
      const mean = map(
        "gathered",
        ["select", ["gt", "b", 0], ["div", "a", "b"], 0],
        [sums[0], all],
      );
      return [...sums.slice(1), ...(penalties ? [penalties[k]] : [])].reduce(add, mean);
    });
    if (all) next.set(total, gather === "add" ? all : full([], 0));
    if (gather === "add") return;
    clipped(gathered, clip).forEach((g, k) => {
      const { p, slots: kept, options: special, constraint } = trained[k];
      const { param: moved, slots: state } = optimizer.update(
        p,
        g,
        kept.slice(0, own),
        numbers,
        special,
      );
      const param = constraint ? constraint(moved) : moved;
      next.set(p, param);
      state.forEach((value, i) => next.set(kept[i], value));
      const before = kept.at(-1);
      if (average && before)
        next.set(
          before,
          map(
            "average",
            ["add", ["mul", "c", "a"], ["mul", ["sub", 1, "c"], "b"]],
            [before, param, numbers[numbers.length - 1]],
          ),
        );
    });
  });
  return { next, hyper, slots, slotValues };
}

/** Indices of the values that become others. */
const changed = (values: readonly Value[], next: ReadonlyMap<Value, Value>): number[] =>
  values.flatMap((v, i) => (next.has(v) ? [i] : []));

/**
 * A graph whose last outputs are the tensors that change, those of `next` in the order of
 * `tensors`; with `guard` none does where anything of them or of `tensors` to look at besides, is
 * not finite.
 */
function guarded(
  inputs: readonly Value[],
  outputs: readonly Value[],
  {
    next,
    tensors,
    look,
    guard,
  }: {
    next: Map<Value, Value>;
    tensors: readonly Value[];
    look: readonly Value[];
    guard?: boolean | undefined;
  },
): Graph {
  const changing = tensors.flatMap((v) => next.get(v) ?? []);
  if (!guard) return graphOf(inputs, [...outputs, ...changing]);
  return within("guard", () => {
    const health = input(spec([]), "health");
    const after = stillFine(health, [...look, ...changing]);
    const kept = tensors.flatMap((old) =>
      next.has(old) ? [map("keep", ["select", "c", "a", "b"], [next.get(old)!, old, after])] : [],
    );
    return graphOf([...inputs, health], [...outputs, ...kept, after]);
  });
}

/**
 * Traces a training step over `batch` samples. Throws ShapeError where shapes do not fit or the
 * loss is not one element.
 */
export function traceStep(
  model: Model,
  optimizer: Optimizer,
  batch: number,
  settings: StepOptions = {},
): TrainingGraph {
  checkOptions("traceStep", settings, STEP);
  const descent = traceLoss(model, batch, settings);
  const { traced: network, labels, numbers, gradients } = descent;
  const { x, output, entries, values, updates, seeds } = network;
  const { next, hyper, slots, slotValues } = traceNext(
    model,
    optimizer,
    network,
    descent,
    settings,
  );
  values.forEach((v, i) => updates[i] && next.set(v, updates[i]));
  const tensors = [...values, ...slotValues];
  const inputs = [x, labels, hyper, ...seeds, ...tensors];
  const traced = guarded(inputs, [numbers, output], {
    next,
    tensors,
    look: [numbers, ...gradients],
    guard: settings.guard,
  });
  return {
    graph: optimize(traced),
    traced,
    entries,
    slots,
    written: changed(values, next),
    kept: changed(slotValues, next),
    seeds: seeds.length,
    width: sizeOf(output.shape) / batch,
    made: { forward: [numbers, output], backward: gradients, update: [...next.values()] },
  };
}

/**
 * Traces the gradients alone. Inputs: x, labels, …seeds, …entries; outputs: loss, as of a step, the
 * gradient of each trained entry, and what each of the entries becomes that the model itself
 * changes while training.
 */
export function traceGradients(
  model: Model,
  batch: number,
  settings: Pick<StepOptions, "loss" | "target" | "rules"> = {},
): Graph {
  checkOptions("traceGradients", settings, STEP);
  const { traced, labels, numbers, gradients } = traceLoss(model, batch, settings);
  const next = traced.updates.filter((v) => v !== null);
  return optimize(
    graphOf(
      [traced.x, labels, ...traced.seeds, ...traced.values],
      [numbers, ...gradients, ...next],
    ),
  );
}

/**
 * Traces an update by given gradients. Inputs: hyper, the gradient of each trained entry, what each
 * of the entries becomes that the model itself changes, …entries, …slots; outputs: what changes, as
 * of a step.
 */
export function traceUpdate(
  model: Model,
  optimizer: Optimizer,
  settings: Pick<StepOptions, "rules" | "clip" | "average" | "guard"> = {},
): UpdateGraph {
  checkOptions("traceUpdate", settings, STEP);
  const network = describeModel(model);
  const { entries, values } = network;
  const given = (what: string) => (i: number) =>
    input(entries[i].spec, `${what} ${entries[i].name}`);
  const gradients = trainedOf(model, entries, settings.rules).map(given("gradient"));
  const followed = followedOf(model, settings.rules);
  const after = followed.map(given("next"));
  const { next, hyper, slots, slotValues } = traceNext(
    model,
    optimizer,
    network,
    { gradients },
    settings,
  );
  followed.forEach((i, k) => next.set(values[i], after[k]));
  const tensors = [...values, ...slotValues];
  return {
    graph: optimize(
      guarded([hyper, ...gradients, ...after, ...tensors], [], {
        next,
        tensors,
        look: gradients,
        guard: settings.guard,
      }),
    ),
    slots,
    written: changed(values, next),
    kept: changed(slotValues, next),
  };
}
