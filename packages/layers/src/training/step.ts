// A training step as one graph: forward pass, loss, backward pass and update compile to one
// program. For training on several machines, gradients and update are also graphs of their own.

import {
  checkOptions,
  graphOf,
  input,
  optimize,
  sizeOf,
  type Graph,
  type Value,
} from "@conv/tensor";
import { describeModel, type Entry, type Model } from "../layers/layer.ts";
import { traceDescent } from "./descent.ts";
import { changed, guarded } from "./guard.ts";
import type { Optimizer } from "./optim.ts";
import { STEP, type StepOptions } from "./options.ts";
import { frozenLayers, trainedOf, type ParameterRule } from "./rules.ts";
import { traceUpdateBy, type Slot } from "./update.ts";

/**
 * The graph of a step. Inputs: x, labels, hyper, …seeds, …entries, …slots. Outputs: loss, output,
 * …entries that change (`written`), …slots that change (`kept`); entries and slots may overwrite
 * the inputs that they replace. The output `loss` has three elements: the loss, the weight of its
 * mean, and the terms that layers and regularizers add to the mean.
 */
export interface TrainingGraph {
  readonly graph: Graph;
  /** The graph before optimization, with the nodes of every layer as traced. */
  readonly traced: Graph;
  readonly entries: readonly Entry[];
  readonly slots: readonly Slot[];
  /** Indices of the entries that a step changes: trained ones, and buffers of the model. */
  readonly written: readonly number[];
  /** Indices of the slots that a step changes. */
  readonly kept: readonly number[];
  /** Number of inputs for seeds, each int32 [2]. */
  readonly seeds: number;
  /** Number of values in the output for one sample. */
  readonly width: number;
  /** The results of each phase: loss and output, gradients, new values. */
  readonly made: Record<"forward" | "backward" | "update", readonly Value[]>;
}

/** The graph of an update alone, and the entries and slots that it changes. */
export interface UpdateGraph {
  readonly graph: Graph;
  readonly slots: readonly Slot[];
  readonly written: readonly number[];
  readonly kept: readonly number[];
}

/** Indices of the entries that the model itself updates in training, such as running statistics. */
export const followedOf = (model: Model, rules?: readonly ParameterRule[]): number[] =>
  describeModel(model, { training: true, frozen: frozenLayers(model, rules) }).updates.flatMap(
    (v, i) => (v ? [i] : []),
  );

/**
 * Traces a training step over `batch` samples. Throws ShapeError if shapes do not fit or the loss
 * does not have one element.
 */
export function traceStep(
  model: Model,
  optimizer: Optimizer,
  batch: number,
  settings: StepOptions = {},
): TrainingGraph {
  checkOptions("traceStep", settings, STEP);
  const descent = traceDescent(model, batch, settings);
  const { network, labels, numbers, gradients } = descent;
  const { x, output, entries, values, updates, seeds } = network;
  const { next, hyper, slots, slotValues } = traceUpdateBy(
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
    checked: [numbers, ...gradients],
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
 * Traces the gradients without an update. Inputs: x, labels, …seeds, …entries. Outputs: the loss as
 * in {@link TrainingGraph}, the gradient of each trained entry, and the new value of each entry
 * that the model itself updates.
 */
export function traceGradients(
  model: Model,
  batch: number,
  settings: Pick<StepOptions, "loss" | "target" | "rules"> = {},
): Graph {
  checkOptions("traceGradients", settings, STEP);
  const { network, labels, numbers, gradients } = traceDescent(model, batch, settings);
  const next = network.updates.filter((v) => v !== null);
  return optimize(
    graphOf(
      [network.x, labels, ...network.seeds, ...network.values],
      [numbers, ...gradients, ...next],
    ),
  );
}

/**
 * Traces an update by given gradients. Inputs: hyper, the gradient of each trained entry, the new
 * value of each entry that the model itself updates, …entries, …slots. Outputs: the entries and
 * slots that change, as in {@link TrainingGraph}.
 */
export function traceUpdate(
  model: Model,
  optimizer: Optimizer,
  settings: Pick<StepOptions, "rules" | "clip" | "average" | "guard"> = {},
): UpdateGraph {
  checkOptions("traceUpdate", settings, STEP);
  const network = describeModel(model);
  const { entries, values } = network;
  const given = (kind: string) => (i: number) =>
    input(entries[i].spec, `${kind} ${entries[i].name}`);
  const gradients = trainedOf(model, entries, settings.rules).map(given("gradient"));
  const followed = followedOf(model, settings.rules);
  const after = followed.map(given("next"));
  const { next, hyper, slots, slotValues } = traceUpdateBy(
    model,
    optimizer,
    network,
    { gradients, sums: null },
    settings,
  );
  followed.forEach((i, k) => next.set(values[i], after[k]));
  const tensors = [...values, ...slotValues];
  const graph = guarded([hyper, ...gradients, ...after, ...tensors], [], {
    next,
    tensors,
    checked: gradients,
    guard: settings.guard,
  });
  return {
    graph: optimize(graph),
    slots,
    written: changed(values, next),
    kept: changed(slotValues, next),
  };
}
