// Prices ≥ 0 for counted work, fitted to measured times by least squares on the relative error.

/** What a kernel did in one case, and how long it took. */
export interface Sample {
  readonly amounts: readonly number[];
  readonly seconds: number;
  /** How much its error counts. */
  readonly weight: number;
}

/**
 * Errors above this share count in proportion, not squared: a measurement that was disturbed should
 * not lead the fit.
 */
const TRUSTED = 0.1;

/**
 * Seconds for each unit of work that make Σ weight · (amounts · prices / seconds − 1)² least, but
 * see `TRUSTED`.
 */
export function fitPrices(samples: readonly Sample[]): number[] {
  const rows = samples.map(({ amounts, seconds }) => amounts.map((a) => a / seconds));
  let prices = rows[0].map(() => 0);
  let weights = samples.map((s) => s.weight);
  for (let pass = 0; pass < 20; pass++) {
    prices = nnls(rows, weights);
    weights = rows.map(
      (row, i) => samples[i].weight / Math.max(TRUSTED, Math.abs(dot(row, prices) - 1)),
    );
  }
  return prices;
}

/**
 * The x ≥ 0 that makes Σ weight · (row · x − 1)² least, by the active sets of Lawson and Hanson,
 * "Solving least squares problems" (1974), ch. 23.
 */
export function nnls(rows: readonly (readonly number[])[], weights: readonly number[]): number[] {
  const axes = rows[0].map((_, j) => j);
  const sum = (term: (row: readonly number[]) => number) =>
    rows.reduce((total, row, i) => total + weights[i] * term(row), 0);
  // Columns of equal length, for the sake of rounding.
  const lengths = axes.map((j) => Math.sqrt(sum((row) => row[j] ** 2)));
  const known = axes.filter((j) => lengths[j] > 0);
  const products = axes.map((j) =>
    axes.map((k) => sum((row) => row[j] * row[k]) / (lengths[j] * lengths[k])),
  );
  const target = axes.map((j) => sum((row) => row[j]) / lengths[j]);
  const x = axes.map(() => 0);
  let free: number[] = [];
  for (let step = 0; step < 10 * axes.length; step++) {
    const slope = (j: number) =>
      target[j] - known.reduce((total, k) => total + products[j][k] * x[k], 0);
    const bound = known.filter((j) => !free.includes(j));
    const steepest = bound.reduce((a, b) => (slope(b) > slope(a) ? b : a), bound[0]);
    if (steepest === undefined || slope(steepest) <= 1e-9 * target[steepest]) break;
    free.push(steepest);
    for (;;) {
      const full = solve(
        free.map((j) => free.map((k) => products[j][k] + (j === k ? 1e-12 : 0))),
        free.map((j) => target[j]),
      );
      const low = free.flatMap((j, i) => (full[i] <= 0 ? [x[j] / (x[j] - full[i])] : []));
      const share = Math.min(1, ...low);
      free.forEach((j, i) => (x[j] += share * (full[i] - x[j])));
      if (low.length === 0) break;
      // Whoever reached zero is bound again.
      free = free.filter((j) => x[j] > 1e-12 * target[j]);
      for (const j of axes) if (!free.includes(j)) x[j] = 0;
    }
  }
  return x.map((v, j) => (lengths[j] ? v / lengths[j] : 0));
}

/** The solution of a symmetric positive definite system, by elimination. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  rows.forEach((row, i) => {
    for (const other of rows.slice(i + 1)) {
      const factor = other[i] / row[i];
      row.forEach((v, j) => (other[j] -= factor * v));
    }
  });
  for (let i = rows.length - 1; i >= 0; i--) {
    const later = rows
      .slice(i + 1)
      .reduce((total, row, k) => total + rows[i][i + 1 + k] * row[rows.length], 0);
    rows[i][rows.length] = (rows[i][rows.length] - later) / rows[i][i];
  }
  return rows.map((row) => row[rows.length]);
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * b[i], 0);
