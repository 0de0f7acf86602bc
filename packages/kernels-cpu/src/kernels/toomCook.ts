// The code that applies the matrices of Winograd's short convolutions.

import type { Matrix } from "@conv/ops/plan";
import type { Caps } from "../caps.ts";
import { f32x4, type Func, type Local } from "../wasm/asm.ts";
import { madd } from "../wasm/math.ts";

type Term = readonly [coefficient: number, x: Local];

/** Emits matrix · x. Neighbouring columns, and neighbouring rows, that differ in signs alone share sums and differences. */
export function combine(f: Func, caps: Caps, matrix: Matrix, x: readonly Local[]): Local[] {
  const terms: Term[][] = matrix.map(() => []);
  const alike = (a: readonly number[], b: readonly number[] | undefined) => b !== undefined && a.every((v, i) => Math.abs(v) === Math.abs(b[i]));
  const column = (j: number) => (j < x.length ? matrix.map((row) => row[j]) : undefined);
  for (let j = 0; j < x.length; j++) {
    const [a, b] = [column(j)!, column(j + 1)];
    const paired = matrix.length > 1 && matrix.length < x.length && alike(a, b);
    const plus = paired ? f.let("v128", "plus", f32x4.add(x[j], x[j + 1])) : x[j];
    const minus = paired ? f.let("v128", "minus", f32x4.sub(x[j], x[j + 1])) : x[j];
    matrix.forEach((row, i) => row[j] && terms[i].push([row[j], !paired || row[j] === row[j + 1] ? plus : minus]));
    if (paired) j++;
  }
  const result: Local[] = [];
  for (let i = 0; i < matrix.length; i++) {
    const next = terms[i + 1];
    if (terms[i].length > 2 && next && alike(matrix[i], matrix[i + 1])) {
      const [even, odd] = [true, false].map((same) =>
        weighted(
          f,
          caps,
          terms[i].filter(([c], j) => (next[j][0] === c) === same),
        ),
      );
      result.push(f.let("v128", "t", f32x4.add(even, odd)), f.let("v128", "t", f32x4.sub(even, odd)));
      i++;
    } else result.push(weighted(f, caps, terms[i]));
  }
  return result;
}

/** Σ coefficient · x, begun with a term that needs no multiplication if there is one. */
function weighted(f: Func, caps: Caps, terms: readonly Term[]): Local {
  const first = terms.find(([c]) => c === 1) ?? terms[0];
  if (terms.length === 1 && first[0] === 1) return first[1];
  const sum = f.let("v128", "sum", first[0] === 1 ? first[1] : f32x4.mul(first[1], first[0]));
  for (const term of terms) {
    if (term === first) continue;
    const [c, x] = term;
    f.set(sum, c === 1 ? f32x4.add(sum, x) : c === -1 ? f32x4.sub(sum, x) : madd(caps, x, c, sum));
  }
  return sum;
}
