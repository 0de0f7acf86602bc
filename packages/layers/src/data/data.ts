// Data sets: objects that return batches of samples by indices.

import {
  checkOptions,
  formatShape,
  kindOf,
  rangeError,
  shapeError,
  sizeOf,
  spec,
  type DType,
  message,
  type Message,
} from "@conv/tensor";

/** Shape and dtype of the target of one sample. A class is int32 of shape []. */
export interface Target {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Samples and their labels, each in row-major order. */
export interface Batch {
  readonly x: Float32Array;
  readonly y: Int32Array | Float32Array;
}

/** Labeled samples. */
export interface Dataset {
  readonly count: number;
  /** Shape of one sample. */
  readonly sample: readonly number[];
  /** Shape and dtype of a label. Default: a class. */
  readonly target?: Target | undefined;
  /**
   * Returns the samples with these indices. The result must depend only on the arguments. A data
   * set with random changes must seed them with `key` and the index, and make none without a key.
   * Training passes a key for each seed and epoch, evaluation passes none.
   */
  batch(indices: Uint32Array | readonly number[], key?: string): Batch;
}

const labelsInMemory = /* @__PURE__ */ new WeakMap<Dataset, ArrayLike<number>>();

/**
 * The label of each sample, if the data set has one label for each sample in memory:
 * `arrayDataset`, and subsets and augmentations of it.
 */
export const knownLabels = (data: Dataset): ArrayLike<number> | undefined =>
  labelsInMemory.get(data);

/** Registers the labels of a data set, and returns it. */
export function withLabels(data: Dataset, labels: ArrayLike<number> | undefined): Dataset {
  if (labels) labelsInMemory.set(data, labels);
  return data;
}

export interface ArrayDatasetOptions {
  /** All samples, (count, …sample) in row-major order: floats, or bytes as in images. */
  readonly x: Float32Array | Uint8Array;
  /** The class of each sample, or all targets in row-major order. */
  readonly y: ArrayLike<number>;
  readonly sample: readonly number[];
  /** Shape and dtype of a label. Default: a class. */
  readonly target?: Target | undefined;
  /**
   * The model reads value·scale + shift; scale 1/255 maps bytes to [0, 1]. Default: scale 1, shift
   * 0.
   */
  readonly scale?: number | undefined;
  readonly shift?: number | undefined;
}

/**
 * A data set in memory. Throws ShapeError unless x has one sample for each label, and each label is
 * an int32 (for a target of dtype float32: a finite number).
 */
export function arrayDataset(options: ArrayDatasetOptions): Dataset {
  checkOptions("arrayDataset", options, "x y sample target scale shift");
  const { x, y, sample, target, scale = 1, shift = 0 } = options;
  const fault = (code: string, rule: Message) => shapeError("arrayDataset", code, rule);
  for (const [what, value] of Object.entries({ x, y, sample }))
    if (typeof value?.length !== "number")
      throw fault("list", message`${{ name: what }} is ${{ kind: kindOf(value) }}, must be a list`);
  const size = sizeOf(spec([...sample]).shape);
  const labels = sizeOf(target?.shape ?? []);
  const count = y.length / labels;
  const isFloat = target?.dtype === "float32";
  if (!Number.isInteger(count))
    throw fault(
      "targets",
      message`y has ${{ values: y.length }} values, not a whole number of targets of shape ${{ shape: formatShape(target?.shape ?? []) }}`,
    );
  if (x.length !== count * size) {
    const times = y.length / (x.length / size);
    const oneHot = !target && Number.isInteger(times) && times > 1;
    const { text, values } =
      message`${{ values: x.length }} values are not ${{ count }} samples of shape ${{ shape: formatShape(sample) }}, which have ${{ needed: count * size }} values`;
    throw fault("sample-count", {
      text: oneHot ? `${text}; give the class of each sample, not a one-hot row` : text,
      values,
    });
  }
  for (const [what, value] of Object.entries({ scale, shift }))
    if (!Number.isFinite(value))
      throw fault("number", message`${{ name: what }} ${{ value }} is not a finite number`);
  for (let i = 0; i < y.length; i++)
    if (!(isFloat ? Number.isFinite(y[i]) : typeof y[i] === "number" && (y[i] | 0) === y[i]))
      throw fault(
        "label",
        message`y[${{ index: i }}] is ${{ value: String(y[i]) }}, must be ${{ expected: isFloat ? "a finite number" : "a whole number (a class); for other labels set a target of dtype float32" }}`,
      );
  const data: Dataset = {
    count,
    sample,
    target,
    batch(indices) {
      const out = new Float32Array(indices.length * size);
      const answers = new (isFloat ? Float32Array : Int32Array)(indices.length * labels);
      indices.forEach((index, i) => {
        mustBeIndex("arrayDataset", index, count);
        for (let k = 0; k < size; k++) out[i * size + k] = x[index * size + k] * scale + shift;
        for (let k = 0; k < labels; k++) answers[i * labels + k] = y[index * labels + k];
      });
      return { x: out, y: answers };
    },
  };
  return withLabels(data, labels === 1 ? y : undefined);
}

function mustBeIndex(op: string, index: number, count: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < count))
    throw rangeError(
      op,
      "index",
      message`index ${{ index }} is not the index of a sample: the data set has ${{ count }} samples, counted from 0`,
    );
}

/**
 * The samples of a data set with these indices, in this order. Throws RangeError for an index out
 * of range.
 */
export function subset(data: Dataset, indices: Uint32Array | readonly number[]): Dataset {
  const own = Array.from(indices); // a copy: later changes of the list have no effect
  for (const index of own) mustBeIndex("subset", index, data.count);
  const chosen: Dataset = {
    count: own.length,
    sample: data.sample,
    target: data.target,
    batch: (wanted, key) =>
      data.batch(
        Uint32Array.from(wanted, (i) => (mustBeIndex("subset", i, own.length), own[i])),
        key,
      ),
  };
  const labels = knownLabels(data);
  return withLabels(chosen, labels && own.map((i) => labels[i]));
}
