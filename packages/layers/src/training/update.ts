// The update of a training step as part of its graph: accumulation and clipping of gradients, the
// rule of the optimizer, constraints and moving averages.

import { add, full, map, reshape, slice, sqrt, square, sum } from "@conv/ops";
import { input, spec, within, type Spec, type Value } from "@conv/tensor";
import { describeModel, type Constraint, type Entry, type Model } from "../layers/layer.ts";
import type { Sums } from "./descent.ts";
import type { Optimizer, ParameterOptions } from "./optim.ts";
import type { Clip, StepOptions } from "./options.ts";
import { applyRules } from "./rules.ts";

/** A state tensor of the training, which a step reads and writes. */
export interface Slot {
  /** Kind and parameter, for example `momentum/c1.weight`. */
  readonly name: string;
  readonly spec: Spec;
  /** Index of the entry of the parameter; −1 for a slot of all parameters. */
  readonly entry: number;
}

/**
 * The slots of all trained parameters: for each parameter those of the optimizer, with accumulation
 * `sum` and `added`, and with moving averages `average`. With accumulation the last slot is
 * `weight`.
 */
export function slotsOf(
  model: Model,
  optimizer: Optimizer,
  entries: readonly Entry[],
  { rules, accumulate, average }: StepOptions,
): Slot[] {
  const sums = accumulate
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
  return accumulate ? [...own, { name: "weight", spec: spec([]), entry: -1 }] : own;
}

/** A parameter that a step trains. */
interface Trained {
  readonly parameter: Value;
  readonly options: ParameterOptions;
  readonly constraint: Constraint | undefined;
  /** In the order of {@link slotsOf}. */
  readonly slots: readonly Value[];
}

export interface Update {
  /** The numbers of a step: see {@link StepOptions}. */
  readonly hyper: Value;
  readonly slots: readonly Slot[];
  readonly slotValues: readonly Value[];
  /** The new values of parameters and slots. */
  readonly next: Map<Value, Value>;
}

/** Traces the update by gradients of the trained parameters. */
export function traceUpdateBy(
  model: Model,
  optimizer: Optimizer,
  { entries, values }: { entries: readonly Entry[]; values: readonly Value[] },
  { gradients, sums }: { gradients: readonly Value[]; sums: Sums | null },
  settings: StepOptions,
): Update {
  const { accumulate, average = false, clip = {}, rules } = settings;
  const slots = slotsOf(model, optimizer, entries, settings);
  const slotValues = slots.map((s) => input(s.spec, s.name));
  const trained = applyRules(model.name, entries, rules).flatMap((options, i): Trained[] =>
    options
      ? [
          {
            parameter: values[i],
            options,
            constraint: entries[i].constraint,
            slots: slotValues.filter((_, k) => slots[k].entry === i),
          },
        ]
      : [],
  );
  const count = optimizer.hypers + Number(accumulate !== undefined) + Number(average);
  const hyper = input(spec([count]), "hyper");
  const next = new Map<Value, Value>();
  within("update", () => {
    const numbers = Array.from({ length: count }, (_, i) => reshape(slice(hyper, [i], [1]), []));
    const means = sums
      ? accumulated(trained, gradients, sums, next, {
          first: optimizer.slots.length,
          share: numbers[optimizer.hypers],
          total: slotValues[slotValues.length - 1],
          apply: accumulate === "apply",
        })
      : gradients;
    if (accumulate === "add") return;
    clipped(means, clip).forEach((g, k) => {
      const decay = average ? numbers[numbers.length - 1] : null;
      updateParameter(optimizer, trained[k], g, numbers, decay, next);
    });
  });
  return { next, hyper, slots, slotValues };
}

/**
 * Adds the gradients of a batch to the slots `sum` and `added`, or clears the slots if the step
 * applies them. Returns the gradients of the mean over all accumulated batches.
 */
function accumulated(
  trained: readonly Trained[],
  gradients: readonly Value[],
  { weight, added, penalties }: Sums,
  next: Map<Value, Value>,
  { first, share, total, apply }: { first: number; share: Value; total: Value; apply: boolean },
): readonly Value[] {
  const all = add(total, weight);
  const addTo = (slot: Value, g: Value, factor: Value) =>
    map("accumulate", ["add", "a", ["mul", "b", "c"]], [slot, g, factor]);
  const means = gradients.map((g, k) => {
    const [sumSlot, addedSlot] = trained[k].slots.slice(first);
    const sumNow = addTo(sumSlot, g, weight);
    const addedNow = added && addTo(addedSlot, added[k], share);
    next.set(sumSlot, apply ? full(sumNow.shape, 0) : sumNow);
    if (addedNow) next.set(addedSlot, apply ? full(addedNow.shape, 0) : addedNow);
    const mean = map(
      "accumulated",
      ["select", ["gt", "b", 0], ["div", "a", "b"], 0],
      [sumNow, all],
    );
    return [addedNow, penalties?.[k] ?? null].filter((v) => v !== null).reduce(add, mean);
  });
  next.set(total, apply ? full([], 0) : all);
  return means;
}

/** Clips each element of the gradients, then their total norm. */
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

/** Sets the new values of a parameter, its optimizer slots and its moving average. */
function updateParameter(
  optimizer: Optimizer,
  { parameter, options, constraint, slots }: Trained,
  gradient: Value,
  numbers: readonly Value[],
  decay: Value | null,
  next: Map<Value, Value>,
): void {
  const own = slots.slice(0, optimizer.slots.length);
  const updated = optimizer.update(parameter, gradient, own, numbers, options);
  const param = constraint ? constraint(updated.param) : updated.param;
  next.set(parameter, param);
  updated.slots.forEach((value, i) => next.set(own[i], value));
  const average = slots.at(-1);
  // average ← decay·average + (1 − decay)·parameter
  if (decay && average)
    next.set(
      average,
      map(
        "average",
        ["add", ["mul", "c", "a"], ["mul", ["sub", 1, "c"], "b"]],
        [average, param, decay],
      ),
    );
}
