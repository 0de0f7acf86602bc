// Errors: their classes and one formatter, so that every message names the op, the rule, the
// numbers and the axis.

import { printable, quoted } from "./printable.ts";

/**
 * Input whose shape, type or parameters break a rule of the named op. Thrown before anything is
 * written.
 */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/**
 * A request that a back end, or an op, cannot carry out; the message says what was asked and why it
 * was declined.
 */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}

/**
 * `conv: kernel 5 with dilation 2 spans 9, padded input has 7 (axis h)`. Names of users stand in op
 * and rule: the message is one line of bounded length, safe for a terminal.
 */
export const complaint = (op: string, rule: string, axis?: string | number): string =>
  `${printable(op, 200)}: ${printable(rule, 2000)}${axis === undefined ? "" : ` (axis ${axis})`}`;

/** What kind of thing a value is, for messages: `Promise`, `Tensor`, `number`, `undefined`. */
export const kindOf = (value: unknown): string =>
  value === null
    ? "null"
    : (Object(value) === value && (value as object).constructor?.name) || typeof value;

/** A {@link ShapeError} with the message of {@link complaint}. */
export const shapeError = (op: string, rule: string, axis?: string | number): ShapeError =>
  new ShapeError(complaint(op, rule, axis));

/** An {@link UnsupportedError} with the message of {@link complaint}. */
export const unsupported = (op: string, rule: string): UnsupportedError =>
  new UnsupportedError(complaint(op, rule));

/**
 * A RangeError with the message of {@link complaint}: an option, a count or a size that is out of
 * range.
 */
export const rangeError = (op: string, rule: string, axis?: string | number): RangeError =>
  new RangeError(complaint(op, rule, axis));

/**
 * Throws RangeError unless options are an object with no names but these, separated by spaces:
 * plain JavaScript is not checked for types. The message names the option that is nearest to an
 * unknown one.
 */
export function checkOptions(op: string, options: object | undefined, names: string): void {
  if (options === undefined) return;
  const known = names.split(" ");
  if (typeof options !== "object" || options === null)
    throw rangeError(op, `options are ${String(options)}, must be an object: { ${known[0]}: … }`);
  const odd = Object.keys(options).find((key) => !known.includes(key));
  if (odd === undefined) return;
  const near = nearest(odd, known);
  const remedy =
    near.edits <= Math.min(odd.length, 80) / 3
      ? `did you mean ${near.name}?`
      : `there are ${known.join(", ")}`;
  throw rangeError(op, `there is no option ${quoted(odd)}; ${remedy}`);
}

/**
 * Of some names the nearest to the beginning of a text, by {@link distance} without case and
 * underscores, and with them where that is equal.
 */
export function nearest(
  text: string,
  names: readonly string[],
): { readonly name: string; readonly edits: number } {
  const start = text.slice(0, 80);
  const fold = (name: string) => name.toLowerCase().replaceAll("_", "");
  const all = names.map((name) => ({ name, edits: distance(fold(start), fold(name)) }));
  return all.sort(
    (a, b) => a.edits - b.edits || distance(start, a.name) - distance(start, b.name),
  )[0];
}

/**
 * The fewest letters to insert, delete or replace that make one name of another (Levenshtein
 * distance).
 */
function distance(from: string, to: string): number {
  let row = Array.from(`${to} `, (_, j) => j);
  for (const c of from) {
    const next = [row[0] + 1];
    for (let j = 0; j < to.length; j++)
      next.push(Math.min(next[j] + 1, row[j + 1] + 1, row[j] + Number(c !== to[j])));
    row = next;
  }
  return row[to.length];
}
