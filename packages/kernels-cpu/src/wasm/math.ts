// Transcendental functions, four lanes at a time: the polynomials of Cephes (S. Moshier,
// netlib.org/cephes, single precision), within 2 units in the last place on the whole range.

import { f32x4, i32x4, v128, type Code, type Local, type Operand } from "./asm.ts";
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

// exp(x) = 2ⁿ·exp(r), n = round(x/ln 2), |r| ≤ ln 2 / 2; 2ⁿ in two factors, so that both ends of
// the range are right. exp(x) − 1 = 2·(h·p + (h − ½)), p = exp(r) − 1, h = 2ⁿ⁻¹; x itself where it
// is too small to matter.
export function exp(f: Func, features: Features, a: Operand, minusOne = false): Local {
  const x = f.let("v128", "x", f32x4.pmax(f32x4.pmin(a, 89), minusOne ? -26 : -104));
  const n = f.let("v128", "n", f32x4.nearest(f32x4.mul(x, 1.44269504088896341)));
  const r = f.let(
    "v128",
    "r",
    f32x4.sub(f32x4.sub(x, f32x4.mul(n, 0.693359375)), f32x4.mul(n, -2.1219444e-4)),
  );
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
  const e = f.let("v128", "e", f32x4.truncSat(n));
  const power = (k: Operand) => i32x4.shl(i32x4.add(k, i32x4.const(127)), 23);
  if (minusOne) {
    const h = f.let("v128", "h", power(i32x4.sub(e, i32x4.const(1))));
    f.set(p, f32x4.add(f32x4.mul(h, p), f32x4.sub(h, 0.5)));
    f.set(p, v128.bitselect(x, f32x4.add(p, p), f32x4.lt(f32x4.abs(x), 2 ** -25)));
    return p;
  }
  f.set(p, f32x4.add(p, 1));
  const half = f.let("v128", "half", i32x4.shrS(e, 1));
  f.set(p, f32x4.mul(f32x4.mul(p, power(half)), power(i32x4.sub(e, half))));
  return p;
}

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
