// Transcendental functions, four lanes at a time: the polynomials of Cephes (S. Moshier,
// netlib.org/cephes, single precision), within 2 units in the last place on the whole range.

import { f32x4, f64x2, i32x4, i64x2, v128, type Code, type Local, type Operand } from "./asm.ts";
import type { Func } from "./module.ts";

/** The instructions that the engine has beyond SIMD. */
export interface Features {
  /** `f32x4.relaxed_madd`: a·b + c, fused or not, whichever is faster. */
  readonly relaxed: boolean;
}

/** a·b + c: fused where the engine offers it. */
export const madd = (features: Features, a: Operand, b: Operand, c: Operand): Code =>
  features.relaxed ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);

/** Horner's scheme, highest coefficient first. */
function polynomial(f: Func, features: Features, x: Local, coefficients: readonly number[]): Local {
  const p = f.let("v128", "p", coefficients[0]);
  for (const c of coefficients.slice(1)) f.set(p, madd(features, p, x, c));
  return p;
}

/** exp(r) − 1 for |r| ≤ ln 2 / 2. */
function expm1Near(f: Func, features: Features, r: Local): Local {
  const p = polynomial(
    f,
    features,
    r,
    [
      1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
      5.0000001201e-1,
    ],
  );
  f.set(p, f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r));
  return p;
}

const powerOf2 = (k: Operand) => i32x4.shl(i32x4.add(k, i32x4.const(127)), 23);

/** Multiplies p by 2ᵉ, |e| ≤ 252, in two factors, so that both ends of the range are right. */
function scale(f: Func, p: Local, e: Local): void {
  const half = f.let("v128", "half", i32x4.shrS(e, 1));
  f.set(p, f32x4.mul(f32x4.mul(p, powerOf2(half)), powerOf2(i32x4.sub(e, half))));
}

// exp(x) = 2ⁿ·exp(r), n = round(x/ln 2), |r| ≤ ln 2 / 2. exp(x) − 1 = 2·(h·p + (h − ½)), p = exp(r)
// − 1, h = 2ⁿ⁻¹; x itself where it is too small to matter.
export function exp(f: Func, features: Features, a: Operand, minusOne = false): Local {
  const x = f.let("v128", "x", f32x4.pmax(f32x4.pmin(a, 89), minusOne ? -26 : -104));
  const n = f.let("v128", "n", f32x4.nearest(f32x4.mul(x, 1.44269504088896341)));
  const r = f.let(
    "v128",
    "r",
    f32x4.sub(f32x4.sub(x, f32x4.mul(n, 0.693359375)), f32x4.mul(n, -2.1219444e-4)),
  );
  const p = expm1Near(f, features, r);
  const e = f.let("v128", "e", f32x4.truncSat(n));
  if (minusOne) {
    const h = f.let("v128", "h", powerOf2(i32x4.sub(e, i32x4.const(1))));
    f.set(p, f32x4.add(f32x4.mul(h, p), f32x4.sub(h, 0.5)));
    f.set(p, v128.bitselect(x, f32x4.add(p, p), f32x4.lt(f32x4.abs(x), 2 ** -25)));
    return p;
  }
  f.set(p, f32x4.add(p, 1));
  scale(f, p, e);
  return p;
}

/** The lower and the upper two lanes as float64. */
const halvesOf = (x: Operand): Code[] => [
  f64x2.promoteLow(x),
  f64x2.promoteLow(v128.shuffle(x, x, 2, 3, 2, 3)),
];
/** Two pairs of float64 as four lanes. */
const joined = ([low, high]: readonly Operand[]): Code =>
  v128.shuffle(f64x2.demote(low), f64x2.demote(high), 0, 1, 4, 5);

/** log₂ m = s·P(s²) with s = (m − 1)/(m + 1): 2/(ln 2 · (2k + 1)), the highest k first. */
const LOG2 = Array.from({ length: 9 }, (_, i) => 2 / (Math.LN2 * (17 - 2 * i)));

/** log₂ of numbers ≥ 0 in float64, within 2⁻⁴⁵: x = 2ᵉ·m, m in [√½, √2). */
function log2Wide(f: Func, x: Local): Local {
  const above = f.let("v128", "above", i64x2.shrS(i64x2.sub(x, Math.SQRT1_2), 52));
  const m = f.let("v128", "m", i64x2.sub(x, i64x2.shl(above, 52)));
  // The lowest bits of 1.5·2⁵² count units.
  const e = f64x2.sub(i64x2.add(above, 1.5 * 2 ** 52), 1.5 * 2 ** 52);
  const s = f.let("v128", "s", f64x2.div(f64x2.sub(m, 1), f64x2.add(m, 1)));
  const z = f.let("v128", "z", f64x2.mul(s, s));
  const p = f.let("v128", "p", f64x2.add(f64x2.mul(z, LOG2[0]), LOG2[1]));
  for (const c of LOG2.slice(2)) f.set(p, f64x2.add(f64x2.mul(p, z), c));
  f.set(p, f64x2.add(f64x2.mul(p, s), e));
  f.set(p, f64x2.bitselect(-Infinity, p, f64x2.eq(x, 0)));
  f.set(p, f64x2.bitselect(Infinity, p, f64x2.eq(x, Infinity)));
  return p;
}

