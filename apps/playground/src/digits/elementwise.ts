// The operation of a node on one value, recognized from its expression: an activation, a bias,
// batch norm with running statistics, or any other expression; and the same in numbers, step by
// step, with a bound on float32 rounding errors.

import {
  elu,
  evaluator,
  formatExpr,
  gelu,
  hardSigmoid,
  hardSwish,
  isElementwise,
  leakyRelu,
  relu,
  relu6,
  scaledTanh,
  selu,
  sigmoid,
  silu,
  square,
  substitute,
  tanh,
  variable,
  type ElementwiseParams,
  type Expr,
} from "@conv/ops";
import { input, spec, type Node, type Value } from "@conv/tensor";
import { broadcastIndex, origin, type Place } from "./routes.ts";

/** Half the distance from 1 to the next float32: the relative error of one rounding. */
export const UNIT = 2 ** -24;
/**
 * Rounding errors of one function in an expression; tanh, exp and division have a few on GPUs.
 */
const PER_FUNCTION = 8;

const activations = {
  relu,
  relu6,
  leakyRelu,
  sigmoid,
  tanh,
  scaledTanh,
  silu,
  elu,
  selu,
  gelu,
  hardSigmoid,
  hardSwish,
} as const;
export type Activation = keyof typeof activations;

/** The kind of a step, for its label. */
export type StepKind =
  | { readonly kind: "activation"; readonly name: Activation }
  /** + a parameter. */
  | { readonly kind: "bias" }
  /** × a parameter. */
  | { readonly kind: "scale" }
  | { readonly kind: "batchNorm" }
  /** The sum of values at the same position. */
  | { readonly kind: "sum" }
  | { readonly kind: "times"; readonly factor: number }
  | { readonly kind: "negate" }
  /** Any other expression of x and, where there are several inputs, of b, c, … */
  | { readonly kind: "expression"; readonly text: string };

/** One line of a computation: operation, operand and result. */
export interface Step {
  readonly sign: "add" | "sub" | "mul" | "div" | "apply";
  /** The kind of the operand, or the function that is applied. */
  readonly what:
    | "bias"
    | "weight"
    | "mean"
    | "deviation"
    | "gamma"
    | "beta"
    | "factor"
    | "negate"
    | "expSum"
    | Activation
    | { readonly text: string };
  readonly operand: number | null;
  readonly result: number;
}

/** A number, and a bound on its float32 rounding error. */
export interface Bounded {
  readonly value: number;
  readonly error: number;
}

const expressionOf = (v: Value): Expr => (v.node && isElementwise(v.node) ? v.node.params.f : 0);
const x1 = input(spec([1]));
const named = Object.entries(activations).map(
  ([name, fn]) => [name, JSON.stringify(expressionOf(fn(x1)))] as const,
);
const squared = JSON.stringify(expressionOf(square(x1)));

/** Whether the node squares its input. */
export const isSquare = (n: Node): boolean =>
  isElementwise(n) && JSON.stringify(n.params.f) === squared;

const isLeaf = (e: Expr): e is number | string => typeof e === "number" || typeof e === "string";

type Found = Readonly<Record<string, Expr>>;

/**
 * Matches an expression with a pattern, in which names that begin with `?` are variables; null
 * where it does not match.
 */
function match(pattern: Expr, e: Expr, found: Found = {}): Found | null {
  if (typeof pattern === "string" && pattern.startsWith("?")) {
    if (!(pattern in found)) return { ...found, [pattern]: e };
    return JSON.stringify(found[pattern]) === JSON.stringify(e) ? found : null;
  }
  if (isLeaf(pattern) || isLeaf(e)) return pattern === e ? found : null;
  const [[fn, ...parts], [other, ...own]] = [pattern, e];
  return fn === other && parts.length === own.length
    ? parts.reduce<Found | null>((so, part, i) => so && match(part, own[i], so), found)
    : null;
}

