// Elementwise ops: an expression f over one element of each input, with broadcasting as in NumPy.
// Adding one is a line here. df, where given, says the derivatives through the result y (tanh' = 1
// − y²), which is cheaper and lets kernels fuse; else they are derived.

import {
  apply,
  formatShape,
  hostArray,
  message,
  sameShape,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Node,
  type Op,
  type Value,
} from "@conv/tensor";
import { mustBeFloat, streamCost } from "./check.ts";
import { constantOf, full } from "./create.ts";
import {
  countFns,
  differentiate,
  erf as erfOf,
  evaluator,
  faultOf,
  fold,
  mul as times,
  slopesOfPow,
  substitute,
  variable,
  variables,
  type Expr,
  type Fn,
} from "./expr.ts";
import { broadcastStrides, broadcastToOp, sumTo } from "./reduce.ts";
import { walk } from "./walk.ts";

/** `f` over inputs a, b, c, …; `df`, one expression per input, over those and the result y. */
export interface ElementwiseParams {
  readonly f: Expr;
  readonly df?: readonly Expr[] | undefined;
}

/**
 * An op whose whole meaning is `params.f`: a kernel may fuse any of them by the expression alone.
 */
export interface ElementwiseOp extends Op<ElementwiseParams> {
  readonly elementwise: true;
}

/** Whether a node is elementwise; narrows it so that its expression can be read. */
export const isElementwise = (n: Node): n is Node<ElementwiseParams> => "elementwise" in n.op;

/**
 * The shape to which all shapes broadcast: sizes equal or 1, aligned at the end. Throws ShapeError.
 */
export function broadcastShape(op: string, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((s) => s[axis - rank + s.length] ?? 1);
    const size = sizes.find((v) => v !== 1) ?? 1;
    if (sizes.some((v) => v !== 1 && v !== size))
      throw shapeError(
        op,
        "shapes-not-broadcastable",
        message`shapes ${{ shapes: shapes.map(formatShape).join(" and ") }} do not broadcast`,
        axis,
      );
    return size;
  });
}

const ops = new Map<string, ElementwiseOp>();
/** Users may make names without end. */
const MOST_OPS = 1000;

/** The elementwise op of that name; the expression is in the parameters. */
export function elementwiseOp(name: string): ElementwiseOp {
  const known = ops.get(name);
  if (known) return known;
  const op: ElementwiseOp = {
    name,
    elementwise: true,
    infer(inputs, { f }) {
      inputs.forEach((s, i) => mustBeFloat(name, `input ${i}`, s));
      const fault = faultOf(
        f,
        inputs.map((_, i) => variable(i)),
      );
      if (fault) throw shapeError(name, "expression", fault);
      return [
        spec(
          broadcastShape(
            name,
            inputs.map((s) => s.shape),
          ),
        ),
      ];
    },
    reference(inputs, { f }) {
      const out = hostArray(op.infer(inputs, { f })[0]);
      const at = evaluator(
        f,
        inputs.map((_, i) => variable(i)),
      );
      const strides = inputs.map((x) => broadcastStrides(x.shape, out.shape));
      const values = inputs.map(() => 0);
      walk(out.shape, strides, (i, offsets) => {
        for (let j = 0; j < values.length; j++) values[j] = inputs[j].data[offsets[j]];
        out.data[i] = at(values);
      });
      return [out];
    },
    vjp(n, [ct]) {
      const [y] = n.outputs;
      return n.inputs.map((x, i) => {
        const d = n.params.df?.[i] ?? differentiate(n.params.f, variable(i));
        if (d === 0) return null;
        // What is the same for all terms of the sum is multiplied after it.
        const used = variables(d);
        const within = (v: Value, i: number) =>
          !used.has(variable(i)) || sameShape(broadcastShape(name, [v.shape, x.shape]), x.shape);
        const after = !used.has("y") && n.inputs.every(within);
        const sums = sumTo(after ? ct : weighted(`${name}Grad`, d, ct, n.inputs, y), x.shape);
        return after ? weighted(`${name}Grad`, d, sums, n.inputs, y) : sums;
      });
    },
    cost(inputs, { f }) {
      const [out] = op.infer(inputs, { f });
      return streamCost(inputs, out, countFns(f) * sizeOf(out.shape));
    },
    simplify: (inputs, params) =>
      withoutConstants(name, inputs, params) ?? withoutBroadcasts(name, inputs, params),
  };
  if (ops.size >= MOST_OPS) ops.clear();
  ops.set(name, op);
  return op;
}

/**
 * ct · d, where d is over the inputs (a, b, …) and result y of a node; takes only those that occur
 * in d.
 */
