import { expect, test } from "vitest";
import { geometricMean, median, quantile } from "../src/stats.ts";

test("quantiles interpolate between neighbors and leave the sample alone", () => {
  const sample = [4, 1, 3, 2];
  expect(median(sample)).toBe(2.5);
  expect(quantile(sample, 0)).toBe(1);
  expect(quantile(sample, 1)).toBe(4);
  expect(quantile(sample, 0.1)).toBeCloseTo(1.3, 12);
  expect(quantile(sample, 0.9)).toBeCloseTo(3.7, 12);
  expect(sample).toEqual([4, 1, 3, 2]);
  expect(median([100, 9, 20])).toBe(20);
  expect(quantile([7], 0.9)).toBe(7);
});

test("the mean of ratios is geometric", () => {
  expect(geometricMean([2, 8])).toBeCloseTo(4, 12);
  expect(geometricMean([0.5, 2])).toBeCloseTo(1, 12);
});

test("nothing has no statistics", () => {
  expect(() => median([])).toThrow(new RangeError("quantile: the sample is empty"));
  expect(() => geometricMean([])).toThrow(new RangeError("geometricMean: no values"));
});
