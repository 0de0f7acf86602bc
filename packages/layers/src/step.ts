// A training step as one graph: forward, loss, backward and update together, so that it compiles to one program; and its parts
// alone, for those who gather gradients of several machines.

import { add, affine, concat, crossEntropy, full, grad, map, reshape, slice, sqrt, square, sum } from "@conv/ops";
import { formatShape, graphOf, input, optimise, shapeError, sizeOf, spec, within, type Graph, type Spec, type Value } from "@conv/tensor";
import type { Target } from "./data.ts";
import { labelsOf, type Loss } from "./forward.ts";
import { traceModel, type Entry, type Model, type TracedModel } from "./layer.ts";
import type { Optimizer } from "./optim.ts";
import { applyRules, type ParameterRule } from "./rules.ts";

/** Limits of the gradients, put on them before the update; the values first. */
export interface Clip {
  /** Every element is brought into [−value, value]. */
  readonly value?: number;
  /** All gradients are scaled by one factor so that √Σg² over all of them is at most this, as torch.nn.utils.clip_grad_norm_. */
  readonly norm?: number;
}

export interface StepOptions {
  /** Default: the model's own, or cross-entropy. */
  readonly loss?: Loss;
  /** What a sample is labelled with; a class where absent. */
  readonly target?: Target;
  readonly rules?: readonly ParameterRule[];
  readonly clip?: Clip;
  /**
   * `add` adds share·gradient to the slot `sum` and updates nothing but buffers of the model; `apply` updates by that sum and clears it.
   * The last number of `hyper` (last but one with `average`) is the share.
   */
  readonly gather?: "add" | "apply";
  /** Keeps a moving average of each parameter in a slot, average ← d·average + (1 − d)·parameter; the last number of `hyper` is d. */
  readonly average?: boolean;
  /**
   * One more input and output at the end, of one element: 1 while all is finite. Once the loss or a gradient is not, it is 0, and
   * nothing changes any more.
   */
  readonly guard?: boolean;
}

/** One of the tensors kept for parameters from step to step. */
export interface Slot {
  /** `momentum/c1.weight`. */
  readonly name: string;
  readonly spec: Spec;
  /** Index of the parameter's entry. */
  readonly entry: number;
}

/**
 * The graph of a step. Inputs: x, labels, hyper, …seeds, …entries, …slots; outputs: loss, output, …entries that change (`written`),
 * …slots that change (`kept`). Those at the end may be written over the inputs that they replace.
 */
export interface TrainingGraph {
  readonly graph: Graph;
  /** The same before it was optimised: every layer's nodes as they were asked for. */
  readonly traced: Graph;
  readonly entries: readonly Entry[];
  readonly slots: readonly Slot[];
  /** Indices of the entries that a step changes: the trained ones, and buffers such as running statistics. */
  readonly written: readonly number[];
  /** Indices of the slots that a step changes. */
  readonly kept: readonly number[];
  /** Number of int32 [2] seeds. */
  readonly seeds: number;
  /** Number of values in `output` for one sample. */
  readonly width: number;
}

/** The model's own loss, or cross-entropy. */
export const lossOf = (model: Model, loss?: Loss): Loss => loss ?? model.loss ?? crossEntropy;

/** The graph of an update alone, and which entries and slots it changes. */
export interface UpdateGraph {
  readonly graph: Graph;
  readonly slots: readonly Slot[];
  readonly written: readonly number[];
  readonly kept: readonly number[];
}

/** Indices of the entries that are trained. */
export const trainedOf = (model: Model, entries: readonly Entry[], rules?: readonly ParameterRule[]): number[] =>
  applyRules(model.name, entries, rules).flatMap((options, i) => (options ? [i] : []));

/** What is kept for each trained parameter, one kind of tensor after the other for each of them. */
export function slotsOf(model: Model, optimizer: Optimizer, entries: readonly Entry[], { rules, gather, average }: StepOptions): Slot[] {
  const kinds = [...optimizer.slots, ...(gather ? ["sum"] : []), ...(average ? ["average"] : [])];
  return applyRules(model.name, entries, rules).flatMap((options, entry) =>
    options ? kinds.map((kind) => ({ name: `${kind}/${entries[entry].name}`, spec: entries[entry].spec, entry })) : [],
  );
}

/** Forward, loss with all that is added to it, and backward; `gradients` are those of the trained entries. */
function traceLoss(model: Model, batch: number, { loss, target, rules }: StepOptions) {
  const traced = traceModel(model, { batch, training: true });
  const { output, entries, values, auxiliaries, losses } = traced;
  const labels = labelsOf(batch, target);
  const trained = trainedOf(model, entries, rules);
  const errorOf = (answer: Value) => lossOf(model, loss)(answer, labels);
  const error = within("loss", () => {
    const heads = auxiliaries.map((head) => affine(errorOf(head.output), head.weight));
    const penalties = trained.flatMap((i) => entries[i].regularizer?.(values[i]) ?? []);
    return [...heads, ...losses, ...penalties].reduce(add, errorOf(output));
  });
  if (sizeOf(error.shape) !== 1) throw shapeError("train", `the loss has shape ${formatShape(error.shape)}, must have one element`);
  const gradients = grad(
    error,
    trained.map((i) => values[i]),
  );
  return { traced, labels, error, gradients };
}

function clipped(gradients: readonly Value[], { value, norm }: Clip): readonly Value[] {
  const limited = value === undefined ? gradients : gradients.map((g) => map("clip", ["max", ["min", "a", value], -value], [g]));
  if (norm === undefined) return limited;
  const length = sqrt(limited.map((g) => sum(square(g))).reduce(add));
  const factor = map("clipFactor", ["min", 1, ["div", norm, ["add", "a", 1e-6]]], [length]);
  return limited.map((g) => map("clipNorm", ["mul", "a", "b"], [g, factor]));
}

