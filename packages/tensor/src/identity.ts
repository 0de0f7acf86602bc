// When two things are the same. Ops, and whatever else is no plain data, are the same only when
// they are one object: a name is a label for people. Plain data is compared by a text that loses
// nothing.

import type { Op } from "./op.ts";

const ids = new WeakMap<WeakKey, number>();
let count = 0;

function idOf(thing: WeakKey): number {
  const id = ids.get(thing) ?? ++count;
  ids.set(thing, id);
  return id;
}

/**
 * The text of the value between line ends, which occur nowhere inside it: joined to other text it
 * stays a part of its own.
 */
export const exactly = (value: unknown): string => `\n${keyOf(value)}\n`;

/**
 * A text that is the same for two values only if they are equal: −0, NaN, ±Infinity, `undefined`,
 * bigints and typed arrays survive, where JSON would lose them. Functions, and objects that are
 * neither plain nor arrays, are equal only to themselves.
 */
function keyOf(value: unknown): string {
  if (typeof value === "number") return value === 0 && 1 / value < 0 ? "-0" : `${value}`;
  if (typeof value === "string") return quoted(value);
  if (typeof value === "bigint") return `${value}n`;
  if (
    value === null ||
    (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")
  )
    return `${value}`;
  const typed = ArrayBuffer.isView(value) && "length" in value;
  if (typed || Array.isArray(value)) {
    let text = typed ? value.constructor.name : "";
    text += "[";
    for (const v of value as Iterable<unknown>) text += `${keyOf(v)},`;
    return `${text}]`;
  }
  const prototype: unknown = typeof value === "object" ? Object.getPrototypeOf(value) : value;
  if (prototype !== Object.prototype && prototype !== null) return `#${idOf(value)}`;
  let text = "{";
  for (const name of Object.keys(value))
    text += `${quoted(name)}:${keyOf((value as Readonly<Record<string, unknown>>)[name])},`;
  return `${text}}`;
}

/** A copy of plain data, at any depth. What is equal only to itself is the same in the copy. */
export function copyOf<T>(value: T): T;
export function copyOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyOf);
  if (typeof value !== "object" || value === null) return value;
  if (ArrayBuffer.isView(value) && "slice" in value && typeof value.slice === "function")
    return value.slice();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, v]) => [name, copyOf(v)]));
}

const quoted = (text: string): string => (/^\w*$/.test(text) ? `"${text}"` : JSON.stringify(text));

/**
 * A text that is the same for two applications of ops only if the op is the same object and the
 * parameters are equal.
 */
export const keyOfOp = <P>(op: Op<P>, params: P): string =>
  `${idOf(op)} ${op.key ? op.key(params) : keyOf(params)}`;
