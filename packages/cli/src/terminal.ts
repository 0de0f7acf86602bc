// The terminal: colors, width, and formats of numbers.

import type { WriteStream } from "node:tty";
import { createColors } from "picocolors";

/**
 * Colors where the stream is a terminal with colors; NO_COLOR, FORCE_COLOR and TERM are respected,
 * as in Node.
 */
export const colorsOf = (stream: WriteStream) => createColors(stream.isTTY && stream.hasColors());

/** Columns of standard output; where it is no terminal, the value of COLUMNS, else 80. */
export const columns = (): number =>
  process.stdout.columns ?? (Math.floor(Number(process.env.COLUMNS)) || 80);

/**
 * Columns at which text is wrapped: none in a file, unless COLUMNS is set.
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
