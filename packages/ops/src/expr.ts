// A tiny algebra of one element. Read as numbers it is the reference, as WebAssembly or WGSL a
// kernel or an epilogue, as text the documentation; its derivative is again an expression, so
// elementwise ops have gradients of any order.

import { message, type Message } from "@conv/tensor";

/**
 * Functions of the algebra. `expm1(a)` is exp(a) − 1 and `log1p(a)` log(1 + a), both accurate near
 * 0. `pow(a, b)` is aᵇ as in C and PyTorch: 1 where b = 0 or a = 1, NaN where a < 0 and b is not
 * whole. `sin` and `cos` take radians. `round` takes halves to the even neighbor. `gt(a, b)` is 1
 * where a > b, else 0 (also for NaN); `select(c, a, b)` is a where c ≠ 0. `floor` and `round` have
 * derivative 0.
 */
export type Fn =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "min"
  | "max"
  | "neg"
  | "abs"
  | "sqrt"
  | "exp"
  | "expm1"
  | "log"
  | "log1p"
  | "tanh"
  | "pow"
  | "sin"
  | "cos"
  | "floor"
  | "round"
  | "gt"
  | "select";

/**
 * A constant, a variable (inputs are `a`, `b`, `c`, … in order, the result is `y`), or a function
 * applied to expressions.
 */
export type Expr = number | string | readonly [Fn, ...Expr[]];

/** The name of input `i`: a, b, c, … ; `y` is the result and is passed over. */
export const variable = (i: number): string => (i < 24 ? String.fromCharCode(97 + i) : `v${i}`);

export const numbers: Record<Fn, (a: number, b: number, c: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a,
  abs: (a) => Math.abs(a),
  sqrt: (a) => Math.sqrt(a),
  exp: (a) => Math.exp(a),
  expm1: (a) => Math.expm1(a),
  log: (a) => Math.log(a),
  log1p: (a) => Math.log1p(a),
  tanh: (a) => Math.tanh(a),
  // JavaScript leaves 1^NaN, 1^∞ and (−1)^∞ NaN.
  pow: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b),
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
  floor: (a) => Math.floor(a),
  round: (a) => (Math.abs(a % 1) === 0.5 ? 2 * Math.round(a / 2) : Math.round(a)),
  gt: (a, b) => (a > b ? 1 : 0),
  select: (c, a, b) => (c !== 0 ? a : b),
};

/** The expression as a function of its variables' values, given in the order of `names`. */
export function evaluator(
  e: Expr,
  names: readonly string[],
): (values: readonly number[]) => number {
  if (typeof e === "number") return () => e;
  if (typeof e === "string") {
    const i = names.indexOf(e);
    if (i < 0) throw new Error(`expr: unknown variable ${e}`);
    return (values) => values[i];
  }
  const [fn, ...args] = e;
  const apply = numbers[fn];
  const [a, b, c] = args.map((x) => evaluator(x, names));
  return (values) => apply(a(values), b ? b(values) : 0, c ? c(values) : 0);
}

/** Replaces variables by expressions. */
export function substitute(e: Expr, by: Readonly<Record<string, Expr>>): Expr {
  if (typeof e === "number") return e;
  if (typeof e === "string") return by[e] ?? e;
  const [fn, ...args] = e;
  return [fn, ...args.map((x) => substitute(x, by))];
}

/** Variables that occur in the expression. */
export function variables(e: Expr, found = new Set<string>()): Set<string> {
  if (typeof e === "string") found.add(e);
  else if (typeof e !== "number") for (const x of e.slice(1) as Expr[]) variables(x, found);
  return found;
}

/**
 * What is wrong with an expression over these variables: an unknown function or variable, too few
 * or too many arguments, an infinite constant.
 */
export function faultOf(e: Expr, names: readonly string[]): Message | undefined {
  if (typeof e === "number")
    return Number.isFinite(e) ? undefined : message`constant ${{ constant: e }} is not finite`;
  if (typeof e === "string")
    return names.includes(e)
      ? undefined
      : message`there is no variable ${{ variable: e }}, only ${{ known: names.join(", ") }}`;
  if (!Array.isArray(e)) return message`${{ got: String(e) }} is no expression`;
  const [fn, ...args] = e;
  if (!Object.hasOwn(numbers, fn))
    return message`there is no function ${{ fn: String(fn) }}, only ${{ known: Object.keys(numbers).join(", ") }}`;
  const { length } = numbers[fn];
  if (args.length !== length)
    return message`${{ fn }} takes ${{ takes: length }} arguments, got ${{ got: args.length }}`;
  for (const x of args) {
    const fault = faultOf(x, names);
    if (fault) return fault;
  }
  return undefined;
}

/**
 * The expression with constant parts evaluated and neutral elements dropped; equal for every value,
 * NaN and infinities too.
 */
export function fold(e: Expr): Expr {
  if (typeof e === "number" || typeof e === "string") return e;
  const [fn, ...rest] = e;
  const args = rest.map(fold);
  const [a, b] = args;
  if (args.every((x) => typeof x === "number")) {
    const value = evaluator([fn, ...args], [])([]);
    return Number.isFinite(value) ? value : [fn, ...args];
  }
  if (fn === "add" && (a === 0 || b === 0)) return a === 0 ? b : a;
  if (fn === "sub" && b === 0) return a;
  if (fn === "mul" && (a === 1 || b === 1)) return a === 1 ? b : a;
  if (fn === "div" && b === 1) return a;
  if (fn === "pow" && b === 0) return 1;
  if (fn === "pow" && b === 1) return a;
  return [fn, ...args];
}

