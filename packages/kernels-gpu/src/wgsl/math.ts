// Functions that generated code calls by name: exp_of(x) on f32, exp_of4(x) on vec4f. A shader
// contains those that it calls.
//
// WGSL does not define its built-in functions for NaN and infinities, and allows log an absolute
// error of 2⁻²¹ near 1. Compilers may assume that NaN does not occur and remove a test of x ≠ x,
// but not a test of the bits.

/** Types of a function: the number, its bits as unsigned and as signed numbers, and a condition. */
interface Types {
  readonly T: string;
  readonly U: string;
  readonly I: string;
  readonly B: string;
  /** The suffix of the functions that it calls: "4" for vectors. */
  readonly w: string;
}

const polynomial = (x: string, [first, ...rest]: readonly string[]): string =>
  rest.reduce((sum, c) => `(${sum}) * ${x} + ${c}`, first);

/** Of log(1 + f), from √½ − 1 to √2 − 1 (Cephes). */
const LOG = [
  "7.0376836292e-2f",
  "-1.1514610310e-1f",
  "1.1676998740e-1f",
  "-1.2420140846e-1f",
  "1.4249322787e-1f",
].concat(
  // prettier-ignore
  ["-1.6668057665e-1f", "2.0000714765e-1f", "-2.4999993993e-1f", "3.3333331174e-1f"],
);
/** 1/8!, … 1/1!. */
const EXPM1 = [
  "2.48015873e-5f",
  "1.98412698e-4f",
  "1.38888889e-3f",
  "8.33333333e-3f",
  "4.16666667e-2f",
  "1.66666667e-1f",
  "0.5f",
  "1.0f",
];
/** Of (tanh(x) − x)/x³ over x², for |x| ≤ 0.625 (Cephes). */
const TANH = [
  "-5.70498872745e-3f",
  "2.06390887954e-2f",
  "-5.37397155531e-2f",
  "1.33314422036e-1f",
  "-3.33332819422e-1f",
];

/** Of (sin(r) − r)/r³ and (cos(r) − 1 + r²/2)/r⁴ over r², for |r| ≤ π/4 (Cephes). */
const SINE = ["-1.9515295891e-4f", "8.3321608736e-3f", "-1.6666654611e-1f"];
const COSINE = ["2.443315711809948e-5f", "-1.388731625493765e-3f", "4.166664568298827e-2f"];

const turned =
  (later: 0 | 1) =>
  ({ T, w }: Types) =>
    `(x: ${T}) -> ${T} {
  return ${w ? `vec4f(${["x", "y", "z", "w"].map((axis) => `turned(x.${axis}, ${later}u)`).join(", ")})` : `turned(x, ${later}u)`};
}`;

