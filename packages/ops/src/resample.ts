// One axis of a tensor multiplied by a sparse matrix that is known when the graph is made: selection, flips,
// padding that repeats what is there, shuffles, interpolation. The adjoint is the transposed
// matrix, so the op is its own gradient.

import {
  apply,
  hostArray,
  message,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Op,
  type Spec,
  type Window,
} from "@conv/tensor";
import { mustBeAxis, mustBeFloat, resolveAxis, streamCost } from "./check.ts";
import { slice } from "./move.ts";

/** A term of a sum: which element along the axis, and its weight. */
export type Tap = readonly [index: number, weight: number];

export interface ResampleParams {
  readonly axis: number;
  /** Size of the input along the axis. */
  readonly size: number;
  /** For each output along the axis the terms of its sum; none gives 0. */
  readonly rows: readonly (readonly Tap[])[];
  /**
   * How the axis looks at the input, where it slides over it: for receptive fields, without effect
   * on values.
   */
  readonly window?: Window | undefined;
}

/** y[…, j, …] = Σ w·x[…, i, …] over the taps (i, w) of row j, along one axis. */
export const resampleOp: Op<ResampleParams> = {
  name: "resample",
  infer([x], { axis, size, rows }) {
    mustBeFloat("resample", "input", x);
    mustBeAxis("resample", axis, x.shape.length);
    if (x.shape[axis] !== size)
      throw shapeError(
        "resample",
        "size-differs",
        message`rows are over ${{ size }} elements, input has ${{ input: x.shape[axis] }}`,
        axis,
      );
    for (const [j, row] of rows.entries())
      for (const [i, w] of row) {
        if (!Number.isInteger(i) || i < 0 || i >= size)
          throw shapeError(
            "resample",
            "index-out-of-range",
            message`row ${{ row: j }} names element ${{ index: i }}, input has ${{ size }}`,
            axis,
          );
        if (!Number.isFinite(w))
          throw shapeError(
            "resample",
            "weight-not-finite",
            message`row ${{ row: j }} has weight ${{ weight: w }}, must be finite`,
            axis,
          );
      }
    return [mixed(x, axis, rows)];
  },
  reference([x], { axis, rows }) {
    const y = hostArray(mixed(x, axis, rows));
    const [size, inner] = [x.shape[axis], sizeOf(x.shape.slice(axis + 1))];
    for (let outer = 0; outer < sizeOf(x.shape.slice(0, axis)); outer++)
      rows.forEach((row, j) => {
        for (const [i, w] of row)
          for (let at = 0; at < inner; at++)
            y.data[(outer * rows.length + j) * inner + at] +=
              w * x.data[(outer * size + i) * inner + at];
      });
    return [y];
  },
  vjp: ({ params: { axis, size, rows } }, [ct]) =>
    apply(resampleOp, { axis, size: rows.length, rows: turned(rows, size) }, [ct]),
  // One multiplication for each weight that is not 1, one addition for each tap of a row but the
  // first.
  cost([x], { axis, rows }) {
    const flops = rows.reduce(
      (sum, row) => sum + Math.max(0, row.length - 1) + row.filter(([, w]) => w !== 1).length,
      0,
    );
    return streamCost(
      [x],
      mixed(x, axis, rows),
      x.shape[axis] === 0 ? 0 : (flops * sizeOf(x.shape)) / x.shape[axis],
    );
  },
  // Neighbors in order are a slice.
  simplify([x], { axis, rows }) {
    const first = rows[0]?.[0]?.[0];
    if (
      first === undefined ||
      !rows.every((row, j) => row.length === 1 && row[0][0] === first + j && row[0][1] === 1)
    )
      return null;
    return slice(
      x,
      x.shape.map((_, a) => (a === axis ? first : 0)),
      x.shape.with(axis, rows.length),
    );
  },
};

const mixed = (x: Spec, axis: number, rows: readonly unknown[]): Spec =>
  spec(x.shape.with(axis, rows.length));

/** The transposed matrix, with `size` rows. */
function turned(rows: ResampleParams["rows"], size: number): Tap[][] {
  const result: Tap[][] = Array.from({ length: size }, () => []);
  rows.forEach((row, j) => {
    for (const [i, w] of row) result[i].push([j, w]);
  });
  return result;
}

/**
 * Multiplies an axis (negative counts from the end) by a sparse matrix: element j of the result is
 * Σ w·x[i] over the taps [i, w] of
 * `rows[j]`. Throws ShapeError for an index that there is not. `window`: see {@link ResampleParams}.
 */
export function resample<T extends Arg>(
  x: T,
  rows: ResampleParams["rows"],
  axis = -1,
  window?: Window,
): T {
  const at = resolveAxis("resample", axis, x);
  return apply(resampleOp, { axis: at, size: x.shape[at], rows, ...(window && { window }) }, [
    x,
  ])[0];
}

/**
 * The elements of an axis (negative counts from the end) with these indices, in this order; one may
 * be named more than once, or never.
 */
export const select = <T extends Arg>(
  x: T,
  indices: readonly number[],
  axis = -1,
  window?: Window,
): T =>
  resample(
    x,
    indices.map((i) => [[i, 1]]),
    axis,
    window,
  );

/** The elements of the axes in reverse order. */
export const flip = <T extends Arg>(x: T, axes: readonly number[]): T =>
  axes.reduce(
    (y, axis) =>
      select(
        y,
        [...Array.from({ length: y.shape[resolveAxis("flip", axis, y)] }).keys()].toReversed(),
        axis,
      ),
    x,
  );
