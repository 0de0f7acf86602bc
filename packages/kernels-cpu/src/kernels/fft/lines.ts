// Real Fourier transforms of lines, four at a time, in place: the numbers X[0 … n/2] of x[0 … n−1]
// replace x, as X[0], X[n/2], re X[1], im X[1], re X[2], … By evens and odds: X[k] = E[k] + wᵏ·O[k]
// and X[n/2 − k] = conj(E[k] − wᵏ·O[k]), w = exp(−2πi/n). Sorensen et al., Real-Valued Fast Fourier
// Transform Algorithms (1987).

import type { Caps } from "../../compile/caps.ts";
import { f32x4, i32, v128, type Local } from "../../wasm/asm.ts";
import { madd } from "../../wasm/math.ts";
import type { Func, Module } from "../../wasm/module.ts";

/** Real and imaginary part; null is zero. */
export type Complex = readonly [re: Local, im: Local | null];

/** The lengths of lines. */
export const LENGTHS = [8, 12, 16, 24, 32, 48, 64, 96, 128];

const { add, sub, mul } = f32x4;
const each = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

/**
 * A function of (at, count, step) that transforms `count` lines of n vectors, `stride` bytes apart;
 * line i begins at `at` + i·step. The inverse transform gives n times the input.
 */
export function linesFunc(m: Module, caps: Caps, n: number, stride: number, back: boolean): Func {
  return m.func(
    `${back ? "back" : "fourier"}${n}_${stride}${caps.relaxed ? "" : "_plain"}`,
    ["at", "count", "step"],
    (f) => {
      const [at, count, step] = f.params;
      const half = n / 2;
      const place = (k: number, im: number) => (k === 0 ? 0 : k === half ? 1 : 2 * k + im) * stride;
      const load = (offset: number) => f.let("v128", "x", v128.load(at, offset));
      const line = f.local("i32", "line");
      f.for(line, 0, count, 1, () => {
        if (back) {
          const x = each(half + 1, (k): Complex => [
            load(place(k, 0)),
            k % half ? load(place(k, 1)) : null,
          ]);
          inverse(f, caps, x).forEach((v, i) => f.store(at, v, i * stride));
        } else {
          forward(
            f,
            caps,
            each(n, (i) => () => load(i * stride)),
          ).forEach(([re, im], k) => {
            f.store(at, re, place(k, 0));
            if (im) f.store(at, im, place(k, 1));
          });
        }
        f.set(at, i32.add(at, step));
      });
    },
  );
}

/** Emits X[0 … n/2] of n = 2ᵃ or 3·2ᵃ numbers, which are loaded at their first use. */
function forward(f: Func, caps: Caps, x: readonly (() => Local)[]): Complex[] {
  const n = x.length;
  const v = (code: Parameters<Func["let"]>[2]) => f.let("v128", "f", code);
  if (n === 1) return [[x[0](), null]];
  if (n === 3) {
    const [a, b, c] = x.map((load) => load());
    const sum = v(add(b, c));
    return [
      [v(add(a, sum)), null],
      [v(madd(caps, sum, -0.5, a)), v(mul(sub(c, b), Math.sqrt(0.75)))],
    ];
  }
  const [even, odd] = [0, 1].map((r) =>
    forward(
      f,
      caps,
      x.filter((_, i) => i % 2 === r),
    ),
  );
  const half = n / 2;
  const result: Complex[] = [];
  for (let k = 0; 2 * k <= half; k++) {
    const [[er, ei], [or, oi]] = [even[k], odd[k]];
    if (!ei || !oi) {
      // X[0], X[n/2] and X[n/4], where w is 1 and −i.
      if (k) result[k] = [er, v(f32x4.neg(or))];
      else
        [result[0], result[half]] = [
          [v(add(er, or)), null],
          [v(sub(er, or)), null],
        ];
      continue;
    }
    // wᵏ·O = size·(p + iq), size the larger of cosine and sine.
    const { size, ratio, byCosine } = twiddle(k / n);
    const p = v(byCosine ? madd(caps, oi, ratio, or) : madd(caps, or, ratio, oi));
    const q = v(byCosine ? madd(caps, or, -ratio, oi) : sub(mul(oi, ratio), or));
    const im = v(mul(q, size));
    result[k] = [v(madd(caps, p, size, er)), v(add(ei, im))];
    result[half - k] = [v(madd(caps, p, -size, er)), v(sub(im, ei))];
  }
  return result;
}

/**
 * Emits n·x[0 … n−1] of X[0 … n/2]: 2·E[k] = X[k] + conj X[n/2 − k], and 2·O[k] = (X[k] − conj
 * X[n/2 − k])·w⁻ᵏ.
 */
function inverse(f: Func, caps: Caps, x: readonly Complex[], n = 2 * x.length - 2): Local[] {
  const v = (code: Parameters<Func["let"]>[2]) => f.let("v128", "b", code);
  if (n === 1) return [x[0][0]];
  if (n === 3) {
    const [[a], [re, im]] = x;
    const rest = v(sub(a, re));
    const part = v(mul(im!, Math.sqrt(3)));
    return [v(madd(caps, re, 2, a)), v(sub(rest, part)), v(add(rest, part))];
  }
  const half = n / 2;
  const even: Complex[] = [];
  const odd: Complex[] = [];
  for (let k = 0; 2 * k <= half; k++) {
    const [[ar, ai], [br, bi]] = [x[k], x[half - k]];
    if (k === 0)
      [even[0], odd[0]] = [
        [v(add(ar, br)), null],
        [v(sub(ar, br)), null],
      ];
    else if (2 * k === half)
      [even[k], odd[k]] = [
        [v(add(ar, ar)), null],
        [v(mul(ai!, -2)), null],
      ];
    else {
      const [re, im] = [v(sub(ar, br)), v(add(ai!, bi!))];
      const { cos, sin } = twiddle(k / n);
      even[k] = [v(add(ar, br)), v(sub(ai!, bi!))];
      odd[k] = [v(madd(caps, im, -sin, mul(re, cos))), v(madd(caps, re, sin, mul(im, cos)))];
    }
  }
  const [e, o] = [inverse(f, caps, even, half), inverse(f, caps, odd, half)];
  return each(n, (i) => (i % 2 ? o : e)[i >> 1]);
}

function twiddle(turn: number) {
  const [cos, sin] = [Math.cos(2 * Math.PI * turn), Math.sin(2 * Math.PI * turn)];
  const byCosine = cos >= sin;
  return {
    cos,
    sin,
    byCosine,
    size: byCosine ? cos : sin,
    ratio: byCosine ? sin / cos : cos / sin,
  };
}