/** Arithmetic operations in the expression, each function counted as one. */
export const countFns = (e: Expr): number =>
  Array.isArray(e) ? 1 + (e.slice(1) as Expr[]).reduce<number>((s, x) => s + countFns(x), 0) : 0;

// Constructors that fold what is trivially known, so that derivatives stay small.
export const add = (a: Expr, b: Expr): Expr => (a === 0 ? b : b === 0 ? a : ["add", a, b]);
export const sub = (a: Expr, b: Expr): Expr => (b === 0 ? a : a === 0 ? neg(b) : ["sub", a, b]);
export const mul = (a: Expr, b: Expr): Expr =>
  a === 0 || b === 0
    ? 0
    : a === 1
      ? b
      : b === 1
        ? a
        : a === -1
          ? neg(b)
          : b === -1
            ? neg(a)
            : ["mul", a, b];
export const div = (a: Expr, b: Expr): Expr => (a === 0 ? 0 : b === 1 ? a : ["div", a, b]);
export const neg = (a: Expr): Expr => (typeof a === "number" ? -a : ["neg", a]);

/**
 * The derivatives of y = aᵇ, as in PyTorch: b·aᵇ⁻¹, 0 where b = 0; y·log a, 0 where a = 0 and b ≥ 0.
 */
export function slopesOfPow(a: Expr, b: Expr, y: Expr): [byBase: Expr, byExponent: Expr] {
  const byBase: Expr =
    typeof b === "number"
      ? mul(b, fold(["pow", a, b - 1]))
      : ["select", b, ["mul", b, ["pow", a, ["sub", b, 1]]], 0];
  const isPositive: Expr = ["select", b, ["gt", b, 0], 1];
  const product: Expr = ["mul", y, ["log", a]];
  return [byBase, ["select", a, product, ["select", isPositive, 0, product]]];
}

/** Σ cᵢ·xⁱ by Horner's scheme, highest coefficient first. */
const polynomial = (x: Expr, [first, ...rest]: readonly number[]): Expr =>
  rest.reduce<Expr>((sum, c) => ["add", ["mul", sum, x], c], first);

/**
 * 2/√π · ∫₀ᵉ exp(−t²) dt as tanh(e · P(e²)), P of degree 7 fitted to artanh(erf x)/x for |x| ≤ 4
 * with least largest error and constant beyond: within 7.2e-8 of the error function, relatively,
 * and within 1.3e-7 computed in float32.
 */
/* @__NO_SIDE_EFFECTS__ */
export const erf = (e: Expr): Expr => [
  "tanh",
  ["mul", e, polynomial(["min", ["mul", e, e], 16], erfCoefficients)],
];

const erfCoefficients = [
  5.421764370794335e-9, 2.757195183278327e-8, -4.794565938937012e-6, 8.459640957880765e-5,
  -6.148378597572446e-4, -1.9528853590600193e-4, 0.1027698665857315, 1.128379225730896,
];

/**
 * ∂e/∂v. Where a function has a corner (abs, max, min) the derivative is that of PyTorch: 0 at
 * abs(0), shared halves at ties.
 */
export function differentiate(e: Expr, v: string): Expr {
  if (typeof e === "number") return 0;
  if (typeof e === "string") return e === v ? 1 : 0;
  const [fn, a = 0, b = 0, c = 0] = e;
  const da = differentiate(a, v);
  const db = differentiate(b, v);
  switch (fn) {
    case "add":
      return add(da, db);
    case "sub":
      return sub(da, db);
    case "mul":
      return add(mul(da, b), mul(a, db));
    case "div":
      return sub(div(da, b), mul(div(div(a, b), b), db));
    case "neg":
      return neg(da);
    case "abs":
      return mul(sub(["gt", a, 0], ["gt", 0, a]), da);
    case "sqrt":
      return div(mul(0.5, da), ["sqrt", a]);
    case "exp":
    case "expm1":
      return mul(["exp", a], da);
    case "log":
      return div(da, a);
    case "log1p":
      return div(da, ["add", 1, a]);
    case "tanh":
      return mul(sub(1, ["mul", ["tanh", a], ["tanh", a]]), da);
    case "pow": {
      const [byBase, byExponent] = slopesOfPow(a, b, e);
      return add(mul(byBase, da), mul(byExponent, db));
    }
    case "sin":
      return mul(["cos", a], da);
    case "cos":
      return neg(mul(["sin", a], da));
    case "max":
    case "min": {
      const wins: Expr = fn === "max" ? ["gt", a, b] : ["gt", b, a];
      const loses: Expr = fn === "max" ? ["gt", b, a] : ["gt", a, b];
      const half: Expr = ["mul", 0.5, ["sub", 1, ["add", wins, loses]]];
      return add(mul(["add", wins, half], da), mul(["add", loses, half], db));
    }
    case "floor":
    case "round":
    case "gt":
      return 0;
    case "select":
      return db === 0 && differentiate(c, v) === 0 ? 0 : ["select", a, db, differentiate(c, v)];
  }
}

const infix: Partial<Record<Fn, string>> = { add: "+", sub: "−", mul: "·", div: "/", gt: ">" };

/** The expression as people write it: `max(a, 0)`, `1 − y·y`. */
export function formatExpr(e: Expr): string {
  if (typeof e === "number") return `${e}`;
  if (typeof e === "string") return e;
  const [fn, ...args] = e;
  const sign = infix[fn];
  const inner = (x: Expr) =>
    Array.isArray(x) && (infix[x[0] as Fn] || x[0] === "neg")
      ? `(${formatExpr(x)})`
      : formatExpr(x);
  if (sign) return args.map(inner).join(` ${sign} `);
  return fn === "neg" ? `−${inner(args[0])}` : `${fn}(${args.map(formatExpr).join(", ")})`;
}
