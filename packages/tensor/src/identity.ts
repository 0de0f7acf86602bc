// When two things are the same. Ops, and whatever else is no plain data, are the same only when they are one object: a name is a label for people.
// Plain data is compared by a text that loses nothing.

import type { Op } from "./op.ts";

const ids = new WeakMap<WeakKey, number>();
let count = 0;

function idOf(thing: WeakKey): number {
  const id = ids.get(thing) ?? ++count;
  ids.set(thing, id);
  return id;
}

/**
 * A text that is the same for two values only if they are equal: −0, NaN, ±Infinity, `undefined`, bigints and typed arrays survive,
 * where JSON would lose them. Functions, and objects that are neither plain nor arrays, are equal only to themselves.
 */
export function keyOf(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (value === null || (typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol")) return `${value}`;
  if (Array.isArray(value)) return `[${value.map(keyOf).join()}]`;
  if (ArrayBuffer.isView(value) && "length" in value) return `${value.constructor.name}[${Object.values(value).map(keyOf).join()}]`;
  if (typeof value !== "object" || ![Object.prototype, null].includes(Object.getPrototypeOf(value))) return `#${idOf(value)}`;
  return `{${Object.entries(value)
    .map(([name, v]) => `${JSON.stringify(name)}:${keyOf(v)}`)
    .join()}}`;
}

/** A text that is the same for two applications of ops only if the op is the same object and the parameters are equal. */
export const keyOfOp = <P>(op: Op<P>, params: P): string => `${idOf(op)} ${op.key ? op.key(params) : keyOf(params)}`;