/** The inputs of a node that a match refers to. */
function inputs(n: Node<ElementwiseParams>, pattern: Expr): Readonly<Record<string, Value>> | null {
  const found = match(pattern, n.params.f);
  if (!found) return null;
  const named: Record<string, Value> = {};
  for (const [name, e] of Object.entries(found)) {
    const at = n.inputs.findIndex((_, i) => variable(i) === e);
    if (at < 0) return null;
    named[name] = n.inputs[at];
  }
  return named;
}

/** The node behind reshapes of its value. */
function maker(value: Value): Node<ElementwiseParams> | null {
  const { node } = origin({ value, index: 0 }).value;
  return node && isElementwise(node) ? node : null;
}

/**
 * The parts of (x − mean) / √(variance + eps) · gamma + beta; gamma and beta where they exist.
 */
interface Norm {
  readonly x: Value;
  readonly mean: Value;
  readonly variance: Value;
  readonly eps: number;
  readonly gamma: Value | null;
  readonly beta: Value | null;
}

/**
 * Batch norm with running statistics, in the form in which it is computed: scale·x + shift, where
 * scale = gamma / √(variance + eps), shift = beta − mean·scale.
 */
function normOf(n: Node<ElementwiseParams>): Norm | null {
  const line = inputs(n, ["add", ["mul", "?scale", "?x"], "?shift"]);
  const [scale, shift] = [line && maker(line["?scale"]), line && maker(line["?shift"])];
  if (!line || !scale || !shift) return null;
  const eps = match(["div", "?gamma", ["sqrt", ["add", "?variance", "?eps"]]], scale.params.f);
  if (!eps || typeof eps["?eps"] !== "number") return null;
  const divided = inputs(scale, ["div", "?gamma", ["sqrt", ["add", "?variance", eps["?eps"]]]]);
  const plain = divided
    ? null
    : inputs(scale, ["div", 1, ["sqrt", ["add", "?variance", eps["?eps"]]]]);
  const moved =
    inputs(shift, ["sub", "?beta", ["mul", "?mean", "?scale"]]) ??
    inputs(shift, ["neg", ["mul", "?mean", "?scale"]]);
  const variance = (divided ?? plain)?.["?variance"];
  if (!variance || !moved || moved["?scale"].node !== scale) return null;
  return {
    x: line["?x"],
    mean: moved["?mean"],
    variance,
    eps: eps["?eps"],
    gamma: divided?.["?gamma"] ?? null,
    beta: moved["?beta"] ?? null,
  };
}

/** The operation of a node, for the label of its stage. */
export function stepOf(n: Node<ElementwiseParams>, flows: (v: Value) => boolean): StepKind {
  const { f } = n.params;
  const text = JSON.stringify(f);
  const activation = named.find(([, own]) => own === text)?.[0];
  if (activation) return { kind: "activation", name: activation as Activation };
  if (normOf(n)) return { kind: "batchNorm" };
  const [a, b] = n.inputs;
  if (b && match(["add", "?a", "?b"], f)) return { kind: flows(a) && flows(b) ? "sum" : "bias" };
  if (b && match(["mul", "?a", "?b"], f) && !(flows(a) && flows(b))) return { kind: "scale" };
  if (match(["neg", "a"], f)) return { kind: "negate" };
  const factor = factorOf(f);
  return factor === null ? { kind: "expression", text: inWords(f) } : { kind: "times", factor };
}

/** An expression of x, in mathematical notation. */
const inWords = (f: Expr): string => formatExpr(substitute(f, { a: "x" }));

/**
 * The factor of an expression that multiplies its one input; null for all others.
 */
function factorOf(f: Expr): number | null {
  const found =
    match(["add", ["mul", "?k", "a"], 0], f) ??
    match(["mul", "?k", "a"], f) ??
    match(["mul", "a", "?k"], f);
  return typeof found?.["?k"] === "number" ? found["?k"] : null;
}

/** The largest magnitude of a subexpression, and the number of functions. */
function sizeOfExpr(
  f: Expr,
  names: readonly string[],
  values: readonly number[],
): { size: number; functions: number } {
  const own = Math.abs(evaluator(f, names)(values));
  if (isLeaf(f)) return { size: own, functions: 0 };
  const [, ...args] = f;
  const parts = args.map((part) => sizeOfExpr(part, names, values));
  return {
    size: Math.max(own, ...parts.map((p) => p.size)),
    functions: 1 + parts.reduce((sum, p) => sum + p.functions, 0),
  };
}

