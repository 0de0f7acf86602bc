// The matrices of Winograd's short convolutions. F(m, r) makes m outputs of r taps with n = m + r − 1 products:
// y = Aᵀ[(G·g) ⊙ (Bᵀ·d)]. Built as Toom and Cook did, by evaluation at n − 1 points and at infinity:
// Lavin & Gray, Fast Algorithms for Convolutional Neural Networks (2016); Blahut, Fast Algorithms for Signal Processing (2010).

/** In pairs ±a, so that the rows of a pair share their even and odd parts; small and few-bit numbers keep rounding errors small. */
const POINTS = [0, 1, -1, 2, -2, 0.5, -0.5];

export type Matrix = readonly (readonly number[])[];

export interface ShortConvolution {
  /** m × n, n × r and n × n. */
  readonly at: Matrix;
  readonly g: Matrix;
  readonly bt: Matrix;
}

const made = new Map<string, ShortConvolution>();

/** F(m, r), for an even number m + r − 1 from 2 to 8; F(1, 1) is the number itself. Made once each: planning asks for them often. */
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
      ...points.map((a, p) => rows(r).map((k) => power(a, k) / others[p].reduce((product, b) => product * (a - b), 1))),
      rows(r).map((k) => Number(k === r - 1)),
    ],
    bt: [...others.map((roots) => [...coefficients(roots), 0]), coefficients(points)],
  };
}

/** Coefficients of Π (x − root), the constant first. */
const coefficients = (roots: readonly number[]): number[] =>
  roots.reduce<number[]>((c, root) => [...c, 0].map((_, i) => (c[i - 1] ?? 0) - root * (c[i] ?? 0)), [1]);
