// Batches as they come from a data set, checked before they reach the device: kinds of arrays, how
// many values, labels, finiteness.

import { formatShape, kindOf, rangeError, sameShape, shapeError, sizeOf } from "@conv/tensor";
import { describeModel, type Model } from "../layers/layer.ts";
import { indexOfNotFinite } from "../state/state.ts";
import type { Loss } from "../training/loss.ts";
import { knownLabels, type Batch, type Dataset, type Target } from "./data.ts";

export interface Loader {
  /**
   * Throws unless the data set's samples are such as the model takes, and there is at least one.
   */
  check(data: Dataset): void;
  /**
   * Throws as `load` where labels that are in memory are no classes; where they are not in memory,
   * the first `count` samples are loaded.
   */
  checkLabels(data: Dataset, count?: number): void;
  /**
   * Throws ShapeError, naming the remedy, for anything that does not fit. Values may be NaN or
   * infinite: see {@link whereNotFinite}.
   */
  load(data: Dataset, indices: Uint32Array, key?: string): Batch;
  /** Number of samples of a batch that a user made. Throws as `load`. */
  count(batch: Batch, target?: Target): number;
}

export function createLoader(model: Model, loss?: Loss): Loader {
  const size = sizeOf(model.input);
  // Cross-entropy has as many classes as there are scores; other losses may take other labels.
  const classes =
    model.classes ?? (loss || model.loss ? undefined : describeModel(model).output.shape[1]);
  const fault = (rule: string) => shapeError("train", rule);

  const mustFit = (
    batch: Batch,
    count: number,
    target: Target | undefined,
    name: (at: number) => string,
  ): Batch => {
    const given: unknown = batch;
    if (
      kindOf(given) === "Promise" ||
      typeof given !== "object" ||
      given === null ||
      "then" in given
    )
      throw fault(
        "batch gave a promise or no object, must give { x, y } at once; load samples before training, as into arrayDataset",
      );
    const { x, y } = batch;
    const isFloat = target?.dtype === "float32";
    const labels = sizeOf(target?.shape ?? []);
    if (kindOf(x) !== "Float32Array")
      throw fault(`x of a batch is ${kindOf(x)}, must be Float32Array`);
    if (x.length !== count * size)
      throw fault(
        `x of a batch has ${x.length} values, ${count} samples of shape ${formatShape(model.input)} have ${count * size}`,
      );
    if (kindOf(y) !== (isFloat ? "Float32Array" : "Int32Array"))
      throw fault(
        isFloat
          ? `y of a batch is ${kindOf(y)}, must be Float32Array: the data set's target is float32`
          : `y of a batch is ${kindOf(y)}, must be Int32Array: labels are classes, unless the data set has a target of dtype float32`,
      );
    if (y.length !== count * labels) {
      const oneHot = classes !== undefined && labels === 1 && y.length === count * classes;
      throw fault(
        `y of a batch has ${y.length} labels, ${count} samples have ${count * labels}${oneHot ? "; give the class of each, not a one-hot row" : ""}`,
      );
    }
    mustBeClasses(y, target, name);
    return batch;
  };
  const mustBeClasses = (
    y: ArrayLike<number>,
    target: Target | undefined,
    name: (at: number) => string,
  ): void => {
    if (classes === undefined || target?.dtype === "float32" || sizeOf(target?.shape ?? []) !== 1)
      return;
    for (let i = 0; i < y.length; i++)
      if (y[i] >= classes || (y[i] < 0 && model.classes !== undefined))
        throw fault(`${name(i)} has label ${y[i]}, ${model.name} has ${classes} classes`);
  };
  const load: Loader["load"] = (data, indices, key) =>
    mustFit(data.batch(indices, key), indices.length, data.target, (i) => `sample ${indices[i]}`);

  return {
    check({ sample, count }) {
      if (!sameShape(sample, model.input)) {
        const last = [...sample.slice(-1), ...sample.slice(0, -1)];
        const remedy = sameShape(last, model.input)
          ? "; channels come first: transpose the samples, or use layers of layout channels-last"
          : "";
        throw fault(
          `samples have shape ${formatShape(sample)}, ${model.name} takes ${formatShape(model.input)}${remedy}`,
        );
      }
      if (count === 0) throw fault("the data set is empty");
      if (!Number.isSafeInteger(count) || count < 0)
        throw rangeError("train", `the data set has count ${count}, must be a whole number`);
    },
    checkLabels(data, count = 0) {
      const labels = knownLabels(data);
      if (labels) mustBeClasses(labels, data.target, (i) => `sample ${i}`);
      else if (count > 0)
        load(
          data,
          Uint32Array.from({ length: Math.min(count, data.count) }, (_, i) => i),
        );
    },
    load,
    count(batch, target) {
      const count = batch.x.length / size;
      if (!Number.isSafeInteger(count) || count < 1)
        throw fault(
          `x of a batch has ${batch.x.length} values, which are no samples of shape ${formatShape(model.input)}`,
        );
      mustFit(batch, count, target, (i) => `sample ${i} of the batch`);
      return count;
    },
  };
}

/**
 * The first value of a batch that is NaN or infinite, or null: in `x` or `labels`, and the place of
 * its sample.
 */
export function whereNotFinite(
  { x, y }: Batch,
  count: number,
): { readonly layer: string; readonly sample: number; readonly value: number } | null {
  for (const [layer, values] of [
    ["x", x],
    ["labels", y],
  ] as const) {
    if (values instanceof Int32Array) continue;
    const at = indexOfNotFinite(values);
    if (at >= 0)
      return { layer, sample: Math.floor((at * count) / values.length), value: values[at] };
  }
  return null;
}
