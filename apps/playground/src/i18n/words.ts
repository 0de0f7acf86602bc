// Errors as sentences in the language of the page.

import type { Failure } from "../failure.ts";
import type { Dictionary } from "./en.ts";

type Sentence = (values: Failure["values"], axis: string) => string;

/**
 * An error as a sentence, by its code; its axes are `h` and `w`. An error that a reader cannot
 * cause has no translation: the English page shows its message, the others refer to the console.
 */
export function failureText({ code, values, axis, text }: Failure, t: Dictionary): string {
  const sentences: Readonly<Record<string, Sentence>> = t.errors;
  return Object.hasOwn(sentences, code)
    ? sentences[code](values, axis === "h" ? t.height : t.width)
    : t.unexpected(text);
}
