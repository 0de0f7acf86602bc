// Functions that generated code calls by name: exp_of(x) on f32, exp_of4(x) on vec4f. A shader
// contains those that it calls.
//
// WGSL does not define its built-in functions for NaN and infinities, and allows log an absolute
// error of 2⁻²¹ near 1. Compilers may assume that NaN does not occur and remove a test of x ≠ x, but
// not a test of the bits.

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
