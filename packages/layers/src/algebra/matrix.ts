// A convolution is a matrix: y = W·x with images written as columns, and its transposed
// convolution, the gradient to the input, is Wᵀ. Kept as compressed rows, for almost all of it is
// zero.

import { convGeometry, eachTerm } from "@conv/ops";
import { message, shapeError, sizeOf, spec } from "@conv/tensor";
import type { Convolution } from "./convolution.ts";

/**
 * Row r holds `value[i]` in column `column[i]` for start[r] ≤ i < start[r + 1], columns ascending;
 * all else is zero.
 */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly start: Uint32Array;
  readonly column: Uint32Array;
  readonly value: Float64Array;
}

/**
 * The matrix W (oc·|output|, ic·|input|) with which a convolution without its bias multiplies one
 * sample of spatial sizes `input`, x and y flat in the order of their shapes. Row (o, p) has the
 * weight of output channel o at the inputs that output p sees. Throws ShapeError.
 */
export function toMatrix(
  { weight, bias: _bias, ...sliding }: Convolution,
  input: readonly number[],
): SparseMatrix {
  const g = convGeometry(
    spec([1, weight.shape[1] * (sliding.groups ?? 1), ...input]),
    spec(weight.shape),
    sliding,
  );
  // The terms of one output come channel by channel and tap by tap, that is by ascending input.
  return compressed(g.oc * sizeOf(g.output), g.ic * sizeOf(g.input), (visit) =>
    eachTerm(g, (x, w, y) => visit(y, x, weight.data[w])),
  );
}

/**
 * The matrix of the entries that `each` visits, in any order of rows, those of one row by ascending
 * column.
 */
function compressed(
  rows: number,
  columns: number,
  each: (visit: (row: number, column: number, value: number) => void) => void,
): SparseMatrix {
  const start = new Uint32Array(rows + 1);
  each((row) => start[row + 1]++);
  for (let row = 0; row < rows; row++) start[row + 1] += start[row];
  const next = start.slice();
  const column = new Uint32Array(start[rows]);
  const value = new Float64Array(start[rows]);
  each((row, c, v) => {
    const at = next[row]++;
    column[at] = c;
    value[at] = v;
  });
  return { rows, columns, start, column, value };
}

/** W·x. Throws ShapeError unless x has as many numbers as W has columns. */
export function times(
  { rows, columns, start, column, value }: SparseMatrix,
  x: ArrayLike<number>,
): Float64Array {
  if (x.length !== columns)
    throw shapeError(
      "times",
      "columns",
      message`the matrix has ${{ columns }} columns, the vector ${{ given: x.length }} numbers`,
    );
  const y = new Float64Array(rows);
  for (let row = 0; row < rows; row++)
    for (let i = start[row]; i < start[row + 1]; i++) y[row] += value[i] * x[column[i]];
  return y;
}

/** Wᵀ. */
export const transposed = ({ rows, columns, start, column, value }: SparseMatrix): SparseMatrix =>
  compressed(columns, rows, (visit) => {
    for (let row = 0; row < rows; row++)
      for (let i = start[row]; i < start[row + 1]; i++) visit(column[i], row, value[i]);
  });