const library: Readonly<Record<string, (types: Types) => string>> = {
  is_nan: ({ T, U, B }) => `(x: ${T}) -> ${B} {
  return (bitcast<${U}>(x) & ${U}(0x7fffffffu)) > ${U}(0x7f800000u);
}`,
  max_of: ({ T, w }) => `(a: ${T}, b: ${T}) -> ${T} {
  return select(select(max(a, b), b, is_nan${w}(b)), a, is_nan${w}(a));
}`,
  min_of: ({ T, w }) => `(a: ${T}, b: ${T}) -> ${T} {
  return select(select(min(a, b), b, is_nan${w}(b)), a, is_nan${w}(a));
}`,
  exp_of: ({ T, w }) => `(x: ${T}) -> ${T} {
  return select(exp(x), x, is_nan${w}(x));
}`,
  // x + x²/2 + … near 0, where exp(x) − 1 would lose digits.
  expm1_of: ({ T, w }) => `(x: ${T}) -> ${T} {
  return select(exp_of${w}(x) - 1.0f, x * (${polynomial("x", EXPM1)}), abs(x) < ${T}(0.5f));
}`,
  log_near: ({ T }) => `(f: ${T}) -> ${T} {
  return f + ((${polynomial("f", LOG)}) * f - 0.5f) * (f * f);
}`,
  // x = m·2ᵉ with m from √½ to √2. Numbers below the smallest normal number count as 0.
  log_of: ({ T, U, I, w }) => `(x: ${T}) -> ${T} {
  let bits = bitcast<${U}>(x);
  let e = bitcast<${I}>(bits - ${U}(0x3f3504f3u)) >> ${U}(23u);
  let m = bitcast<${T}>(bits - (bitcast<${U}>(e) << ${U}(23u)));
  let y = log_near${w}(m - 1.0f) + ${T}(e) * -2.12194440e-4f + ${T}(e) * 0.693359375f;
  let above = select(select(y, x, bits >= ${U}(0x7f800000u)), ${T}(not_a_number()), bits > ${U}(0x80000000u));
  return select(above, ${T}(-infinity()), (bits & ${U}(0x7fffffffu)) < ${U}(0x00800000u));
}`,
  log1p_of: ({ T, w }) => `(x: ${T}) -> ${T} {
  return select(log_of${w}(1.0f + x), log_near${w}(x), (x > ${T}(-0.29f)) & (x < ${T}(0.41f)));
}`,
  // x + x³·P(x²) near 0, and elsewhere 1 − 2/(exp(2|x|) + 1) with the sign of x, which would lose
  // digits near 0. The built-in tanh may be off by 1e-5.
  tanh_of: ({ T, B }) => `(x: ${T}) -> ${T} {
  let z = x * x;
  let near = (${polynomial("z", TANH)}) * z * x + x;
  let far = 1.0f - 2.0f / (exp(2.0f * abs(x)) + 1.0f);
  let outside: ${B} = abs(x) > ${T}(0.625f);
  return select(select(near, far, outside), -far, outside & (x < ${T}(0.0f)));
}`,
  // 2ᵗ, t = b·log₂|a| = b·e + b·f with |a| = 2ᵉ·m and f = log₂ m. The twelve leading bits of b times e
  // are exact, so that only b·f is rounded. Exponents beyond 2³² change nothing: |log₂| of a number
  // other than 1 is at least 2⁻²⁴. The special cases are those of C.
  pow_of: ({ T, U, I, B, w }) => `(a: ${T}, b: ${T}) -> ${T} {
  let size = abs(a);
  let bits = bitcast<${U}>(size);
  let e = bitcast<${I}>(bits - ${U}(0x3f3504f3u)) >> ${U}(23u);
  let m = bitcast<${T}>(bits - (bitcast<${U}>(e) << ${U}(23u)));
  let exponent = clamp(b, ${T}(-4294967296.0f), ${T}(4294967296.0f));
  let leading = bitcast<${T}>(bitcast<${U}>(exponent) & ${U}(0xfffff000u));
  let part = exponent * (log_near${w}(m - 1.0f) * 1.44269504f);
  let n = clamp(round(exponent * ${T}(e) + part), ${T}(-160.0f), ${T}(160.0f));
  let rest = ((leading * ${T}(e) - n) + (exponent - leading) * ${T}(e)) + part;
  let half = ${I}(n) >> ${U}(1u);
  let finite = exp2(clamp(rest, ${T}(-1.0f), ${T}(1.0f))) * power_of2${w}(half) * power_of2${w}(${I}(n) - half);
  let grows: ${B} = b > ${T}(0.0f);
  let of_zero = select(${T}(infinity()), ${T}(0.0f), grows);
  let of_infinity = select(${T}(0.0f), ${T}(infinity()), grows);
  let positive = select(select(finite, of_zero, bits < ${U}(0x00800000u)), of_infinity, bits == ${U}(0x7f800000u));
  let magnitude = select(positive, ${T}(1.0f), size == ${T}(1.0f));
  let whole: ${B} = round(b) == b;
  let odd: ${B} = whole & (round(b * 0.5f) != b * 0.5f);
  let negative: ${B} = bitcast<${I}>(a) < ${I}(0);
  let signed = bitcast<${T}>(bitcast<${U}>(magnitude) | select(${U}(0u), ${U}(0x80000000u), negative & odd));
  let is_root: ${B} = negative & !whole & (bits >= ${U}(0x00800000u)) & (bits < ${U}(0x7f800000u));
  let value = select(signed, ${T}(not_a_number()), is_root | is_nan${w}(a) | is_nan${w}(b));
  return select(value, ${T}(1.0f), (b == ${T}(0.0f)) | (a == ${T}(1.0f)));
}`,
  power_of2: ({ T, U, I }) => `(k: ${I}) -> ${T} {
  return bitcast<${T}>((k + ${I}(127)) << ${U}(23u));
}`,
  sin_of: turned(0),
  cos_of: turned(1),
  // sin(x + later·π/2). With x = (n + r)·π/2, |r| ≤ ½, it is ±sin(r·π/2) for even n, ±cos(r·π/2) for
  // odd n. x/2π modulo 1 is computed in whole numbers (Payne and Hanek 1983): x = m·2^(at − 32) times
  // the 96 bits of 1/2π from bit `at` on, of which the first 64 of the fraction are kept.
  turned: () => `(x: f32, later: u32) -> f32 {
  let bits = bitcast<u32>(x) & 0x7fffffffu;
  let m = (bits & 0x007fffffu) | 0x00800000u;
  let at = max(bits >> 23u, 126u) - 118u;
  let high = product_of(m, turn_word(at + 32u));
  let low = product_of(m, turn_word(at + 64u));
  let fraction = low.x + high.y;
  let first = m * turn_word(at) + high.x + select(0u, 1u, fraction < low.x);
  let n = (first + 0x20000000u) >> 30u;
  let signed = bitcast<i32>(first - (n << 30u));
  let flip = select(0u, 0xffffffffu, signed < 0);
  let size = f32(bitcast<u32>(signed) ^ flip) + f32(fraction ^ flip) * 2.3283064365386963e-10f;
  let turn = select(size, -size, signed < 0) * 1.4629180792671596e-9f;
  let small = bits <= 0x3f490fdbu;
  let negative = (bitcast<u32>(x) >> 31u) == 1u;
  let r = select(select(turn, -turn, negative), x, small);
  let quarter = select(select(n, 0u - n, negative), 0u, small) + later;
  let z = r * r;
  let sine = (${polynomial("z", SINE)}) * z * r + r;
  let cosine = (${polynomial("z", COSINE)}) * z * z - 0.5f * z + 1.0f;
  let value = select(sine, cosine, (quarter & 1u) == 1u);
  return select(select(value, -value, (quarter & 2u) == 2u), not_a_number(), bits >= 0x7f800000u);
}`,
  // 32 bits of 1/2π, from bit `at` on; the first 32 are those before the point.
  turn_word: () => `(at: u32) -> u32 {
  var words = array(0u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);
  let i = at >> 5u;
  return (words[i] << (at & 31u)) | ((words[min(i + 1u, 7u)] >> 1u) >> (31u - (at & 31u)));
}`,
  // The upper and the lower 32 bits of a·b.
  product_of: () => `(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u((a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u), a * b);
}`,
  half_to_float: () => `(half: u32) -> f32 {
  let exponent = (half >> 10u) & 31u;
  let fraction = half & 1023u;
  let normal = bitcast<f32>((select(exponent + 112u, 255u, exponent == 31u) << 23u) | (fraction << 13u));
  let magnitude = select(normal, f32(fraction) * 5.9604644775390625e-8f, exponent == 0u);
  return select(magnitude, -magnitude, (half & 0x8000u) != 0u);
}`,
  // To the nearest, ties to even. Below 2⁻¹⁴ the addition of ½ rounds to multiples of 2⁻²⁴.
  float_to_half: () => `(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let u = bits & 0x7fffffffu;
  let normal = (u + 0xc8000fffu + ((u >> 13u) & 1u)) >> 13u;
  let subnormal = bitcast<u32>(bitcast<f32>(u) + 0.5f) - 0x3f000000u;
  let finite = select(normal, subnormal, u < 0x38800000u);
  let special = select(0x7c00u, 0x7e00u, u > 0x7f800000u);
  return select(finite, special, u >= 0x47800000u) | ((bits >> 16u) & 0x8000u);
}`,
  float_to_brain: () => `(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let rounded = (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
  return select(rounded, 0x7fc0u, is_nan(v));
}`,
  // Rounded toward 0. i32() ends at the last float below 2³¹.
  float_to_int: () => `(v: f32) -> i32 {
  return select(select(i32(v), 2147483647, v >= 2147483648.0f), 0, is_nan(v));
}`,
  // A constant that the compiler does not evaluate: it would reject infinite results.
  hidden: ({ T, U }) => `(x: ${T}) -> ${T} {
  return bitcast<${T}>(bitcast<${U}>(x) ^ ${U}(infinite_bits ^ 0x7f800000u));
}`,
  times_zero: ({ T, U }) => `(x: ${T}) -> ${T} {
  let bits = bitcast<${U}>(x);
  return select(bitcast<${T}>(bits & ${U}(0x80000000u)), ${T}(not_a_number()), (bits & ${U}(0x7f800000u)) == ${U}(0x7f800000u));
}`,
  infinity: ({ T }) => `() -> ${T} {
  return bitcast<f32>(infinite_bits);
}`,
  // Compilers drop the sign of the literal −0.
  negative_zero: ({ T }) => `() -> ${T} {
  return bitcast<f32>(infinite_bits ^ 0xff800000u);
}`,
  not_a_number: ({ T }) => `() -> ${T} {
  return bitcast<f32>(infinite_bits | 0x400000u);
}`,
};

const types = (w: string): Types =>
  w
    ? { T: "vec4f", U: "vec4u", I: "vec4i", B: "vec4<bool>", w }
    : { T: "f32", U: "u32", I: "i32", B: "bool", w };

const CALLS = new RegExp(`\\b(${Object.keys(library).join("|")})(4?)\\(`, "g");

/** The functions of the library that code calls, and those that they call. */
export function libraryFor(code: string): string {
  const found = new Map<string, string>();
  const visit = (text: string) => {
    for (const [, name, w] of text.matchAll(CALLS)) {
      if (found.has(name + w)) continue;
      const body = library[name](types(w));
      found.set(name + w, `fn ${name}${w}${body}`);
      visit(body);
    }
  };
  visit(code);
  const text = [...found.values()].join("\n");
  // Constants of WGSL must be finite, so that infinity is a variable.
  return text.includes("infinite_bits")
    ? `var<private> infinite_bits: u32 = 0x7f800000u;\n${text}`
    : text;
}