// aᵇ = 2ᵗ, t = b·log₂|a| in float64, so that the power is right to the last digits also where t is
// large. The special cases are those of C.
export function pow(f: Func, features: Features, a: Operand, b: Operand): Local {
  const base = f.let("v128", "base", a);
  const exponent = f.let("v128", "exponent", b);
  const size = f.let("v128", "size", f32x4.abs(base));
  const exponents = halvesOf(exponent);
  const parts = halvesOf(size).map((half, i) => {
    const log = log2Wide(f, f.let("v128", "wide", half));
    const t = f64x2.pmax(f64x2.pmin(f64x2.mul(exponents[i], log), 160), -160);
    const total = f.let("v128", "t", t);
    const whole = f.let("v128", "whole", f64x2.nearest(total));
    return { whole, rest: f64x2.mul(f64x2.sub(total, whole), Math.LN2) };
  });
  const y = expm1Near(f, features, f.let("v128", "r", joined(parts.map(({ rest }) => rest))));
  f.set(y, f32x4.add(y, 1));
  scale(f, y, f.let("v128", "e", f32x4.truncSat(joined(parts.map(({ whole }) => whole)))));
  f.set(y, v128.bitselect(1, y, f32x4.eq(size, 1)));
  const isWhole = f.let("v128", "isWhole", f32x4.eq(f32x4.nearest(exponent), exponent));
  const half = f.let("v128", "half", f32x4.mul(exponent, 0.5));
  const isOdd = v128.andnot(isWhole, f32x4.eq(f32x4.nearest(half), half));
  f.set(y, v128.or(y, v128.and(v128.and(base, isOdd), i32x4.const(-0x80000000))));
  const isRoot = v128.andnot(v128.and(f32x4.lt(base, 0), f32x4.lt(size, Infinity)), isWhole);
  const isNaN = v128.or(f32x4.ne(base, base), f32x4.ne(exponent, exponent));
  f.set(y, v128.bitselect(NaN, y, v128.or(isRoot, isNaN)));
  f.set(y, v128.bitselect(1, y, v128.or(f32x4.eq(exponent, 0), f32x4.eq(base, 1))));
  return y;
}

/** The first 192 bits of 2/π, after the point. */
const TWO_OVER_PI = 0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041n;
/** 2/π in parts of 24 bits: a float32 times a part is exact in float64. */
const PARTS = Array.from(
  { length: 8 },
  (_, i) => Number((TWO_OVER_PI >> BigInt(168 - 24 * i)) & 0xffffffn) * 2 ** (-24 * (i + 1)),
);
/** The first 29 bits of 2/π, and the next 53: enough for numbers below 2²⁴. */
const FIRST = Number(TWO_OVER_PI >> 163n) * 2 ** -29;
const SECOND = Number((TWO_OVER_PI >> 110n) & (2n ** 53n - 1n)) * 2 ** -82;
const LARGE = 2 ** 24;

/** Sets `rest` + `quarters` = x·2/π, |rest| ≤ ½, up to a multiple of 4. */
function quarterTurns(f: Func, x: Local, rest: Local, quarters: Local): void {
  const small = f64x2.mul(x, FIRST);
  f.set(quarters, f64x2.nearest(small));
  f.set(rest, f64x2.add(f64x2.sub(small, quarters), f64x2.mul(x, SECOND)));
}

/** The same for numbers of any size (Payne and Hanek 1983). All but the last sums are exact. */
function quarterTurnsOfLarge(f: Func, x: Local, rest: Local, quarters: Local): void {
  const [t, n] = [f.local("v128", "t"), f.local("v128", "n")];
  f.set(rest, f64x2.sub(x, x));
  f.set(quarters, rest);
  for (const part of PARTS) {
    f.set(t, f64x2.mul(x, part));
    f.set(t, f64x2.sub(t, f64x2.mul(f64x2.nearest(f64x2.mul(t, 0.25)), 4)));
    f.set(rest, f64x2.add(rest, t));
    f.set(n, f64x2.nearest(rest));
    f.set(rest, f64x2.sub(rest, n));
    f.set(quarters, f64x2.add(quarters, n));
  }
}

