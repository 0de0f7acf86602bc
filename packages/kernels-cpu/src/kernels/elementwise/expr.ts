// Expressions of elementwise ops as WebAssembly, four lanes at a time.

import type { Expr, Fn } from "@conv/ops";
import { exactly } from "@conv/tensor";
import type { Caps } from "../../compile/caps.ts";
import { f32x4, v128, vec, type Code, type Local, type Operand } from "../../wasm/asm.ts";
import { cos, exp, log, log1p, pow, sin, tanh } from "../../wasm/math.ts";
import type { Func } from "../../wasm/module.ts";

/**
 * The larger or smaller of x and a number, NaN where x is NaN. It differs in one case: max(−0, 0)
 * is −0. Depthwise convolution with relu6 ran twice as fast with it.
 */
const limited =
  (fn: "max" | "min"): Emit =>
  (_f, _caps, a, b) => {
    const [x, limit] = typeof a === "number" ? [b, a] : [a, b];
    return f32x4[typeof limit === "number" && !Number.isNaN(limit) ? (`p${fn}` as const) : fn](
      x,
      limit,
    );
  };

type Emit = (f: Func, caps: Caps, a: Operand, b: Operand, c: Operand) => Code | Local;
/** Functions of one instruction, which takes one or two operands. */
type Simple = "add" | "sub" | "mul" | "div" | "neg" | "abs" | "sqrt" | "floor";

const TRANSCENDENTAL: Partial<Record<Fn, Emit>> = {
  exp: (f, caps, a) => exp(f, caps, a),
  expm1: (f, caps, a) => exp(f, caps, a, true),
  log,
  log1p,
  tanh,
  pow,
  sin,
  cos,
};

/** All functions of more than one instruction. */
const SPECIAL: Partial<Record<Fn, Emit>> = {
  ...TRANSCENDENTAL,
  gt: (_f, _caps, a, b) => v128.and(f32x4.gt(a, b), 1),
  round: (_f, _caps, a) => f32x4.nearest(a),
  select: (_f, _caps, a, b, c) => v128.bitselect(b, c, f32x4.ne(a, 0)),
  max: limited("max"),
  min: limited("min"),
};

/** Whether an expression contains a function that is computed by polynomials. */
export function isTranscendental(e: Expr): boolean {
  if (typeof e !== "object") return false;
  const [fn, ...args] = e;
  return fn in TRANSCENDENTAL || args.some(isTranscendental);
}

/**
 * Emits an expression over vectors and returns where its value is. Equal parts are computed once
 * for each `shared` map.
 */
export function emitExpr(
  f: Func,
  caps: Caps,
  e: Expr,
  values: Readonly<Record<string, Operand>>,
  shared = new Map<string, Local>(),
): Operand {
  if (typeof e === "number") return e;
  if (typeof e === "string") {
    const value = values[e];
    if (value === undefined) throw new Error(`kernels-cpu: expression uses unknown variable ${e}`);
    return value;
  }
  const key = exactly(e);
  const known = shared.get(key);
  if (known) return known;
  const [fn, ...args] = e;
  const [a, b, c] = args.map((x) => emitExpr(f, caps, x, values, shared)) as [
    Operand,
    Operand,
    Operand,
  ];
  const simple: (a: Operand, b: Operand) => Code = f32x4[fn as Simple];
  const value = SPECIAL[fn]?.(f, caps, a, b, c) ?? simple(a, b);
  const local = "index" in value ? value : f.let("v128", fn, vec(value));
  shared.set(key, local);
  return local;
}
