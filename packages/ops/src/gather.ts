// Elements taken by indices that are data, the adjoint that puts them back, and the whole numbers
// that indices are.

import {
  apply,
  bytesOf,
  checkOptions,
  formatShape,
  hostArray,
  message,
  sameShape,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Op,
  type Spec,
  type Window,
} from "@conv/tensor";
import { mustBeFloat, streamCost } from "./check.ts";

export interface GatherParams {
  /**
   * How each axis of the indices looks at that of the input, where they are known to slide: for
   * receptive fields, without effect on values.
   */
  readonly windows?: readonly Window[] | undefined;
}

export interface ScatterAddParams extends GatherParams {
  readonly size: readonly number[];
}

/** The windows as the other way sees them. */
const adjoint = ({ windows }: GatherParams): GatherParams =>
  windows ? { windows: windows.map((w) => ({ ...w, transposed: !w.transposed })) } : {};

/** Elements of a row, over all its axes. */
const rowOf = (x: Spec): number => sizeOf(x.shape.slice(2));

/** Checks an input of rows (b, c, …space) with its indices (b, …count). */
function mustMatch(op: string, x: Spec, index: Spec): void {
  if (index.dtype !== "int32")
    throw shapeError(op, "index-dtype", message`index is ${{ dtype: index.dtype }}, must be int32`);
  if (x.shape.length < 3)
    throw shapeError(
      op,
      "input-rank",
      message`input has ${{ axes: x.shape.length }} axes, needs batch, rows and at least one of elements`,
    );
  if (index.shape.length < 2)
    throw shapeError(
      op,
      "index-rank",
      message`index has ${{ axes: index.shape.length }} axes, needs batch and at least one of elements`,
    );
  if (x.shape[0] !== index.shape[0])
    throw shapeError(
      op,
      "batch-differs",
      message`input has batch ${{ input: x.shape[0] }}, index has ${{ index: index.shape[0] }}`,
    );
}

/**
 * x (b, c, …size), index int32 (b, …count) → y (b, c, …count): y[b, c, j] = x[b, c, index[b, j]],
 * the index flat over …size, 0 where it is out of range.
 */
export const gatherOp: Op<GatherParams> = {
  name: "gather",
  infer([x, index]) {
    mustMatch("gather", x, index);
    return [spec([x.shape[0], x.shape[1], ...index.shape.slice(1)], x.dtype)];
  },
  reference([x, index]) {
    const [b, c] = x.shape;
    const y = hostArray(spec([b, c, ...index.shape.slice(1)], x.dtype));
    const [size, count] = [rowOf(x), rowOf(y)];
    y.data.forEach((_, at) => {
      const row = Math.floor(at / count);
      const i = index.data[Math.floor(row / c) * count + (at % count)];
      if (i >= 0 && i < size) y.data[at] = x.data[row * size + i];
    });
    return [y];
  },
  vjp: ({ inputs: [x, index], params }, [ct]) => [
    scatterAdd(ct, index, { ...adjoint(params), size: x.shape.slice(2) }),
    null,
  ],
  // It reads an element of x and an index for each of y.
  cost: ([x, index]) => ({
    macs: 0,
    flops: 0,
    bytesRead: bytesOf(index) * (1 + x.shape[1]),
    bytesWritten: bytesOf(index) * x.shape[1],
  }),
};

/**
 * x (b, c, …count), index int32 (b, …count) → y (b, c, …size): y[b, c, i] = Σ x[b, c, j] over the j
 * with index[b, j] = i; the adjoint of {@link gatherOp}.
 */
export const scatterAddOp: Op<ScatterAddParams> = {
  name: "scatterAdd",
  infer([x, index], { size }) {
    mustBeFloat("scatterAdd", "input", x);
    mustMatch("scatterAdd", x, index);
    const [row, places] = [x.shape.slice(2), index.shape.slice(1)];
    if (!sameShape(row, places))
      throw shapeError(
        "scatterAdd",
        "rows-differ",
        message`rows of the input are ${{ input: formatShape(row) }}, those of the index ${{ index: formatShape(places) }}`,
      );
    return [spec([x.shape[0], x.shape[1], ...size])];
  },
  reference([x, index], params) {
    const [b, c] = x.shape;
    const y = hostArray(spec([b, c, ...params.size]));
    const [size, count] = [rowOf(y), rowOf(x)];
    x.data.forEach((v, at) => {
      const row = Math.floor(at / count);
      const i = index.data[Math.floor(row / c) * count + (at % count)];
      if (i >= 0 && i < size) y.data[row * size + i] += v;
    });
    return [y];
  },
  vjp: ({ inputs: [, index], params }, [ct]) => [gather(ct, index, adjoint(params)), null],
  cost: ([x, index], { size }) => ({
    ...streamCost([x, index], spec([x.shape[0], x.shape[1], ...size])),
    flops: sizeOf(x.shape),
  }),
};

/**
 * Elements of rows by index: x (b, c, …size), index int32 (b, …count), flat and the same for all c
 * rows → (b, c, …count); 0 for an index out of range. Throws ShapeError.
 */
export function gather<T extends Arg>(x: T, index: T, params: GatherParams = {}): T {
  checkOptions("gather", params, "windows");
  return apply(gatherOp, params, [x, index])[0];
}

/**
 * Rows of zeros to which the elements of x are added at their indices: x (b, c, …count), index
 * int32 (b, …count), flat → (b, c, …size). One out of range is left out. Throws ShapeError.
 */
export function scatterAdd<T extends Arg>(x: T, index: T, params: ScatterAddParams): T {
  checkOptions("scatterAdd", params, "size windows");
  return apply(scatterAddOp, params, [x, index])[0];
}
