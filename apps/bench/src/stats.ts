// Order statistics of a sample of times, and the mean of ratios.

/**
 * Linear between neighbors, as NumPy's default; `q` in [0, 1]. Throws RangeError on an empty
 * sample.
 */
export function quantile(sample: ArrayLike<number>, q: number): number {
  if (sample.length === 0) throw new RangeError("quantile: the sample is empty");
  const sorted = Float64Array.from(sample).toSorted();
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

export const median = (sample: ArrayLike<number>): number => quantile(sample, 0.5);

/** The mean of ratios: exp of the mean logarithm. Throws RangeError on an empty list. */
export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("geometricMean: no values");
  return Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);
}
