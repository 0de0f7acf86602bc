// The outcome of a run as plain data: what `--json` writes, and what text and page are made from.

import type { CompetitorName } from "../competitor.ts";
import type { Refusal } from "../contest.ts";
import type { Engine, Machine } from "../machine.ts";
import { geometricMean } from "../stats.ts";

export interface Row {
  readonly case: string;
  readonly competitor: CompetitorName;
  readonly medianMs: number;
  readonly p10Ms: number;
  readonly p90Ms: number;
  /** By the clock of the device (timestamp queries), where it has one and the competitor tells. */
  readonly deviceMs?: number;
  /** 2 · MAC / median time; MACs as in direct convolution, whatever the kernel does. */
  readonly gflops: number;
  /** FLOP a byte, if operands and result are moved once. */
  readonly intensity: number;
  /** Of the machine's measured peak. */
  readonly percentOfPeak: number;
  readonly calls: number;
  readonly verified: boolean;
  /** Largest error seen, in ε·Σ|a·b|; null where an output is missing or not finite. */
  readonly error: number | null;
  /** Why the answer was refused. */
  readonly reason?: string;
  readonly kernels: readonly string[];
}

/** Time of a peer / time of Conv: above 1 Conv is faster. */
export interface Ratio {
  readonly geometricMean: number;
  readonly cases: Readonly<Record<string, number>>;
}

export interface Result {
  readonly machine: Machine;
  readonly engine: Engine;
  readonly flags: readonly string[];
  readonly commit: string;
  readonly direction: string;
  readonly versions: Readonly<Partial<Record<CompetitorName, string>>>;
  readonly rows: readonly Row[];
  readonly ratios: Readonly<Partial<Record<CompetitorName, Ratio>>>;
  readonly declined: readonly (Refusal & { readonly case: string })[];
}

/** One training step of LeNet-5. It is verified when the loss is finite and has fallen. */
export interface TrainRow extends Row {
  readonly imagesPerSecond: number;
  readonly firstLoss: number;
  readonly lastLoss: number;
}

export interface TrainResult extends Omit<Result, "rows" | "direction"> {
  readonly rows: readonly TrainRow[];
}

/** A network. Its errors are in standard deviations of all outputs. */
export interface NetworkRow extends Row {
  /**
   * From graph and weights in memory to the first outputs, each time in a new process that has
   * loaded its library.
   */
  readonly startsMs: readonly number[];
}

export interface NetworkResult extends Omit<Result, "rows"> {
  readonly rows: readonly NetworkRow[];
  /** Of the medians of `startsMs`. */
  readonly startRatios: Result["ratios"];
}

/** Several runs as one: their rows with the ratios over all; all else is that of the first. */
export function joined(results: readonly Result[]): Result {
  const rows = results.flatMap((r) => r.rows);
  return {
    ...results[0],
    rows,
    ratios: ratiosOf(rows),
    declined: results.flatMap((r) => r.declined),
  };
}

/**
 * For each case on which Conv and another stood, the fastest of the others by its ratio; the lowest
 * ratio first.
 */
export function hardest({ rows, ratios }: Pick<Result, "rows" | "ratios">): {
  readonly row: Row;
  readonly peer: CompetitorName;
  readonly ratio: number;
}[] {
  const own = rows.filter((r) => r.competitor === "conv");
  return own
    .flatMap((row) => {
      const met = competitorsOf(rows).flatMap((peer) =>
        ratios[peer]?.cases[row.case] ? [{ row, peer, ratio: ratios[peer].cases[row.case] }] : [],
      );
      return met.toSorted((a, b) => a.ratio - b.ratio).slice(0, 1);
    })
    .toSorted((a, b) => a.ratio - b.ratio);
}

/**
 * The figures of a row that follow from its work and its time. Conv in float16 is measured by what
 * the device reaches in it.
 */
export function speedOf(
  macs: number,
  bytes: number,
  { competitor, medianMs }: Pick<Row, "competitor" | "medianMs">,
  { gpu, peak, peaks }: Machine,
): Pick<Row, "gflops" | "intensity" | "percentOfPeak"> {
  const gflops = (2 * macs) / medianMs / 1e6;
  const most = gpu && competitor === "conv-f16" ? peaks.at(-1)! : peak;
  return { gflops, intensity: (2 * macs) / bytes, percentOfPeak: (100 * gflops) / most.gflops };
}

/** Ratios over the cases where both answers stood. */
export function ratiosOf(
  rows: readonly Pick<Row, "case" | "competitor" | "medianMs" | "verified">[],
): Partial<Record<CompetitorName, Ratio>> {
  const own = new Map(
    rows.filter((r) => r.competitor === "conv" && r.verified).map((r) => [r.case, r.medianMs]),
  );
  const ratios: Partial<Record<CompetitorName, Ratio>> = {};
  for (const peer of new Set(rows.map((r) => r.competitor))) {
    const met = rows.filter(
      (r) => r.competitor === peer && peer !== "conv" && r.verified && own.has(r.case),
    );
    if (met.length === 0) continue;
    const cases = met.map((r) => [r.case, r.medianMs / own.get(r.case)!] as const);
    ratios[peer] = {
      geometricMean: geometricMean(cases.map(([, ratio]) => ratio)),
      cases: Object.fromEntries(cases),
    };
  }
  return ratios;
}

/** Names in the order of their first appearance. */
export const casesOf = (rows: readonly Row[]): string[] => [...new Set(rows.map((r) => r.case))];
export const competitorsOf = (rows: readonly Row[]): CompetitorName[] => [
  ...new Set(rows.map((r) => r.competitor)),
];
