// Prices ≥ 0 for counted work, fitted to measured times by least squares on the relative error.

/** What a kernel did in one case, and how long it took. */
export interface Sample {
  readonly amounts: readonly number[];
  readonly seconds: number;
  /** How much its error counts. */
  readonly weight: number;
}

/** Errors above this share count in proportion, not squared: a measurement that was disturbed should not lead the fit. */
const TRUSTED = 0.1;

/** Seconds for each unit of work that make Σ weight · (amounts · prices / seconds − 1)² least, but see `TRUSTED`. */
export function fitPrices(samples: readonly Sample[]): number[] {
  const rows = samples.map(({ amounts, seconds }) => amounts.map((a) => a / seconds));
  let prices = rows[0].map(() => 0);
  let weights = samples.map((s) => s.weight);
  for (let pass = 0; pass < 20; pass++) {
    prices = nnls(rows, weights);
    weights = rows.map((row, i) => samples[i].weight / Math.max(TRUSTED, Math.abs(dot(row, prices) - 1)));
  }
  return prices;
}

/** The x ≥ 0 that makes Σ weight · (row · x − 1)² least, one coordinate after the other until none moves. */
export function nnls(rows: readonly (readonly number[])[], weights: readonly number[]): number[] {
  const axes = rows[0].map((_, j) => j);
  const sum = (term: (row: readonly number[]) => number) => rows.reduce((total, row, i) => total + weights[i] * term(row), 0);
  // With columns of equal length the steps are good ones.
  const lengths = axes.map((j) => Math.sqrt(sum((row) => row[j] ** 2)) || 1);
  const products = axes.map((j) => axes.map((k) => sum((row) => row[j] * row[k]) / (lengths[j] * lengths[k])));
  const target = axes.map((j) => sum((row) => row[j]) / lengths[j]);
  const x = axes.map(() => 0);
  for (let sweep = 0, moved = Infinity; sweep < 100_000 && moved > 1e-12 * Math.max(...x); sweep++) {
    moved = 0;
    for (const j of axes) {
      if (!products[j][j]) continue;
      const next = Math.max(0, x[j] + (target[j] - dot(products[j], x)) / products[j][j]);
      moved = Math.max(moved, Math.abs(next - x[j]));
      x[j] = next;
    }
  }
  return x.map((v, j) => v / lengths[j]);
}

export const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i], 0);
