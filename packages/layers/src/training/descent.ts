// Forward and backward pass over a batch: the loss with all added terms, and the gradients.

import { add, affine, concat, full, grad, reshape } from "@conv/ops";
import { within, type Value } from "@conv/tensor";
import { labelsOf } from "../inference/forward.ts";
import { mustBeSingle, traceModel, type Model, type TracedModel } from "../layers/layer.ts";
import { measure } from "./loss.ts";
import type { StepOptions } from "./options.ts";
import { frozenLayers, trainedOf } from "./rules.ts";

export interface Descent {
  readonly network: TracedModel;
  readonly labels: Value;
  /**
   * Shape [3]: the loss with all added terms, the weight of its mean, the sum of the added terms.
   */
  readonly numbers: Value;
  /** Gradients of the loss with all added terms; with accumulation, of the mean loss alone. */
  readonly gradients: readonly Value[];
  /** null without accumulation. */
  readonly sums: Sums | null;
}

/** Further values for the accumulation of gradients. */
export interface Sums {
  /** The weight of the mean loss of the batch. */
  readonly weight: Value;
  /** Gradients of the terms that layers add to the loss; null if there are none. */
  readonly added: readonly Value[] | null;
  /** Gradients of the penalties of regularizers; null if there are none. */
  readonly penalties: readonly Value[] | null;
}

/** The sum of values of one element, shape []; null for an empty list. */
const total = (elements: readonly Value[]): Value | null =>
  elements.length > 0 ? elements.map((v) => reshape(v, [])).reduce(add) : null;

/** Traces forward and backward pass over `batch` samples. */
export function traceDescent(
  model: Model,
  batch: number,
  { loss = model.loss, target, rules, accumulate }: StepOptions,
): Descent {
  const network = traceModel(model, { batch, training: true, frozen: frozenLayers(model, rules) });
  const { output, entries, values, auxiliaries, losses } = network;
  mustBeSingle("train", model, output);
  const labels = labelsOf(batch, target);
  const trained = trainedOf(model, entries, rules);
  const { mean, weight, added, penalty } = within("loss", () => {
    const main = measure(loss, output, labels);
    const heads = auxiliaries.map((head) =>
      affine(measure(loss, head.output, labels).mean, head.weight),
    );
    const penalties = trained.flatMap((i) => entries[i].regularizer?.(values[i]) ?? []);
    return {
      mean: heads.reduce(add, main.mean),
      weight: main.weight,
      added: total(losses),
      penalty: total(penalties),
    };
  });
  const { numbers, error } = within("loss", () => {
    const extra = total([added, penalty].filter((v) => v !== null));
    const error = extra ? add(mean, extra) : mean;
    return {
      error,
      numbers: concat([error, weight, extra ?? full([], 0)].map((v) => reshape(v, [1]))),
    };
  });
  const parameters = trained.map((i) => values[i]);
  const gradientsOf = (v: Value | null) => v && grad(v, parameters);
  return {
    network,
    labels,
    numbers,
    gradients: grad(accumulate ? mean : error, parameters),
    sums: accumulate
      ? { weight, added: gradientsOf(added), penalties: gradientsOf(penalty) }
      : null,
  };
}