function weighted(name: string, d: Expr, ct: Value, inputs: readonly Value[], y: Value): Value {
  const used = variables(d);
  const operands: Value[] = [ct];
  const rename: Record<string, Expr> = {};
  [...inputs, y].forEach((v, i) => {
    const own = i < inputs.length ? variable(i) : "y";
    if (!used.has(own)) return;
    rename[own] = variable(operands.length);
    operands.push(v);
  });
  return map(name, times("a", substitute(d, rename)), operands);
}

/**
 * The node with inputs that are constant everywhere moved into the expression, or what it is when
 * nothing is left to do; else null.
 */
function withoutConstants(
  name: string,
  inputs: readonly Value[],
  { f, df }: ElementwiseParams,
): Value | null {
  const shape = broadcastShape(
    name,
    inputs.map((v) => v.shape),
  );
  const kept = inputs.filter((v) => constantOf(v) === null);
  if (
    kept.length > 0 &&
    !sameShape(
      broadcastShape(
        name,
        kept.map((v) => v.shape),
      ),
      shape,
    )
  )
    return null;
  let next = 0;
  const by = Object.fromEntries(
    inputs.map((v, i) => [variable(i), constantOf(v) ?? variable(next++)]),
  );
  const rest = fold(substitute(f, by));
  if (typeof rest === "number") return full(shape, rest);
  if (typeof rest === "string")
    return kept.find((v, i) => variable(i) === rest && sameShape(v.shape, shape)) ?? null;
  if (kept.length === inputs.length || kept.length === 0) return null;
  return map(
    name,
    rest,
    kept,
    df?.filter((_, i) => kept.includes(inputs[i])).map((d) => fold(substitute(d, by))),
  );
}

/** Applies any expression of the algebra to tensors: `map("hypot", ["sqrt", …], [x, y])`. */
export const map = <T extends Arg>(
  name: string,
  f: Expr,
  inputs: readonly T[],
  df?: readonly Expr[],
): T => apply(elementwiseOp(name), df ? { f, df } : { f }, inputs)[0];

/**
 * The node that repeats by itself what other nodes repeated for it; null where none did, or the
 * shape comes from them.
 */
function withoutBroadcasts(
  name: string,
  inputs: readonly Value[],
  { f, df }: ElementwiseParams,
): Value | null {
  const shapeOf = (list: readonly Value[]) =>
    broadcastShape(
      name,
      list.map((v) => v.shape),
    );
  const shape = shapeOf(inputs);
  const bare = inputs.reduce((list, v, i) => {
    const without = v.node?.op === broadcastToOp ? list.with(i, v.node.inputs[0]) : list;
    return sameShape(shapeOf(without), shape) ? without : list;
  }, inputs);
  return bare === inputs ? null : map(name, f, bare, df);
}

// Calls without effect: a bundler leaves out the functions that nobody imports.
/* @__NO_SIDE_EFFECTS__ */
const unary =
  (name: string, f: Expr, df?: Expr) =>
  <T extends Arg>(x: T): T =>
    map(name, f, [x], df === undefined ? undefined : [df]);
/* @__NO_SIDE_EFFECTS__ */
const binary =
  (name: string, fn: Fn) =>
  <T extends Arg>(a: T, b: T | number): T =>
    typeof b === "number" ? map(name, [fn, "a", b], [a]) : map(name, [fn, "a", "b"], [a, b]);

// The second operand may be a number: it becomes a constant of the expression.
export const add = binary("add", "add");
export const sub = binary("sub", "sub");
export const mul = binary("mul", "mul");
export const div = binary("div", "div");
/** Larger of two; a tie shares the gradient. */
export const maximum = binary("maximum", "max");
/** Smaller of two; a tie shares the gradient. */
export const minimum = binary("minimum", "min");
export const neg = unary("neg", ["neg", "a"]);
export const abs = unary("abs", ["abs", "a"]);
export const square = unary("square", ["mul", "a", "a"], ["mul", 2, "a"]);
export const sqrt = unary("sqrt", ["sqrt", "a"], ["div", 0.5, "y"]);
export const exp = unary("exp", ["exp", "a"], "y");
/** exp(x) − 1, accurate near 0. */
export const expm1 = unary("expm1", ["expm1", "a"]);
export const log = unary("log", ["log", "a"]);
/** log(1 + x), accurate near 0. */
export const log1p = unary("log1p", ["log1p", "a"]);
/** The largest whole number that is not greater; the gradient is 0. */
export const floor = unary("floor", ["floor", "a"]);
/** The nearest whole number; halves go to the even one, as in PyTorch. The gradient is 0. */
export const round = unary("round", ["round", "a"]);
/** The sine; x in radians, of any size. */
export const sin = unary("sin", ["sin", "a"]);
/** The cosine; x in radians, of any size. */
export const cos = unary("cos", ["cos", "a"]);
/** Whole exponents up to this are products: fast, and exact where the result is. */
const MOST_FACTORS = 4;
/**
 * xᵇ, as in PyTorch: 1 where b = 0 or x = 1, NaN where x < 0 and b is not whole. The gradient to x
 * is b·xᵇ⁻¹, 0 where b = 0; the gradient to b is xᵇ·log x, 0 where x = 0 and b ≥ 0. `exponent` is a
 * number, or a tensor that broadcasts with x.
 */