/**
 * The value of an expression of numbers with error bounds, and a bound on its error. Both ends of
 * each error are tried.
 */
export function applyTo(f: Expr, operands: readonly Bounded[]): Bounded {
  const names = operands.map((_, i) => variable(i));
  const at = evaluator(f, names);
  const middle = operands.map((o) => o.value);
  const value = at(middle);
  let error = 0;
  operands.forEach((o, i) => {
    if (o.error === 0) return;
    error += Math.max(
      ...[-o.error, o.error].map((d) => Math.abs(at(middle.with(i, o.value + d)) - value)),
    );
  });
  const { size, functions } = sizeOfExpr(f, names, middle);
  return { value, error: error + PER_FUNCTION * functions * UNIT * size };
}

/** Reads a parameter, or a value that is computed from parameters alone. */
export type Constant = (place: Place) => number;

/**
 * Applies a node to `x`, the value of its input `chain`, at one place of its output: the lines of
 * its formula, and the result. All other inputs are constants.
 */
export function stepsOf(
  n: Node<ElementwiseParams>,
  chain: number,
  place: Place,
  x: Bounded,
  constant: Constant,
): { steps: Step[]; result: Bounded } {
  const read = (v: Value) =>
    constant({ value: v, index: broadcastIndex(place.index, v.shape, place.value.shape) });
  const norm = normOf(n);
  if (norm && norm.x === n.inputs[chain]) return normSteps(norm, place, x, constant);
  const operands = n.inputs.map((v, i): Bounded =>
    i === chain ? x : { value: read(v), error: 0 },
  );
  const result = applyTo(n.params.f, operands);
  const kind = stepOf(n, (v) => v === n.inputs[chain]);
  const operand = operands.find((_, i) => i !== chain)?.value ?? null;
  const step = ((): Omit<Step, "result"> => {
    switch (kind.kind) {
      case "activation":
        return { sign: "apply", what: kind.name, operand: null };
      case "bias":
        return { sign: "add", what: "bias", operand };
      case "scale":
        return { sign: "mul", what: "weight", operand };
      case "times":
        return { sign: "mul", what: "factor", operand: kind.factor };
      case "negate":
        return { sign: "apply", what: "negate", operand: null };
      default:
        return { sign: "apply", what: { text: inWords(n.params.f) }, operand };
    }
  })();
  return { steps: [{ ...step, result: result.value }], result };
}

/** (x − mean) / √(variance + eps) · gamma + beta, line by line. */
function normSteps(norm: Norm, place: Place, x: Bounded, constant: Constant) {
  // The statistics have one number for each channel.
  const channel =
    Math.floor(place.index / (place.value.shape.slice(2).reduce((a, b) => a * b, 1) || 1)) %
    place.value.shape[1];
  const of = (value: Value | null, otherwise: number) =>
    value ? constant({ value, index: channel }) : otherwise;
  const [mean, gamma, beta] = [of(norm.mean, 0), of(norm.gamma, 1), of(norm.beta, 0)];
  const deviation = Math.sqrt(of(norm.variance, 1) + norm.eps);
  const steps: Step[] = [];
  let value = x.value;
  const step = (sign: Step["sign"], what: Step["what"], operand: number, result: number) =>
    steps.push({ sign, what, operand, result: (value = result) });
  step("sub", "mean", mean, value - mean);
  step("div", "deviation", deviation, value / deviation);
  if (norm.gamma) step("mul", "gamma", gamma, value * gamma);
  if (norm.beta) step("add", "beta", beta, value + beta);
  // Computed as scale·x + shift: its roundings are relative to these terms, which can be larger
  // than their sum.
  const scale = Math.abs(gamma / deviation);
  const error =
    scale * x.error +
    2 * PER_FUNCTION * UNIT * (scale * (Math.abs(x.value) + Math.abs(mean)) + Math.abs(beta));
  return { steps, result: { value, error } };
}
