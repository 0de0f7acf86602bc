// Errors as data, which a worker sends to the page, and the page translates. Every error that a
// reader can cause has a code; all others are faults of the program.

import { DivergedError } from "@conv/layers";
import { fileError, isConvError, message, type Facts } from "@conv/tensor";

/** An error by its code and the numbers and names in its message. */
export interface Failure {
  /** Stable; {@link UNEXPECTED} where the error has none. */
  readonly code: string;
  /** With the name of the op, or of the file, as `op`. */
  readonly values: Facts;
  readonly axis?: string | number | undefined;
  /** The message in English, for the console, and for errors without a translation. */
  readonly text: string;
}

export const UNEXPECTED = "unexpected";

/** A file of the page; `integrity` is its SHA-256. Throws an error with a code where it fails. */
export async function fetched(
  file: string,
  folder: string,
  integrity = "",
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const response = await fetch(new URL(file, folder), { integrity });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fileError(file, "not-fetched", message`cannot be loaded (${{ reason }})`);
  }
}

/** The code, values and message of an error. */
export function failureOf(error: unknown): Failure {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof DivergedError) {
    const { epoch, step, origin } = error;
    return { code: "diverged", values: { epoch, step, layer: origin?.layer ?? "" }, text };
  }
  if (!isConvError(error)) return { code: UNEXPECTED, values: {}, text };
  const { code, values, axis, op } = error;
  return { code, values: { op, ...values }, axis, text };
}
