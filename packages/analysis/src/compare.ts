// Two networks side by side: every count of the whole, and by how much they differ.

import { conventionNames } from "./operations.ts";
import { conventions, type Counts, type Summary } from "./summary.ts";

/** One count of two networks. Plain data. */
export interface ComparedCount {
  readonly key: string;
  readonly a: number;
  readonly b: number;
  /** b / a; null where a is 0. */
  readonly ratio: number | null;
  /** What is counted. */
  readonly means: string;
}

export interface Comparison {
  readonly a: string;
  readonly b: string;
  /** Shapes, batch first. */
  readonly inputs: readonly [a: readonly number[], b: readonly number[]];
  readonly counts: readonly ComparedCount[];
}

const keys = [
  "parameters",
  "trainable",
  "buffers",
  "parameterBytes",
  "flops",
  "connections",
  "elements",
  "activationBytes",
  "movedBytes",
] as const satisfies readonly (keyof Counts)[];

/** Compares what two summaries count in total; operations by every convention. */
export function compare(a: Summary, b: Summary): Comparison {
  const row = (key: string, means: string, of: (t: Counts) => number): ComparedCount => {
    const [left, right] = [of(a.totals), of(b.totals)];
    return { key, a: left, b: right, ratio: left === 0 ? null : right / left, means };
  };
  return {
    a: a.model,
    b: b.model,
    inputs: [a.input, b.input],
    counts: [
      ...keys.slice(0, 4).map((key) => row(key, conventions[key], (t) => t[key])),
      ...conventionNames.map((name) =>
        row(`operations (${name})`, conventions.operations[name], (t) => t.operations[name]),
      ),
      row("backward dx", conventions.backward, (t) => t.backward.dx),
      row("backward dw", conventions.backward, (t) => t.backward.dw),
      ...keys.slice(4).map((key) => row(key, conventions[key], (t) => t[key])),
    ],
  };
}
