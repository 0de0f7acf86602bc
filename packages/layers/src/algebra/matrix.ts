// A convolution as a sparse matrix: y = W·x, with images flattened to vectors. Its transposed
// convolution, the gradient with respect to the input, is Wᵀ.

import { convGeometry, eachTerm } from "@conv/ops";
import { message, shapeError, sizeOf, spec } from "@conv/tensor";
import type { Convolution } from "./convolution.ts";

/**
 * A matrix in compressed sparse row format (CSR): row r has `value[i]` in column `column[i]` for
 * start[r] ≤ i < start[r + 1], with ascending columns. All other elements are zero.
 */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly start: Uint32Array;
  readonly column: Uint32Array;
  readonly value: Float64Array;
}

/**
 * The matrix W (oc·|output|, ic·|input|) of a convolution, without its bias, for one sample of
 * spatial sizes `input`: y = W·x, where x and y are flattened in row-major order. Row (o, p) has
 * the weights of output channel o at the inputs in the window of output position p. Throws
 * ShapeError if the geometry does not fit.
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
  // The terms of one output are ordered by channel and tap, so its columns ascend.
  return compressed(g.oc * sizeOf(g.output), g.ic * sizeOf(g.input), (visit) =>
    eachTerm(g, (x, w, y) => visit(y, x, weight.data[w])),
  );
}

/**
 * The matrix of the elements that `each` visits: rows in any order, elements of a row by ascending
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

/** The product W·x, in float64. Throws ShapeError unless x has as many values as W has columns. */
export function times(
  { rows, columns, start, column, value }: SparseMatrix,
  x: ArrayLike<number>,
): Float64Array {
  if (x.length !== columns)
    throw shapeError(
      "times",
      "columns",
      message`the matrix has ${{ columns }} columns, the vector has ${{ given: x.length }} values`,
    );
  const y = new Float64Array(rows);
  for (let row = 0; row < rows; row++)
    for (let i = start[row]; i < start[row + 1]; i++) y[row] += value[i] * x[column[i]];
  return y;
}

/** The transpose Wᵀ. */
export const transposed = ({ rows, columns, start, column, value }: SparseMatrix): SparseMatrix =>
  compressed(columns, rows, (visit) => {
    for (let row = 0; row < rows; row++)
      for (let i = start[row]; i < start[row + 1]; i++) visit(column[i], row, value[i]);
  });
