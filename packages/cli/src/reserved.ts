// What compiled programs reserve, as rows of a table.

import { formatBytes, type ProgramMemory } from "@conv/analysis";
import type { Timing } from "./timing.ts";

/** What each kind of block of the CPU's programs is for. */
const blockNames: Readonly<Record<string, string>> = {
  packed: "packed weights",
  table: "tables",
  scratch: "room for kernels",
  threads: "room for threads",
};

/**
 * A table of what compiled programs reserve: the most of each part at one time, then the whole, as
 * the parts share memory.
 */
export function reservedRows(
  { predicting, training }: NonNullable<Timing["reserved"]>,
  on: string,
): string[][] {
  const both = [predicting, ...(training ? [training] : [])];
  const row = (name: string, of: (m: ProgramMemory) => number) => [
    name,
    ...both.map((m) => formatBytes(of(m))),
  ];
  const kinds = Object.keys(blockNames).filter((kind) => both.some((m) => m.kernels[kind]));
  return [
    [`reserved on the ${on}`, "predicting", ...(training ? ["training, Adam"] : [])],
    row("weights, input and output", (m) => m.inputs + m.outputs),
    row("results", (m) => m.values),
    ...kinds.map((kind) => row(blockNames[kind], (m) => m.kernels[kind] ?? 0)),
    row("the program", (m) => m.program),
    row("total", (m) => m.total),
  ];
}
