// Where samples come from: anything that can hand out a batch by indices.

import { formatShape, shapeError, sizeOf, type DType } from "@conv/tensor";

/** What a sample is labelled with: a tensor of this shape, without the batch. A class is an int32 of no axis. */
export interface Target {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Samples with their labels, one after the other. */
export interface Batch {
  readonly x: Float32Array;
  readonly y: Int32Array | Float32Array;
}

/** Labelled samples. */
export interface Dataset {
  readonly count: number;
  /** Shape of one sample. */
  readonly sample: readonly number[];
  /** What samples are labelled with; a class where absent. */
  readonly target?: Target;
  /**
   * Must give the same for the same arguments at any time. Whoever changes samples at random draws from `key` and the index, and changes
   * none where there is no key: training gives one for each seed and epoch, testing none.
   */
  batch(indices: Uint32Array | readonly number[], key?: string): Batch;
}

export interface ArrayDatasetOptions {
  /** All samples, one after the other: floats, or bytes as in images. */
  readonly x: Float32Array | Uint8Array;
  /** One class a sample, or one target after the other. */
  readonly y: ArrayLike<number>;
  readonly sample: readonly number[];
  /** Of each label; a class where absent. */
  readonly target?: Target;
  /** The model sees value·scale + shift; 1/255 makes 0 to 1 of bytes. */
  readonly scale?: number;
  readonly shift?: number;
}

/** Samples in memory. Throws ShapeError where x does not hold one sample for each label. */
export function arrayDataset({ x, y, sample, target, scale = 1, shift = 0 }: ArrayDatasetOptions): Dataset {
  const size = sizeOf(sample);
  const labels = sizeOf(target?.shape ?? []);
  const count = y.length / labels;
  if (x.length !== count * size)
    throw shapeError("arrayDataset", `${x.length} values are not ${count} samples of shape ${formatShape(sample)}, which hold ${count * size}`);
  return {
    count,
    sample,
    target,
    batch(indices) {
      const out = new Float32Array(indices.length * size);
      const answers = new (target?.dtype === "float32" ? Float32Array : Int32Array)(indices.length * labels);
      indices.forEach((index, i) => {
        for (let k = 0; k < size; k++) out[i * size + k] = x[index * size + k] * scale + shift;
        for (let k = 0; k < labels; k++) answers[i * labels + k] = y[index * labels + k];
      });
      return { x: out, y: answers };
    },
  };
}

/** Some samples of a data set, in this order. */
export const subset = (data: Dataset, indices: Uint32Array | readonly number[]): Dataset => ({
  count: indices.length,
  sample: data.sample,
  target: data.target,
  batch: (wanted, key) =>
    data.batch(
      Uint32Array.from(wanted, (i) => indices[i]),
      key,
    ),
});