// sin(x) with x = (n + r)·π/2, |r| ≤ ½: ±sin(r·π/2) for even n, ±cos(r·π/2) for odd n. The cosine is
// the sine a quarter of a turn later.
function turned(f: Func, features: Features, a: Operand, later: 0 | 1): Local {
  const x = f.let("v128", "x", a);
  const halves = halvesOf(x).map((half) => ({
    x: f.let("v128", "wide", half),
    rest: f.local("v128", "rest"),
    quarters: f.local("v128", "quarters"),
  }));
  const reduce = (by: typeof quarterTurns) => () =>
    halves.forEach((half) => by(f, half.x, half.rest, half.quarters));
  f.if(
    v128.anyTrue(f32x4.ge(f32x4.abs(x), LARGE)),
    reduce(quarterTurnsOfLarge),
    reduce(quarterTurns),
  );
  const r = f.let("v128", "r", joined(halves.map(({ rest }) => f64x2.mul(rest, Math.PI / 2))));
  const n = f.let("v128", "n", f32x4.truncSat(joined(halves.map(({ quarters }) => quarters))));
  if (later) f.set(n, i32x4.add(n, i32x4.const(later)));
  const z = f.let("v128", "z", f32x4.mul(r, r));
  const sine = polynomial(f, features, z, [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1]);
  f.set(sine, f32x4.add(f32x4.mul(f32x4.mul(sine, z), r), r));
  const cosine = polynomial(
    f,
    features,
    z,
    [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2],
  );
  f.set(cosine, f32x4.mul(f32x4.mul(cosine, z), z));
  f.set(cosine, f32x4.add(f32x4.sub(cosine, f32x4.mul(z, 0.5)), 1));
  const isOdd = i32x4.shrS(i32x4.shl(n, 31), 31);
  const sign = v128.and(i32x4.shl(n, 30), i32x4.const(-0x80000000));
  f.set(sine, v128.xor(v128.bitselect(cosine, sine, isOdd), sign));
  if (!later) f.set(sine, v128.bitselect(x, sine, f32x4.eq(x, 0))); // −0 of −0
  return sine;
}

export const sin = (f: Func, features: Features, a: Operand): Local => turned(f, features, a, 0);
export const cos = (f: Func, features: Features, a: Operand): Local => turned(f, features, a, 1);

// log(x) = e·ln 2 + log(m), m in [√½, √2); zero, negative numbers, infinity, NaN and subnormals as
// in IEEE 754.
export function log(f: Func, features: Features, a: Operand): Local {
  const x = f.let("v128", "x", a);
  const tiny = f.let("v128", "tiny", f32x4.lt(x, 1.17549435e-38));
  const scaled = f.let("v128", "scaled", v128.bitselect(f32x4.mul(x, 8388608), x, tiny));
  const e = f.let("v128", "e", f32x4.fromInt(i32x4.sub(i32x4.shrU(scaled, 23), i32x4.const(126))));
  f.set(e, f32x4.sub(e, v128.and(tiny, 23)));
  const m = f.let("v128", "m", v128.or(v128.and(scaled, i32x4.const(0x007fffff)), 0.5));
  const small = f.let("v128", "small", f32x4.lt(m, 0.707106781186547524));
  f.set(e, f32x4.sub(e, v128.and(small, 1)));
  f.set(m, f32x4.sub(f32x4.add(m, v128.and(m, small)), 1));
  const z = f.let("v128", "z", f32x4.mul(m, m));
  const p = polynomial(
    f,
    features,
    m,
    [
      7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1,
      -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    ],
  );
  f.set(p, f32x4.mul(f32x4.mul(p, m), z));
  f.set(p, f32x4.add(p, f32x4.mul(e, -2.1219444e-4)));
  f.set(p, f32x4.sub(p, f32x4.mul(z, 0.5)));
  f.set(p, f32x4.add(f32x4.add(m, p), f32x4.mul(e, 0.693359375)));
  f.set(p, v128.bitselect(x, p, f32x4.eq(x, Infinity)));
  f.set(p, v128.bitselect(-Infinity, p, f32x4.eq(x, 0)));
  f.set(p, v128.bitselect(p, NaN, f32x4.ge(x, 0)));
  return p;
}

// With u = 1 + x, rounded: log(1 + x) = log(u)·x/(u − 1), and x where u = 1 (Kahan).
export function log1p(f: Func, features: Features, a: Operand): Local {
  const x = f.let("v128", "x", a);
  const u = f.let("v128", "u", f32x4.add(x, 1));
  const same = f.let("v128", "same", v128.or(f32x4.eq(u, 1), f32x4.eq(x, Infinity)));
  const y = log(f, features, u);
  f.set(y, v128.bitselect(x, f32x4.mul(y, f32x4.div(x, f32x4.sub(u, 1))), same));
  return y;
}

// tanh(x) = x + x³·P(x²) near zero, where 1 − 2/(exp(2|x|) + 1) would lose digits, and that
// expression with the sign of x elsewhere.
export function tanh(f: Func, features: Features, a: Operand): Local {
  const x = f.let("v128", "x", a);
  const z = f.let("v128", "z", f32x4.mul(x, x));
  const near = polynomial(
    f,
    features,
    z,
    [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1],
  );
  f.set(near, f32x4.add(f32x4.mul(f32x4.mul(near, z), x), x));
  const size = f.let("v128", "size", f32x4.abs(x));
  const grown = exp(f, features, f32x4.add(size, size));
  const far = f.let("v128", "far", f32x4.sub(1, f32x4.div(2, f32x4.add(grown, 1))));
  f.set(far, v128.or(far, v128.and(x, i32x4.const(-0x80000000))));
  f.set(near, v128.bitselect(far, near, f32x4.gt(size, 0.625)));
  return near;
}
