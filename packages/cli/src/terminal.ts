// What the command needs to know of the terminal it writes to.

import type { WriteStream } from "node:tty";
import { createColors } from "picocolors";

/**
 * Colors where the stream is a terminal that has them; NO_COLOR, FORCE_COLOR and TERM are
 * respected, as Node does.
 */
export const colorsOf = (stream: WriteStream) => createColors(stream.isTTY && stream.hasColors());

/** Columns of standard output; where it is no terminal those that COLUMNS names, else 80. */
export const columns = (): number =>
  process.stdout.columns ?? (Math.floor(Number(process.env.COLUMNS)) || 80);

/**
 * Columns to break lines at that need no table: where nobody says how wide it is, a file has no
 * edge.
 */
export const edge = (): number =>
  process.stdout.columns ?? (Math.floor(Number(process.env.COLUMNS)) || Infinity);

/** `4.2 s`, `1 min 20 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const whole = Math.round(seconds);
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** `98.1 %`. */
export const formatPercent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;
