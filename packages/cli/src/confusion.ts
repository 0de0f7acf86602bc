// Which classes are taken for which: a matrix of counts, one row for each class, one column for each answer.

import { colorsOf } from "./terminal.ts";

/** The matrix for people, with the share of each class that was recognised; `what` is what a class is called, in five letters. */
export function formatConfusion(matrix: readonly (readonly number[])[], what = "digit"): string {
  const color = colorsOf(process.stdout);
  const cell = (text: string | number) => `${text}`.padStart(5);
  const head = `${what} ${matrix.map((_, answer) => cell(answer)).join("")}   right`;
  const rows = matrix.map((row, digit) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.map((n, answer) => (n === 0 ? color.dim(cell("·")) : answer === digit ? color.green(cell(n)) : color.red(cell(n))));
    return `${cell(digit)} ${cells.join("")} ${total ? `${((100 * row[digit]) / total).toFixed(1)} %`.padStart(8) : "       –"}`;
  });
  return [`${" ".repeat(6)}taken for`, head, ...rows].join("\n");
}
