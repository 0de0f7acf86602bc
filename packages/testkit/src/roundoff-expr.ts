// How far an elementwise expression computed in float32 may be from its value in float64: running
// error analysis (Wilkinson), one rule per function of the algebra. Every kernel, fused or not, has
// to stay within it.

import { numbers, type Expr, type Fn } from "@conv/ops";
import { LARGEST, ULP } from "@conv/ops/cases";

/** Computed tanh may be off by this much, also near 0: the error of the usual 1 − 2/(e²ˣ + 1). */
const TANH_ERROR = 4 * ULP;

/**
 * A value and the error that it may carry; NaN where nothing can be said, as of a quotient whose
 * divisor may be 0.
 */
export type Uncertain = readonly [value: number, error: number];

/**
 * The expression as a function of its variables' values and errors, given in the order of `names`.
 */
export function uncertain(
  e: Expr,
  names: readonly string[],
): (values: readonly number[], errors: readonly number[]) => Uncertain {
  if (typeof e === "number") {
    const constant: Uncertain = [e, Math.abs(e - Math.fround(e))];
    return () => constant;
  }
  if (typeof e === "string") {
    const i = names.indexOf(e);
    return (values, errors) => [values[i], errors[i]];
  }
  const [fn, ...args] = e;
  const [a, b, c] = args.map((x) => uncertain(x, names));
  return (values, errors) => step(fn, a(values, errors), b?.(values, errors), c?.(values, errors));
}

const ABSENT: Uncertain = [0, 0];

function step(fn: Fn, a: Uncertain, b: Uncertain = ABSENT, c: Uncertain = ABSENT): Uncertain {
  const apply = numbers[fn];
  const value = apply(a[0], b[0], c[0]);
  // What is not chosen does not matter.
  if (fn === "select" && (a[1] === 0 || Math.abs(a[0]) > a[1])) return a[0] === 0 ? c : b;
  const operands = [a, b, c];
  // A device may hold Infinity where float64 still has a number, and NaN behind that.
  if (
    operands.some(
      ([v, e]) => !Number.isFinite(e) || (Number.isFinite(v) && Math.abs(v) + e > LARGEST),
    )
  )
    return [value, NaN];
  if (operands.some(([v]) => !Number.isFinite(v)) || !Number.isFinite(value)) {
    // NaN and infinities have no error; what comes of the ends of the other operands tells how far
    // the result may be off.
    const ends = ([v, e]: Uncertain) => (e === 0 ? [v] : [v - e, v + e]);
    const all = ends(a).flatMap((x) => ends(b).flatMap((y) => ends(c).map((z) => apply(x, y, z))));
    const off = Math.max(
      ...all.map((v) => (Object.is(v, value) || v === value ? 0 : Math.abs(v - value))),
    );
    return [
      value,
      Number.isFinite(off)
        ? off + (Number.isFinite(value) ? TANH_ERROR * Math.abs(value) : 0)
        : NaN,
    ];
  }
  const error = errorOf(fn, value, a, b, c);
  // Devices may flush what is below the smallest normal number.
  return [value, value !== 0 && Math.abs(value) < 2 ** -126 ? error + 2 ** -126 : error];
}

/**
 * With log₂|a| = e + f, |f| ≤ ½: the product b·e is exact, b·f may be off by some units, and so is
 * the power, relatively.
 */
function powError(y: number, [a, ea]: Uncertain, [b, eb]: Uncertain): number {
  if (ea === 0 && eb === 0 && (a === 0 || a === 1 || b === 0)) return 0;
  const size = Math.abs(a);
  if (size <= ea || (a < 0 && eb > 0)) return NaN;
  const log = Math.log(size);
  const logError = log - Math.log(size - ea);
  const carried = Math.abs(b) * logError + (Math.abs(log) + logError) * eb;
  const part = Math.abs(b) * Math.min(0.5, Math.abs(Math.log2(size)));
  return Math.abs(y) * (Math.expm1(carried) + ULP * (6 + 6 * part));
}

function errorOf(
  fn: Fn,
  y: number,
  [a, ea]: Uncertain,
  [b, eb]: Uncertain,
  [c, ec]: Uncertain,
): number {
  const ulps = (count: number) => count * ULP * Math.abs(y);
  switch (fn) {
    case "add":
    case "sub":
      return ea + eb + ulps(1);
    case "mul":
      return Math.abs(a) * eb + Math.abs(b) * ea + ea * eb + ulps(1);
    case "div":
      return eb > 0 && Math.abs(b) <= eb
        ? NaN
        : (ea + Math.abs(y) * eb) / (Math.abs(b) - eb) + ulps(3);
    case "neg":
    case "abs":
      return ea;
    case "sqrt": // the argument is taken to be ≥ 0 on the device too
      return Math.max(Math.sqrt(a + ea) - y, y - Math.sqrt(Math.max(0, a - ea))) + ulps(2);
    case "exp": // the argument's own rounding grows with it
      return Math.abs(y) * Math.expm1(ea) + ulps(4 + 2 * Math.abs(a));
    case "expm1": // as exp, and relative to the result also near 0
      return (
        (Math.abs(y) + Math.min(1, Math.exp(a))) * Math.expm1(ea) + ulps(6 + 2 * Math.max(0, a))
      );
    case "log1p":
      return 1 + a <= ea ? NaN : y - Math.log1p(a - ea) + ulps(6);
    case "log":
      return a <= ea ? NaN : y - Math.log(a - ea) + 2 * ULP + ulps(4);
    case "tanh":
      return ea + TANH_ERROR;
    case "max":
      return a - ea > b + eb ? ea : b - eb > a + ea ? eb : Math.max(ea, eb);
    case "min":
      return a + ea < b - eb ? ea : b + eb < a - ea ? eb : Math.max(ea, eb);
    case "sin":
    case "cos":
      return Math.min(2, ea) + ulps(3);
    case "round":
      return ea === 0 ? 0 : numbers.round(a + ea, 0, 0) - numbers.round(a - ea, 0, 0);
    case "pow":
      return powError(y, [a, ea], [b, eb]);
    case "floor":
      return ea === 0 ? 0 : Math.floor(a + ea) - Math.floor(a - ea);
    case "gt":
      return ea + eb === 0 || Math.abs(a - b) > ea + eb ? 0 : 1;
    case "select":
      return Math.max(eb, ec) + Math.abs(b - c);
  }
}
