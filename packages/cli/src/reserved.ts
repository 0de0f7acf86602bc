// The memory that compiled programs reserve, as rows of a table.

import { formatBytes, type ProgramMemory } from "@conv/analysis";
import type { Timing } from "./timing.ts";

/** The names of the kinds of blocks in programs of the CPU. */
const blockNames: Readonly<Record<string, string>> = {
  packed: "packed weights",
  table: "tables",
  scratch: "scratch of kernels",
  threads: "scratch of threads",
};

/**
 * A table of the memory that compiled programs reserve: the peak of each part, then the whole, in
 * which the parts share memory.
 */
export function reservedRows(
  { inference, training }: NonNullable<Timing["reserved"]>,
  on: string,
): string[][] {
  const both = [inference, ...(training ? [training] : [])];
  const row = (name: string, of: (m: ProgramMemory) => number) => [
    name,
    ...both.map((m) => formatBytes(of(m))),
  ];
  const kinds = Object.keys(blockNames).filter((kind) => both.some((m) => m.kernels[kind]));
  return [
    [`reserved on the ${on}`, "inference", ...(training ? ["training, Adam"] : [])],
    row("weights, input and output", (m) => m.inputs + m.outputs),
    row("results", (m) => m.values),
    ...kinds.map((kind) => row(blockNames[kind], (m) => m.kernels[kind] ?? 0)),
    row("the program", (m) => m.program),
    row("total", (m) => m.total),
  ];
}
