// The file of prices in @conv/kernels-cpu, read as a value by whoever imports it and written as
// text here.

import type { Prices } from "./judgement.ts";

export interface Tables {
  readonly plain: Prices;
  readonly simd256: Prices;
}

/** The text of costs.ts; `note` tells from what the prices of which table were fitted. */
export function costsSource({ plain, simd256 }: Tables, notes: readonly string[]): string {
  const table = (name: string, prices: Prices) =>
    [
      `  ${name}: {`,
      ...Object.entries(prices).map(([kernel, list]) => `    ${kernel}: [${list.join(", ")}],`),
      "  },",
    ].join("\n");
  return `// What each kind of work takes, in nanoseconds, in the order of \`kinds\` (fitted.ts), and last each call: written by \`pnpm bench fit --write\`.
${notes.map((note) => `// ${note}\n`).join("")}
type Costs = Readonly<Record<string, readonly number[]>>;

export const costs: Readonly<Record<"plain" | "simd256", Costs>> = {
${table("plain", plain)}
${table("simd256", simd256)}
};
`;
}

/** The notes in such a text: one for each table. */
export const notesOf = (source: string): string[] =>
  [...source.matchAll(/^\/\/ ((?:plain|simd256): .*)$/gm)].map((match) => match[1]);
