// Errors: their classes and one formatter, so that every message names the op, the rule, the
// numbers and the axis.

import { printable, quoted } from "./printable.ts";

/** Facts that an error carries, by name, so that a program can read them and a page translate them. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

/** What is wrong and what to do about it, with the facts that it names. Made by {@link message}. */
export interface Message {
  readonly text: string;
  readonly values: Facts;
}

/**
 * An error of this project: `code` tells which rule is broken and never changes with the wording,
 * `values` holds the numbers and names of the message, `op` is what was asked, `axis` where.
 */
export interface ConvError extends Error {
  readonly code: string;
  readonly values: Facts;
  readonly op: string;
  readonly axis?: string | number | undefined;
}

/** Whether an error has the code and the values of a {@link ConvError}. */
export const isConvError = (error: unknown): error is ConvError =>
  error instanceof Error && "code" in error && "values" in error && "op" in error;

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

/** A file, or bytes from one, that are not what they should be. */
export class FileError extends Error {
  override readonly name = "FileError";
}

/**
 * `conv: kernel 5 with dilation 2 spans 9, padded input has 7 (axis h)`. Names of users stand in op
 * and rule: the message is one line of bounded length, safe for a terminal.
 */
export const complaint = (op: string, rule: string, axis?: string | number): string =>
  `${printable(op, 200)}: ${printable(rule, 2000)}${axis === undefined ? "" : ` (axis ${axis})`}`;

/**
 * The tag of a message: each `${{ name: value }}` stands in the text and is a fact of that name.
 *
 *     message`input has ${{ axes: 2 }} axes, needs ${{ rank: 3 }}`
 */
export function message(strings: TemplateStringsArray, ...parts: Facts[]): Message {
  const text = strings.map((s, i) => s + (parts[i] ? Object.values(parts[i]).join() : "")).join("");
  return { text, values: Object.assign({}, ...parts) };
}

/** What kind of thing a value is, for messages: `Promise`, `Tensor`, `number`, `undefined`. */
export const kindOf = (value: unknown): string =>
  value === null
    ? "null"
    : (Object(value) === value && (value as object).constructor?.name) || typeof value;

/** An error with the sentence of {@link complaint}, a code and values. */
const create = <E extends Error>(
  type: new (text: string) => E,
  op: string,
  code: string,
  { text, values }: Message,
  axis?: string | number,
): E & ConvError =>
  Object.assign(new type(complaint(op, text, axis)), {
    code,
    values,
    op,
    ...(axis !== undefined && { axis }),
  });

type Thrown<E> = (op: string, code: string, rule: Message, axis?: string | number) => E & ConvError;

/**
 * A {@link ShapeError}: `shapeError("conv", "input-rank", message`…`, "h")`. `code` is a stable
 * name in kebab case.
 */
export const shapeError: Thrown<ShapeError> = (...about) => create(ShapeError, ...about);

/** An {@link UnsupportedError} with code and values. */
export const unsupported: Thrown<UnsupportedError> = (...about) =>
  create(UnsupportedError, ...about);

/** A RangeError with code and values: an option, a count or a size that is out of range. */
export const rangeError: Thrown<RangeError> = (...about) => create(RangeError, ...about);

/** A {@link FileError} with code and values. */
export const fileError: Thrown<FileError> = (...about) => create(FileError, ...about);

/** An Error with code and values: a call that the present state does not allow. */
export const stateError: Thrown<Error> = (...about) => create(Error, ...about);

/** Keras's prefixes of options, and what stands in their place here. */
const KERAS: Readonly<Record<string, string>> = {
  kernel: "weight",
  gamma: "weight",
  beta: "bias",
  activity: "output",
};

/**
 * Throws RangeError unless options are an object with no names but these, separated by spaces:
 * plain JavaScript has no types. The message names the option that was probably meant: the nearest
 * one, or the longest one that the unknown name contains (`useBias`: bias).
 */
export function checkOptions(op: string, options: object | undefined, names: string): void {
  if (options === undefined) return;
  const known = names.split(" ");
  if (typeof options !== "object" || options === null)
    throw rangeError(
      op,
      "options",
      message`options are ${{ options: String(options) }}, must be an object: { ${{ example: known[0] }}: … }`,
    );
  const option = Object.keys(options).find((key) => !known.includes(key));
  if (option === undefined) return;
  const asked = option.replace(/^(kernel|gamma|beta|activity)(?=[A-Z])/, (word) => KERAS[word]);
  const near = nearest(asked, known);
  const contained = known
    .filter((name) => name.length > 2 && asked.toLowerCase().includes(name.toLowerCase()))
    .sort((a, b) => b.length - a.length)[0];
  const meant = near.edits <= Math.min(option.length, 80) / 3 ? near.name : contained;
  const said = quoted(option);
  throw rangeError(
    op,
    "unknown-option",
    meant
      ? message`there is no option ${{ option: said }}; did you mean ${{ meant }}?`
      : message`there is no option ${{ option: said }}; there are ${{ known: known.join(", ") }}`,
  );
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
