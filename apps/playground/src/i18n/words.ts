// Errors in the language of the page.

import type { Failure } from "../failure.ts";
import type { Dictionary } from "./en.ts";

type Sentence = (values: Failure["values"], axis: string) => string;

/**
 * An error as a sentence, by its code; `h` and `w` are its axes. What a reader cannot cause has no
 * words of its own: the English page shows the message, all pages write it to the console.
 */
export function failureText({ code, values, axis, text }: Failure, t: Dictionary): string {
  const sentences: Readonly<Record<string, Sentence>> = t.errors;
  return Object.hasOwn(sentences, code)
    ? sentences[code](values, axis === "h" ? t.height : t.width)
    : t.unexpected(text);
}
