// Long sums in blocks: 32 terms are summed into a block, 32 blocks into a larger block, and so on.
// The error of n terms then grows at most with 32·log₃₂ n, not with n.

import { indent } from "./wgsl.ts";

/** Terms of a block, and blocks of the next larger one. */
export const BLOCK = 32;

export interface Loop {
  /** The variable, its first value, its end and its step. */
  readonly at: string;
  readonly from: string;
  readonly to: string;
  readonly step: number;
  /** The most turns of the loop, and the terms that each turn adds to a sum; 1 if absent. */
  readonly turns: number;
  readonly terms?: number | undefined;
  /** Names of the sums, and their type. */
  readonly sums: readonly string[];
  readonly T: string;
  /** The body of the loop, given the names of the sums that it adds to. */
  body(sums: readonly string[]): string;
}

/** A loop that adds to sums; nested loops over blocks where it is long. */
export function loopInBlocks({
  at,
  from,
  to,
  step,
  turns,
  terms = 1,
  sums,
  T,
  body,
}: Loop): string {
  const nested = (level: number, own: readonly string[], begin: string, end: string): string => {
    if (level === 0)
      return `for (var ${at} = ${begin}; ${at} < ${end}; ${at} += ${step}) {\n${indent(body(own))}\n}`;
    const size = Math.max(1, Math.floor(BLOCK / terms)) * BLOCK ** (level - 1); // turns
    const [name, inner] = [`${at}_block${level}`, sums.map((sum) => `${sum}_block${level}`)];
    const lines = [
      inner.map((sum) => `var ${sum} = ${T}();`).join(" "),
      nested(level - 1, inner, name, `min(${name} + ${size * step}, ${end})`),
      own.map((sum, i) => `${sum} += ${inner[i]};`).join(" "),
    ];
    return `for (var ${name} = ${begin}; ${name} < ${end}; ${name} += ${size * step}) {\n${indent(lines.join("\n"))}\n}`;
  };
  return nested(levelsOf(turns * terms), sums, from, to);
}

/** Levels of blocks that a sum of this many terms has. */
export const levelsOf = (terms: number): number =>
  terms <= BLOCK ? 0 : 1 + levelsOf(Math.ceil(terms / BLOCK));

/**
 * Statements that compute a float `sum` of at most `terms` terms in loops of any form: before the
 * loops, for each term, and after them.
 */
export function sumInBlocks(terms: number): {
  readonly before: string;
  add(term: string): string;
  readonly after: string;
} {
  const levels = levelsOf(terms);
  const name = (level: number) => (level === levels ? "sum" : `block${level}`);
  const below = Array.from({ length: levels }, (_, level) => level);
  const full = (level: number): string => {
    const [own, left] = [name(level), `left${level}`];
    const lines = [
      `${name(level + 1)} += ${own};`,
      `${own} = 0.0f;`,
      `${left} = ${BLOCK};`,
      ...(level + 1 < levels ? [full(level + 1)] : []),
    ];
    return `${left}--;\nif (${left} == 0) {\n${indent(lines.join("\n"))}\n}`;
  };
  return {
    before: [
      "var sum = 0.0f;",
      ...below.map((level) => `var ${name(level)} = 0.0f;\nvar left${level} = ${BLOCK};`),
    ].join("\n"),
    add: (term) => [`${name(0)} += ${term};`, ...(levels ? [full(0)] : [])].join("\n"),
    after: below.map((level) => `${name(level + 1)} += ${name(level)};`).join("\n"),
  };
}
