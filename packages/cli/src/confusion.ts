// Which digits are taken for which: a matrix of counts, one row for each digit, one column for each answer.

import { colorsOf } from "./terminal.ts";

/** `matrix[digit][answer]`: how often. */
export function confusionOf(classes: number, labels: ArrayLike<number>, answers: ArrayLike<number>): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) matrix[labels[i]][answers[i]]++;
  return matrix;
}

/** The matrix for people, with the share of each digit that was recognised. */
export function formatConfusion(matrix: readonly (readonly number[])[]): string {
  const color = colorsOf(process.stdout);
  const cell = (text: string | number) => `${text}`.padStart(5);
  const head = `digit ${matrix.map((_, answer) => cell(answer)).join("")}   right`;
  const rows = matrix.map((row, digit) => {
    const total = row.reduce((a, b) => a + b, 0);
    const cells = row.map((n, answer) => (n === 0 ? color.dim(cell("·")) : answer === digit ? color.green(cell(n)) : color.red(cell(n))));
    return `${cell(digit)} ${cells.join("")} ${total ? `${((100 * row[digit]) / total).toFixed(1)} %`.padStart(8) : "       –"}`;
  });
  return [`${" ".repeat(6)}taken for`, head, ...rows].join("\n");
}
