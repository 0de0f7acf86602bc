// The fit of costs to measurements, and how good the choices are that they lead to.

import { kinds, type CostRow } from "@conv/kernels-cpu/explain";
import { fitPrices, type Sample } from "./nnls.ts";

/** The kinds of work that costs are fitted to. */
const fittedKinds = [...kinds, "call"] as const satisfies readonly (keyof CostRow)[];

/** The time of one kernel in one case, and its work. */
export interface Measured {
  readonly kernel: string;
  readonly seconds: number;
  readonly amounts: Readonly<Partial<Record<keyof CostRow, number>>>;
  /** Predicted by the present costs. */
  readonly estimate: number;
}

export interface MeasuredCase {
  readonly kind: string;
  readonly name: string;
  readonly kernels: readonly Measured[];
}

/** The costs of each kernel, in nanoseconds. */
export interface Prices {
  readonly [kernel: string]: CostRow;
}

/** Seconds that work takes by a row of costs. */
export const predicted = (amounts: Measured["amounts"], row: CostRow): number =>
  fittedKinds.reduce((sum, kind) => sum + (amounts[kind] ?? 0) * (row[kind] ?? 0), 0) * 1e-9;

/**
 * Nanoseconds of a call at the least: an estimate must not be 0, and no kernel was measured to take
 * less.
 */
const LEAST_CALL = 100;

/** A row of costs: seconds in the order of `fittedKinds`, rounded to two digits. */
function rowOf(seconds: readonly number[]): CostRow {
  const costs = seconds.map((s) => Number((s * 1e9).toPrecision(2)));
  const known = fittedKinds.flatMap((kind, i) => (costs[i] > 0 ? [[kind, costs[i]] as const] : []));
  return { ...Object.fromEntries(known), call: Math.max(LEAST_CALL, costs.at(-1)!) };
}

/** A kernel with fewer samples keeps its costs: they would not determine eight numbers. */
const FEWEST = 12;

/**
 * Costs of all kernels that were measured often enough. The errors of a kernel weigh less the
 * slower it is than the best kernel of the case, since they change no choice there.
 */
export function fitAll(cases: readonly MeasuredCase[]): Prices {
  let pace = cases.map(() => 1);
  let prices: Prices = {};
  for (let pass = 0; pass < PASSES; pass++) {
    const samples = new Map<string, Sample[]>();
    cases.forEach(({ kernels }, i) => {
      const best = Math.min(...kernels.map((k) => k.seconds));
      for (const { kernel, amounts, seconds } of kernels) {
        const list = samples.get(kernel) ?? [];
        samples.set(kernel, list);
        list.push({
          amounts: fittedKinds.map((kind) => amounts[kind] ?? 0),
          seconds: seconds / pace[i],
          weight: best / seconds,
        });
      }
    });
    const fitted = [...samples].filter(([, list]) => list.length >= FEWEST);
    prices = Object.fromEntries(fitted.map(([kernel, list]) => [kernel, rowOf(fitPrices(list))]));
    const logs = cases.map((c) => logPace(c, prices));
    const mean = logs.reduce((sum, v) => sum + v, 0) / logs.length;
    pace = logs.map((v) => Math.exp(v - mean));
  }
  return prices;
}

const PASSES = 8;

/**
 * How much slower than predicted the machine was during a case, to all its kernels alike (the mean
 * logarithm, of kernels near the best): it has other work too. Where one kernel was measured alone,
 * nothing can be told.
 */
function logPace({ kernels }: MeasuredCase, prices: Prices): number {
  const best = Math.min(...kernels.map((k) => k.seconds));
  const known = kernels.filter((k) => prices[k.kernel] && k.seconds < 4 * best);
  if (known.length < 2) return 0;
  return (
    known.reduce(
      (sum, k) => sum + Math.log(k.seconds / predicted(k.amounts, prices[k.kernel])),
      0,
    ) / known.length
  );
}

/** A choice slower than the best measured kernel by no more than this share is as good. */
export const AS_GOOD = 0.1;

export interface Choice {
  readonly name: string;
  readonly kind: string;
  readonly chosen: string;
  readonly best: string;
  /** Time of the chosen by that of the best. */
  readonly ratio: number;
}

/** The choice in each case, by the estimates that stand or by other prices where they are given. */
export function choices(cases: readonly MeasuredCase[], prices: Prices = {}): Choice[] {
  return cases.map(({ kind, name, kernels }) => {
    const estimate = (k: Measured) =>
      prices[k.kernel] ? predicted(k.amounts, prices[k.kernel]) : k.estimate;
    const least = (of: (k: Measured) => number) =>
      kernels.reduce((a, b) => (of(b) < of(a) ? b : a));
    const chosen = least(estimate);
    const best = least((k) => k.seconds);
    return {
      kind,
      name,
      chosen: chosen.kernel,
      best: best.kernel,
      ratio: chosen.seconds / best.seconds,
    };
  });
}

const FOLDS = 4;

/**
 * The choices in each quarter of the cases by prices that were fitted to the others: what to expect
 * of cases that were never measured.
 */
export function unseenChoices(cases: readonly MeasuredCase[]): Choice[] {
  const seen = new Map<string, number>();
  const folds = cases.map(({ kind }) => {
    const before = seen.get(kind) ?? 0;
    seen.set(kind, before + 1);
    return before % FOLDS;
  });
  const part = (fold: number, inside: boolean) =>
    cases.filter((_, i) => (folds[i] === fold) === inside);
  return Array.from({ length: FOLDS }, (_, fold) =>
    choices(part(fold, true), fitAll(part(fold, false))),
  ).flat();
}

export const asGood = (list: readonly Choice[]): number =>
  list.filter((c) => c.ratio <= 1 + AS_GOOD).length;
