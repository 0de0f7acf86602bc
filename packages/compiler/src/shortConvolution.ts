// The matrices of Winograd's short convolutions. F(m, r) makes m outputs of r taps with n = m + r −
// 1 products: y = Aᵀ[(G·g) ⊙ (Bᵀ·d)]. Built as Toom and Cook did, by evaluation at n − 1 points and
// at infinity: Lavin & Gray, Fast Algorithms for Convolutional Neural Networks (2016); Blahut, Fast
// Algorithms for Signal Processing (2010).

/**
 * In pairs ±a, so that the rows of a pair share their even and odd parts; small and few-bit numbers
 * keep rounding errors small.
 */
const POINTS = [0, 1, -1, 2, -2, 0.5, -0.5];

export type Matrix = readonly (readonly number[])[];

export interface ShortConvolution {
  /** m × n, n × r and n × n. */
  readonly at: Matrix;
  readonly g: Matrix;
  readonly bt: Matrix;
}

const made = new Map<string, ShortConvolution>();

/**
 * F(m, r), for an even number m + r − 1 from 2 to 8; F(1, 1) is the number itself. Made once each:
 * planning asks for them often.
 */
export function shortConvolution(m: number, r: number): ShortConvolution {
  const known = made.get(`${m},${r}`) ?? construct(m, r);
  made.set(`${m},${r}`, known);
  return known;
}

function construct(m: number, r: number): ShortConvolution {
  const points = POINTS.slice(0, m + r - 2);
  const others = points.map((a) => points.filter((b) => b !== a));
  const power = (a: number, k: number) => (k ? a ** k : 1);
  const rows = (count: number) => Array.from({ length: count }, (_, i) => i);
  return {
    at: rows(m).map((i) => [...points.map((a) => power(a, i)), Number(i === m - 1)]),
    g: [
      ...points.map((a, p) =>
        rows(r).map((k) => power(a, k) / others[p].reduce((product, b) => product * (a - b), 1)),
      ),
      rows(r).map((k) => Number(k === r - 1)),
    ],
    bt: [...others.map((roots) => [...coefficients(roots), 0]), coefficients(points)],
  };
}

/** Coefficients of Π (x − root), the constant first. */
const coefficients = (roots: readonly number[]): number[] =>
  roots.reduce<number[]>(
    (c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)),
    [1],
  );

/** How sums are written in the code of a device. */
export interface SumWriter<T> {
  add(a: T, b: T, name: string): T;
  sub(a: T, b: T, name: string): T;
  /** coefficient · x, to which terms are added. */
  begin(coefficient: number, x: T): T;
  more(sum: T, coefficient: number, x: T): T;
}

type Term<T> = readonly [coefficient: number, x: T];

/**
 * Writes matrix · x. Neighboring columns, and neighboring rows, that differ in signs alone share
 * sums and differences.
 */
export function combine<T>(code: SumWriter<T>, matrix: Matrix, x: readonly T[]): T[] {
  const terms: Term<T>[][] = matrix.map(() => []);
  const alike = (a: readonly number[], b: readonly number[] | undefined) =>
    b !== undefined && a.every((v, i) => Math.abs(v) === Math.abs(b[i]));
  const column = (j: number) => (j < x.length ? matrix.map((row) => row[j]) : undefined);
  for (let j = 0; j < x.length; j++) {
    const [a, b] = [column(j)!, column(j + 1)];
    const paired = matrix.length > 1 && matrix.length < x.length && alike(a, b);
    const plus = paired ? code.add(x[j]!, x[j + 1]!, "plus") : x[j]!;
    const minus = paired ? code.sub(x[j]!, x[j + 1]!, "minus") : x[j]!;
    matrix.forEach(
      (row, i) =>
        row[j] && terms[i].push([row[j], !paired || row[j] === row[j + 1] ? plus : minus]),
    );
    if (paired) j++;
  }
  const result: T[] = [];
  for (let i = 0; i < matrix.length; i++) {
    const [own, next] = [terms[i], terms[i + 1]];
    if (own.length > 2 && next && alike(matrix[i], matrix[i + 1])) {
      const [even, odd] = [true, false].map((same) =>
        weighted(
          code,
          own.filter(([c], j) => (next[j][0] === c) === same),
        ),
      ) as [T, T];
      result.push(code.add(even, odd, "t"), code.sub(even, odd, "t"));
      i++;
    } else result.push(weighted(code, own));
  }
  return result;
}

/** Σ coefficient · x, begun with a term that needs no multiplication if there is one. */
function weighted<T>(code: SumWriter<T>, terms: readonly Term<T>[]): T {
  const first = terms.find(([c]) => c === 1) ?? terms[0];
  if (terms.length === 1 && first[0] === 1) return first[1];
  let sum = code.begin(...first);
  for (const term of terms) if (term !== first) sum = code.more(sum, ...term);
  return sum;
}
