// A check of names, for those who write plain JavaScript.

import { quoted, rangeError } from "@conv/tensor";

/** Throws RangeError unless the value is one of these names. */
export function mustBeOneOf(
  op: string,
  what: string,
  value: string,
  names: readonly string[],
): void {
  if (!names.includes(value))
    throw rangeError(
      op,
      `there is no ${what} ${quoted(String(value))}; there are ${names.join(", ")}`,
    );
}
