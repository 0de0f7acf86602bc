// The confusion matrix: one row for each class, one column for each predicted class.

import { colorsOf, columns } from "./terminal.ts";

/**
 * The matrix as text, with the share of each class that was predicted correctly; `what` is the word
 * for a class, in five letters.
 */
export function formatConfusion(matrix: readonly (readonly number[])[], what = "digit"): string {
  const color = colorsOf(process.stdout);
  const longest = Math.max(
    ...matrix.flatMap((row, i) => [`${i}`, ...row.map(String)]).map((text) => text.length),
  );
  const wide = 14 + 5 * matrix.length <= columns() ? Math.max(5, longest + 1) : longest + 1;
  const cell = (text: string | number) => `${text}`.padStart(wide);
  const head = `${what} ${matrix.map((_, answer) => cell(answer)).join("")} correct`;
  const rows = matrix.map((row, digit) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.map((n, answer) =>
      n === 0 ? color.dim(cell("·")) : answer === digit ? color.green(cell(n)) : color.red(cell(n)),
    );
    const share = total ? `${((100 * row[digit]) / total).toFixed(1)} %` : "–";
    return `${`${digit}`.padStart(5)} ${cells.join("")} ${share.padStart(8)}`;
  });
  return [`${" ".repeat(6)}predicted`, head, ...rows].join("\n");
}