/** 1 where `health` is and every tensor is finite, else 0: a sum s is finite only where all of its terms are, and then s − s is 0, else NaN. */
function stillFine(health: Value, tensors: readonly Value[]): Value {
  const sums = concat(tensors.map((v) => reshape(sum(v), [1])));
  return map("health", ["mul", "a", ["gt", 1, ["sub", "b", "b"]]], [health, sum(sums)]);
}

/** What becomes of each parameter and slot: the new value by the old. */
function traceNext(model: Model, optimizer: Optimizer, { entries, values }: TracedModel, gradients: readonly Value[], settings: StepOptions) {
  const { gather, average, clip = {}, rules } = settings;
  const slots = slotsOf(model, optimizer, entries, settings);
  const slotValues = slots.map((s) => input(s.spec, s.name));
  const options = applyRules(model.name, entries, rules);
  const trained = values.flatMap((p, i) =>
    options[i] ? [{ p, options: options[i], constraint: entries[i].constraint, slots: slotValues.filter((_, k) => slots[k].entry === i) }] : [],
  );
  // The numbers of a step: the optimiser's, the share where gradients are gathered, the decay where there are averages.
  const hyper = input(spec([optimizer.hypers + Number(gather !== undefined) + Number(average ?? false)]), "hyper");
  const next = new Map<Value, Value>();
  within("update", () => {
    const numbers = Array.from({ length: hyper.shape[0] }, (_, i) => reshape(slice(hyper, [i], [1]), []));
    const [own, sumAt] = [optimizer.slots.length, optimizer.slots.length];
    const gathered = gather
      ? gradients.map((g, k) => map("gather", ["add", "a", ["mul", "b", "c"]], [trained[k].slots[sumAt], g, numbers[optimizer.hypers]]))
      : gradients;
    if (gather === "add") return trained.forEach((t, k) => next.set(t.slots[sumAt], gathered[k]));
    clipped(gathered, clip).forEach((g, k) => {
      const { p, slots: kept, options: special, constraint } = trained[k];
      const { param: moved, slots: state } = optimizer.update(p, g, kept.slice(0, own), numbers, special);
      const param = constraint ? constraint(moved) : moved;
      next.set(p, param);
      state.forEach((value, i) => next.set(kept[i], value));
      if (gather) next.set(kept[sumAt], full(p.shape, 0));
      const before = kept.at(-1);
      if (average && before)
        next.set(before, map("average", ["add", ["mul", "c", "a"], ["mul", ["sub", 1, "c"], "b"]], [before, param, numbers[numbers.length - 1]]));
    });
  });
  return { next, hyper, slots, slotValues };
}

/** Indices of the values that become others. */
const changed = (values: readonly Value[], next: ReadonlyMap<Value, Value>): number[] => values.flatMap((v, i) => (next.has(v) ? [i] : []));

/** Traces a training step over `batch` samples. Throws ShapeError where shapes do not fit or the loss is not one element. */
export function traceStep(model: Model, optimizer: Optimizer, batch: number, settings: StepOptions = {}): TrainingGraph {
  const { traced: network, labels, error, gradients } = traceLoss(model, batch, settings);
  const { x, output, entries, values, updates, seeds } = network;
  const { next, hyper, slots, slotValues } = traceNext(model, optimizer, network, gradients, settings);
  values.forEach((v, i) => updates[i] && next.set(v, updates[i]));
  const health = input(spec([]), "health");
  let after: Value = health;
  if (settings.guard)
    within("guard", () => {
      after = stillFine(health, [error, ...gradients]);
      for (const [old, value] of next) next.set(old, map("keep", ["select", "c", "a", "b"], [value, old, after]));
    });
  const outputs = [error, output, ...[...values, ...slotValues].flatMap((v) => next.get(v) ?? [])];
  const inputs = [x, labels, hyper, ...seeds, ...values, ...slotValues];
  const traced = settings.guard ? graphOf([...inputs, health], [...outputs, after]) : graphOf(inputs, outputs);
  return {
    graph: optimise(traced),
    traced,
    entries,
    slots,
    written: changed(values, next),
    kept: changed(slotValues, next),
    seeds: seeds.length,
    width: sizeOf(output.shape) / batch,
  };
}

/** Traces the gradients alone. Inputs: x, labels, …seeds, …entries; outputs: loss, then the gradient of each trained entry. */
export function traceGradients(model: Model, batch: number, settings: Pick<StepOptions, "loss" | "target" | "rules"> = {}): Graph {
  const { traced, labels, error, gradients } = traceLoss(model, batch, settings);
  return optimise(graphOf([traced.x, labels, ...traced.seeds, ...traced.values], [error, ...gradients]));
}

/** Traces an update by given gradients. Inputs: hyper, the gradient of each trained entry, …entries, …slots; outputs: what changes, as of a step. */
export function traceUpdate(model: Model, optimizer: Optimizer, settings: Pick<StepOptions, "rules" | "clip" | "average"> = {}): UpdateGraph {
  const network = traceModel(model);
  const trained = trainedOf(model, network.entries, settings.rules);
  const gradients = trained.map((i) => input(network.entries[i].spec, `gradient ${network.entries[i].name}`));
  const { next, hyper, slots, slotValues } = traceNext(model, optimizer, network, gradients, settings);
  const inputs = [hyper, ...gradients, ...network.values, ...slotValues];
  return {
    graph: optimise(
      graphOf(
        inputs,
        [...network.values, ...slotValues].flatMap((v) => next.get(v) ?? []),
      ),
    ),
    slots,
    written: changed(network.values, next),
    kept: changed(slotValues, next),
  };
}
