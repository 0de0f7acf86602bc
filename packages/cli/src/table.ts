// Tables for the terminal: columns aligned, the first to the left and all others to the right.

import { wrap } from "@conv/analysis";

/** Lines of text; the first has the heads. */
export function aligned(
  rows: readonly (readonly string[])[],
  left: readonly number[] = [0],
): string[] {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) =>
    row
      .map((cell, i) => (left.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd(),
  );
}

/**
 * A table of at most that width: dispensable columns are removed, in their order, until it fits.
 */
export function fitted(
  rows: readonly (readonly string[])[],
  width: number,
  dispensable: readonly number[],
  left: readonly number[] = [0],
): string[] {
  const lines = aligned(rows, left);
  const [next, ...others] = dispensable;
  if (next === undefined || Math.max(...lines.map((line) => line.length)) <= width) return lines;
  const moved = (i: number) => (i > next ? i - 1 : i);
  return fitted(
    rows.map((row) => row.toSpliced(next, 1)),
    width,
    others.map(moved),
    left.filter((i) => i !== next).map(moved),
  );
}

/**
 * Names with a text each, which is wrapped and indented where it is too wide.
 */
export function described(
  rows: readonly (readonly [name: string, text: string])[],
  width: number,
): string[] {
  const indent = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.flatMap(([name, text]) =>
    wrap(text, Math.max(20, width - indent)).map((line, i) =>
      `${(i ? "" : name).padEnd(indent)}${i ? line.trimStart() : line}`.trimEnd(),
    ),
  );
}

/**
 * A layer's name in at most so many characters, without its outer modules where necessary:
 * `…denselayer6.conv1`.
 */
export function shortened(path: string, most: number): string {
  const parts = path.split(".");
  const names = parts.map((_, i) => `${i ? "…" : ""}${parts.slice(i).join(".")}`);
  return names.find((name) => name.length <= most) ?? names[names.length - 1];
}