export function pow<T extends Arg>(x: T, exponent: T | number): T {
  if (typeof exponent !== "number")
    return map("pow", ["pow", "a", "b"], [x, exponent], slopesOfPow("a", "b", "y"));
  return exponent >= 2 && exponent <= MOST_FACTORS && Number.isInteger(exponent)
    ? map("pow", product("a", exponent), [x], [times(exponent, product("a", exponent - 1))])
    : map("pow", ["pow", "a", exponent], [x]);
}
/* @__NO_SIDE_EFFECTS__ */
const product = (e: Expr, factors: number): Expr =>
  factors === 1 ? e : ["mul", product(e, factors - 1), e];
/** max(x, 0), NaN of NaN; the gradient at 0 is 0, as in PyTorch, and at NaN 0 as well. */
export const relu = unary("relu", ["max", "a", 0], ["gt", "y", 0]);
/** min(max(x, 0), 6); the gradient at 0 and 6 is 0, as in PyTorch. */
export const relu6 = unary(
  "relu6",
  ["min", ["max", "a", 0], 6],
  ["mul", ["gt", "y", 0], ["gt", 6, "y"]],
);
export const sigmoid = unary(
  "sigmoid",
  ["div", 1, ["add", 1, ["exp", ["neg", "a"]]]],
  ["mul", "y", ["sub", 1, "y"]],
);
export const tanh = unary("tanh", ["tanh", "a"], ["sub", 1, ["mul", "y", "y"]]);

/** x where x > 0, else slope·x. */
export const leakyRelu = <T extends Arg>(x: T, slope = 0.01): T =>
  map("leakyRelu", ["select", ["gt", "a", 0], "a", ["mul", slope, "a"]], [x]);

/**
 * amplitude · tanh(scale · x); the defaults are LeCun's: f(±1) = ±1, with the largest second
 * derivative there.
 */
export const scaledTanh = <T extends Arg>(x: T, amplitude = 1.7159, scale = 2 / 3): T =>
  map(
    "scaledTanh",
    ["mul", amplitude, ["tanh", ["mul", scale, "a"]]],
    [x],
    [["mul", scale, ["sub", amplitude, ["div", ["mul", "y", "y"], amplitude]]]],
  );

/**
 * x where x > 0, else slope·x; the slope is a tensor that broadcasts (He, Zhang, Ren and Sun 2015).
 * The gradient at 0 is that of slope·x.
 */
export const prelu = <T extends Arg>(x: T, slope: T): T =>
  map(
    "prelu",
    ["select", ["gt", "a", 0], "a", ["mul", "b", "a"]],
    [x, slope],
    [
      ["select", ["gt", "a", 0], 1, "b"],
      ["min", "a", 0],
    ],
  );

// scale · (x where x > 0, else alpha·(eˣ − 1))
const exponential = <T extends Arg>(name: string, x: T, alpha: number, scale: number): T =>
  map(
    name,
    ["mul", scale, ["add", ["max", "a", 0], ["mul", alpha, ["expm1", ["min", "a", 0]]]]],
    [x],
    [["select", ["gt", "a", 0], scale, ["mul", scale * alpha, ["exp", "a"]]]],
  );

/** x where x > 0, else alpha·(eˣ − 1) (Clevert, Unterthiner and Hochreiter 2016). */
export const elu = <T extends Arg>(x: T, alpha = 1): T => exponential("elu", x, alpha, 1);
/**
 * scale·{@link elu} with the constants that keep mean 0 and variance 1 (Klambauer, Unterthiner,
 * Mayr and Hochreiter 2017).
 */
export const selu = <T extends Arg>(x: T): T =>
  exponential("selu", x, 1.6732632423543772, 1.0507009873554805);

