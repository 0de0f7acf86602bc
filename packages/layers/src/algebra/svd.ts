// Singular values by one-sided Jacobi rotations (Hestenes 1958; Demmel and Veselić 1992, who show
// their accuracy): pairs of columns are rotated until all are orthogonal. Simple and accurate. The
// time grows with the cube of the size; a matrix of 400 × 400 takes some seconds.

import { message, shapeError } from "@conv/tensor";

/**
 * A = Σ_r s[r] · u[r] · v[r]ᵀ, where s is descending and ≥ 0. For s[r] > 0 the vectors u[r] (rows)
 * are orthonormal, and so are the vectors v[r] (columns).
 */
export interface Svd {
  readonly s: Float64Array;
  readonly u: readonly Float64Array[];
  readonly v: readonly Float64Array[];
}

const SWEEPS = 60; // convergence is quadratic; about ten are usual
const ORTHOGONAL = 2 ** -50; // columns with a smaller cosine are not rotated

/**
 * The singular value decomposition of a matrix (rows, columns) in row-major order, in float64, with
 * min(rows, columns) terms. Throws ShapeError unless `a` has rows·columns values.
 */
export function svd(a: ArrayLike<number>, rows: number, columns: number): Svd {
  if (a.length !== rows * columns)
    throw shapeError(
      "svd",
      "matrix-size",
      message`${{ given: a.length }} values are not a matrix of ${{ rows }}×${{ columns }}`,
    );
  if (rows < columns) {
    const transposed = Float64Array.from(
      { length: a.length },
      (_, i) => a[(i % rows) * columns + Math.floor(i / rows)],
    );
    const { s, u, v } = svd(transposed, columns, rows);
    return { s, u: v, v: u };
  }
  const work = Array.from({ length: columns }, (_, c) =>
    Float64Array.from({ length: rows }, (_, r) => a[r * columns + c]),
  );
  const turned = Array.from({ length: columns }, (_, c) =>
    new Float64Array(columns).fill(1, c, c + 1),
  );
  let moved = true;
  for (let sweep = 0; moved && sweep < SWEEPS; sweep++) {
    moved = false;
    const squares = work.map((column) => dot(column, column));
    for (let p = 0; p < columns - 1; p++)
      for (let q = p + 1; q < columns; q++) {
        const gamma = dot(work[p], work[q]);
        if (Math.abs(gamma) <= ORTHOGONAL * Math.sqrt(squares[p] * squares[q])) continue;
        moved = true;
        // The rotation that makes the two orthogonal: t is the smaller root of t² + 2ζt − 1 = 0.
        const zeta = (squares[q] - squares[p]) / (2 * gamma);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const cos = 1 / Math.hypot(1, t);
        rotate(work[p], work[q], cos, cos * t);
        rotate(turned[p], turned[q], cos, cos * t);
        squares[p] = Math.max(0, squares[p] - t * gamma);
        squares[q] += t * gamma;
      }
  }
  const norms = work.map((column) => Math.sqrt(dot(column, column)));
  const order = [...norms.keys()].toSorted((x, y) => norms[y] - norms[x]);
  return {
    s: Float64Array.from(order, (c) => norms[c]),
    u: order.map((c) => (norms[c] > 0 ? work[c].map((value) => value / norms[c]) : work[c])),
    v: order.map((c) => turned[c]),
  };
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function rotate(x: Float64Array, y: Float64Array, cos: number, sin: number): void {
  for (let i = 0; i < x.length; i++) {
    const value = x[i];
    x[i] = cos * value - sin * y[i];
    y[i] = sin * value + cos * y[i];
  }
}
