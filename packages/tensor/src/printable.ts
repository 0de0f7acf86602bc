// Names from files and users, made safe for messages and terminals.

/**
 * The text without characters that a terminal would act on or hide: control characters, line breaks
 * and direction marks become `\u{…}`. With
 * `most`, a longer text is cut there and ends with `…`.
 */
export function printable(text: string, most = Infinity): string {
  const cut = text.length > most;
  const safe = (cut ? text.slice(0, most) : text).replace(
    /[\p{C}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u{${c.codePointAt(0)!.toString(16)}}`,
  );
  return cut ? `${safe}…` : safe;
}

/** A name in quotes, cut after 80 characters: for messages. */
export const quoted = (name: string): string => `"${printable(name, 80)}"`;