// 1 / (1 + exp(−e))
/* @__NO_SIDE_EFFECTS__ */
const sigmoidOf = (e: Expr): Expr => ["div", 1, ["add", 1, ["exp", ["neg", e]]]];
/** x / (1 + e⁻ˣ), also called swish. */
export const silu = unary(
  "silu",
  ["div", "a", ["add", 1, ["exp", ["neg", "a"]]]],
  ["add", sigmoidOf("a"), ["mul", "y", ["sub", 1, sigmoidOf("a")]]],
);
/**
 * log(1 + exp(beta·x))/beta, computed as max(x, 0) + log1p(exp(−beta·|x|))/beta, which is accurate
 * for every x.
 */
export const softplus = <T extends Arg>(x: T, beta = 1): T =>
  map(
    "softplus",
    ["add", ["max", "a", 0], ["mul", 1 / beta, ["log1p", ["exp", ["mul", -beta, ["abs", "a"]]]]]],
    [x],
    [sigmoidOf(["mul", beta, "a"])],
  );
// With e = exp(min(x, 20)) and n = e·(e + 2): tanh(log(1 + e)) = n/(n + 2), which is 1 to all
// digits from 20 on.
const growth: Expr = ["exp", ["min", "a", 20]];
const mishRatio: Expr = ["mul", growth, ["add", growth, 2]];
const mishGate: Expr = ["div", mishRatio, ["add", mishRatio, 2]];
/** x · tanh(log(1 + eˣ)) (Misra 2019). */
export const mish = unary(
  "mish",
  ["mul", "a", mishGate],
  ["add", mishGate, ["mul", ["mul", "a", ["sub", 1, ["mul", mishGate, mishGate]]], sigmoidOf("a")]],
);
const gate: Expr = ["min", ["max", ["add", ["mul", 1 / 6, "a"], 0.5], 0], 1];
const within: Expr = ["mul", ["gt", "a", -3], ["gt", 3, "a"]];
/** min(max(x + 3, 0), 6)/6 (Howard et al. 2019); the gradient at ±3 is 0, as in PyTorch. */
export const hardSigmoid = unary("hardSigmoid", gate, ["mul", 1 / 6, within]);
/** x · min(max(x + 3, 0), 6)/6 (Howard et al. 2019); the gradient at −3 is 0, at 3 it is 1. */
export const hardSwish = unary(
  "hardSwish",
  ["mul", "a", gate],
  ["add", gate, ["mul", ["mul", 1 / 6, "a"], within]],
);

/** The error function, within 1.3e-7; its gradient is exact. */
export const erf = unary("erf", erfOf("a"), [
  "mul",
  2 / Math.sqrt(Math.PI),
  ["exp", ["neg", ["mul", "a", "a"]]],
]);
// Φ(x), the share of the normal distribution below x.
const below: Expr = ["mul", 0.5, ["add", 1, erfOf(["mul", Math.SQRT1_2, "a"])]];
const density: Expr = [
  "mul",
  1 / Math.sqrt(2 * Math.PI),
  ["exp", ["mul", -0.5, ["mul", "a", "a"]]],
];
const exactGelu = unary("gelu", ["mul", "a", below], ["add", below, ["mul", "a", density]]);
// With u = √(2/π)·(x + 0.044715·x³): x·(1 + tanh u)/2, whose derivative is (1 + tanh u)/2 + x·(1 −
// tanh² u)/2 · u′.
const bent: Expr = [
  "tanh",
  ["mul", Math.sqrt(2 / Math.PI), ["mul", "a", ["add", 1, ["mul", 0.044715, ["mul", "a", "a"]]]]],
];
const slopeOfBent: Expr = [
  "mul",
  Math.sqrt(2 / Math.PI),
  ["add", 1, ["mul", 3 * 0.044715, ["mul", "a", "a"]]],
];
const halfOpen: Expr = ["mul", 0.5, ["add", 1, bent]];
const tanhGelu = unary(
  "geluTanh",
  ["mul", "a", halfOpen],
  [
    "add",
    halfOpen,
    ["mul", ["mul", ["mul", 0.5, "a"], ["sub", 1, ["mul", bent, bent]]], slopeOfBent],
  ],
);
/**
 * x · Φ(x), Φ the normal distribution: by the error function, or by the tanh of Hendrycks and
 * Gimpel 2016, as PyTorch's `approximate`.
 */
export const gelu = <T extends Arg>(x: T, approximate: "none" | "tanh" = "none"): T =>
  approximate === "tanh" ? tanhGelu(x) : exactGelu(x);

/** x·scale + shift with constants. */
export const affine = <T extends Arg>(x: T, scale: number, shift = 0): T =>
  map("affine", ["add", ["mul", scale, "a"], shift], [x], [scale]);
