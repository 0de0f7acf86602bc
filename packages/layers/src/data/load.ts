// Loads batches of a data set and checks them before they are copied to the device: types of
// arrays, numbers of values, labels, finiteness.

import {
  formatShape,
  kindOf,
  message,
  rangeError,
  sameShape,
  shapeError,
  sizeOf,
  type Message,
} from "@conv/tensor";
import { describeModel, type Model } from "../layers/layer.ts";
import { indexOfNotFinite } from "../state/state.ts";
import type { Loss } from "../training/loss.ts";
import { knownLabels, type Batch, type Dataset, type Target } from "./data.ts";

export interface Loader {
  /** Throws unless the data set is not empty and has samples of the model's input shape. */
  check(data: Dataset): void;
  /**
   * Throws ShapeError for a label that is not a class of the model. Labels that are not in memory
   * are checked for the first `count` samples only.
   */
  checkLabels(data: Dataset, count?: number): void;
  /**
   * Loads a batch. Throws ShapeError if it does not fit the model. Values may be NaN or infinite,
   * see {@link whereNotFinite}.
   */
  load(data: Dataset, indices: Uint32Array, key?: string): Batch;
  /** Number of samples of a batch that the caller made. Throws ShapeError if it does not fit. */
  count(batch: Batch, target?: Target): number;
}

const fault = (code: string, rule: Message) => shapeError("train", code, rule);

/** Model and number of classes against which batches are checked. */
interface Expected {
  readonly model: Model;
  /**
   * Undefined if unknown: without `model.classes`, only cross-entropy has one class for each score.
   */
  readonly classes: number | undefined;
}

/** The name of the sample at an index of a batch, for messages. */
type NameOf = (at: number) => string;

export function createLoader(model: Model, loss?: Loss): Loader {
  const expected: Expected = {
    model,
    classes:
      model.classes ?? (loss || model.loss ? undefined : describeModel(model).output.shape[1]),
  };
  const load: Loader["load"] = (data, indices, key) => {
    const batch = data.batch(indices, key);
    checkBatch(expected, batch, indices.length, data.target, (i) => `sample ${indices[i]}`);
    return batch;
  };
  return {
    check: (data) => checkSamples(model, data),
    checkLabels(data, count = 0) {
      const labels = knownLabels(data);
      if (labels) checkClasses(expected, labels, data.target, (i) => `sample ${i}`);
      else if (count > 0)
        load(
          data,
          Uint32Array.from({ length: Math.min(count, data.count) }, (_, i) => i),
        );
    },
    load,
    count(batch, target) {
      const count = batch.x.length / sizeOf(model.input);
      if (!Number.isSafeInteger(count) || count < 1)
        throw fault(
          "batch-size",
          message`x of a batch has ${{ values: batch.x.length }} values, which is not a whole number of samples of shape ${{ shape: formatShape(model.input) }}`,
        );
      checkBatch(expected, batch, count, target, (i) => `sample ${i} of the batch`);
      return count;
    },
  };
}

/** Throws unless a data set is not empty and has samples of the model's input shape. */
function checkSamples(model: Model, { sample, count }: Dataset): void {
  if (!sameShape(sample, model.input)) {
    const [given, needed] = [formatShape(sample), formatShape(model.input)];
    const rule = message`samples have shape ${{ given }}, ${{ model: model.name }} takes ${{ needed }}`;
    const last = [...sample.slice(-1), ...sample.slice(0, -1)];
    throw fault("sample-shape", {
      text: sameShape(last, model.input)
        ? `${rule.text}; the model has channels first: transpose the samples, or use layers with layout channels-last`
        : rule.text,
      values: rule.values,
    });
  }
  if (count === 0) throw fault("no-samples", message`the data set is empty`);
  if (!Number.isSafeInteger(count) || count < 0)
    throw rangeError(
      "train",
      "count",
      message`count of the data set is ${{ count: String(count) }}, must be a whole number ≥ 1`,
    );
}

/** Throws unless a batch has `count` samples with their labels. */
function checkBatch(
  expected: Expected,
  batch: Batch,
  count: number,
  target: Target | undefined,
  nameOf: NameOf,
): void {
  const { model, classes } = expected;
  const given: unknown = batch;
  if (kindOf(given) === "Promise" || typeof given !== "object" || given === null || "then" in given)
    throw fault(
      "batch-kind",
      message`method batch of the data set returned a promise or not an object, must return { x, y } synchronously; load samples before training, for example with arrayDataset`,
    );
  const { x, y } = batch;
  const size = sizeOf(model.input);
  if (kindOf(x) !== "Float32Array")
    throw fault("x-kind", message`x of a batch is ${{ kind: kindOf(x) }}, must be Float32Array`);
  if (x.length !== count * size)
    throw fault(
      "batch-size",
      message`x of a batch has ${{ values: x.length }} values, ${{ count }} samples of shape ${{ shape: formatShape(model.input) }} need ${{ needed: count * size }}`,
    );
  const isFloat = target?.dtype === "float32";
  if (kindOf(y) !== (isFloat ? "Float32Array" : "Int32Array"))
    throw fault(
      "y-kind",
      isFloat
        ? message`y of a batch is ${{ kind: kindOf(y) }}, must be Float32Array: the data set's target is float32`
        : message`y of a batch is ${{ kind: kindOf(y) }}, must be Int32Array: labels are classes, unless the data set has a target of dtype float32`,
    );
  const labels = sizeOf(target?.shape ?? []);
  if (y.length !== count * labels) {
    const { text, values } =
      message`y of a batch has ${{ labels: y.length }} labels, ${{ count }} samples need ${{ needed: count * labels }}`;
    const oneHot = classes !== undefined && labels === 1 && y.length === count * classes;
    throw fault("label-count", {
      text: oneHot ? `${text}; give the class of each sample, not a one-hot row` : text,
      values,
    });
  }
  checkClasses(expected, y, target, nameOf);
}

/** Throws for a label that is not a class of the model. */
function checkClasses(
  { model, classes }: Expected,
  y: ArrayLike<number>,
  target: Target | undefined,
  nameOf: NameOf,
): void {
  if (classes === undefined || target?.dtype === "float32" || sizeOf(target?.shape ?? []) !== 1)
    return;
  for (let i = 0; i < y.length; i++)
    if (y[i] >= classes || (y[i] < 0 && model.classes !== undefined))
      throw fault(
        "label",
        message`${{ sample: nameOf(i) }} has label ${{ label: y[i] }}, ${{ model: model.name }} has ${{ classes }} classes, counted from 0`,
      );
}

/**
 * The first value of a batch that is NaN or infinite, in `x` or `labels`, with the index of its
 * sample in the batch; null where all are finite.
 */
export function whereNotFinite(
  { x, y }: Batch,
  count: number,
): { readonly tensor: string; readonly sample: number; readonly value: number } | null {
  for (const [tensor, values] of [
    ["x", x],
    ["labels", y],
  ] as const) {
    if (values instanceof Int32Array) continue;
    const at = indexOfNotFinite(values);
    if (at >= 0)
      return { tensor, sample: Math.floor((at * count) / values.length), value: values[at] };
  }
  return null;
}
