// Where samples come from: anything that can hand out a batch by indices.

import { formatShape, shapeError, sizeOf } from "@conv/tensor";

/** Labelled samples. `batch` must give the same samples for the same indices at any time. */
export interface Dataset {
  readonly count: number;
  /** Shape of one sample. */
  readonly sample: readonly number[];
  batch(indices: Uint32Array | readonly number[]): { x: Float32Array; y: Int32Array };
}

export interface ArrayDatasetOptions {
  /** All samples, one after the other: floats, or bytes as in images. */
  readonly x: Float32Array | Uint8Array;
  /** One class a sample. */
  readonly y: ArrayLike<number>;
  readonly sample: readonly number[];
  /** The model sees value·scale + shift; 1/255 makes 0 to 1 of bytes. */
  readonly scale?: number;
  readonly shift?: number;
}

/** Samples in memory. Throws ShapeError where x does not hold one sample for each label. */
export function arrayDataset({ x, y, sample, scale = 1, shift = 0 }: ArrayDatasetOptions): Dataset {
  const size = sizeOf(sample);
  if (x.length !== y.length * size)
    throw shapeError("arrayDataset", `${x.length} values are not ${y.length} samples of shape ${formatShape(sample)}, which hold ${y.length * size}`);
  return {
    count: y.length,
    sample,
    batch(indices) {
      const out = new Float32Array(indices.length * size);
      indices.forEach((index, i) => {
        for (let k = 0; k < size; k++) out[i * size + k] = x[index * size + k] * scale + shift;
      });
      return { x: out, y: Int32Array.from(indices, (index) => y[index]) };
    },
  };
}

/** Some samples of a data set, in this order. */
export const subset = (data: Dataset, indices: Uint32Array | readonly number[]): Dataset => ({
  count: indices.length,
  sample: data.sample,
  batch: (wanted) => data.batch(Uint32Array.from(wanted, (i) => indices[i])),
});
