// The file of costs in @conv/kernels-cpu: imported as a value, and written here as text.

import { kinds, type CostRow } from "@conv/kernels-cpu/explain";
import type { Prices } from "./judgement.ts";

export const modes = ["plain", "simd256"] as const;
export type Mode = (typeof modes)[number];

/** Characters of a line, as the formatter has them. */
const WIDTH = 100;

/** The text of costs.ts; `notes` tell what the costs of each table were fitted to. */
export const costsSource = (
  tables: Readonly<Record<Mode, Prices>>,
  notes: Readonly<Record<Mode, string>>,
): string => `// The costs of each kernel in nanoseconds, by kind of work; kinds without a number cost nothing.
// Written by \`pnpm bench fit --write\`.

import type { CostRow } from "../compile/code.ts";

type Table = Readonly<Record<string, CostRow>>;

export const costs: Readonly<Record<${modes.map((mode) => `"${mode}"`).join(" | ")}, Table>> = {
${modes.map((mode) => `${comment(notes[mode])}\n${tableText(mode, tables[mode])}`).join("\n")}
};
`;

const tableText = (mode: Mode, rows: Prices): string =>
  [
    `  ${mode}: {`,
    ...Object.entries(rows).map(([kernel, row]) => rowText(kernel, row)),
    "  },",
  ].join("\n");

/** A row on one line, or with one cost a line where that is too long. */
function rowText(kernel: string, row: CostRow): string {
  const known = ([...kinds, "call"] as const).filter((kind) => row[kind]);
  const fields = known.map((kind) => `${kind}: ${row[kind]}`);
  const line = `    ${kernel}: { ${fields.join(", ")} },`;
  if (line.length <= WIDTH) return line;
  return [`    ${kernel}: {`, ...fields.map((field) => `      ${field},`), "    },"].join("\n");
}

const INDENT = "  //";

/** A note as lines of a comment. */
const comment = (note: string): string =>
  note
    .split(" ")
    .reduce<string[]>(
      (lines, word) => {
        const last = `${lines.at(-1)} ${word}`;
        return last.length <= WIDTH
          ? [...lines.slice(0, -1), last]
          : [...lines, `${INDENT} ${word}`];
      },
      [INDENT],
    )
    .join("\n");

/** The notes in the text of costs.ts. */
export function notesOf(source: string): Record<Mode, string> {
  const noteOf = (mode: Mode) =>
    new RegExp(`((?: *// .*\n)+) *${mode}: {`).exec(source)?.[1].replaceAll(/\n? *\/\/ /g, " ") ??
    "";
  return { plain: noteOf("plain").trim(), simd256: noteOf("simd256").trim() };
}
