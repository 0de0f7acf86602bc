// Settings of the commands of this repository.

import { printable } from "@conv/tensor";

/**
 * For commander: an error about wrong usage repeats what was typed, so it is written in one line
 * that a terminal shows as it is.
 */
export const usageErrors = {
  outputError: (text: string, write: (line: string) => void): void =>
    write(`${printable(text.trim().replace(/\s*\n\s*/g, " "))}\n`),
};
