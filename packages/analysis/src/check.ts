// A check of names, because plain JavaScript has no types.

import { message, quoted, rangeError } from "@conv/tensor";

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
      "unknown-name",
      message`there is no ${{ what }} ${{ got: quoted(String(value)) }}; there are ${{ known: names.join(", ") }}`,
    );
}
