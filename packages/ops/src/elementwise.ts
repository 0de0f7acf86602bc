// Elementwise ops: an expression f over one element of each input, with broadcasting as in NumPy. Adding one is a line here.
// df, where given, says the derivatives through the result y (tanh' = 1 − y²), which is cheaper and lets kernels fuse; else they are derived.

import { apply, formatShape, hostArray, sameShape, shapeError, sizeOf, spec, type Arg, type Node, type Op, type Value } from "@conv/tensor";
import { mustBeFloat, streamCost } from "./check.ts";
import { constantOf, full } from "./create.ts";
import { constants, countFns, differentiate, evaluator, fold, mul as times, substitute, variable, variables, type Expr, type Fn } from "./expr.ts";
import { broadcastStrides, sumTo } from "./reduce.ts";
import { walk } from "./walk.ts";

/** `f` over inputs a, b, c, …; `df`, one expression per input, over those and the result y. */
export interface ElementwiseParams {
  readonly f: Expr;
  readonly df?: readonly Expr[];
}

/** An op whose whole meaning is `params.f`: a kernel may fuse any of them by the expression alone. */
export interface ElementwiseOp extends Op<ElementwiseParams> {
  readonly elementwise: true;
}

/** Whether a node is elementwise; narrows it so that its expression can be read. */
export const isElementwise = (n: Node): n is Node<ElementwiseParams> => "elementwise" in n.op;

/** The shape to which all shapes broadcast: sizes equal or 1, aligned at the end. Throws ShapeError. */
export function broadcastShape(op: string, shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((s) => s[axis - rank + s.length] ?? 1);
    const size = sizes.find((v) => v !== 1) ?? 1;
    if (sizes.some((v) => v !== 1 && v !== size)) throw shapeError(op, `shapes ${shapes.map(formatShape).join(" and ")} do not broadcast`, axis);
    return size;
  });
}

const ops = new Map<string, ElementwiseOp>();

/** The elementwise op of that name; the expression is in the parameters. */
export function elementwiseOp(name: string): ElementwiseOp {
  const known = ops.get(name);
  if (known) return known;
  const op: ElementwiseOp = {
    name,
    elementwise: true,
    infer(inputs, { f }) {
      inputs.forEach((s, i) => mustBeFloat(name, `input ${i}`, s));
      for (const c of constants(f)) if (!Number.isFinite(c)) throw shapeError(name, `constant ${c} is not finite`);
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
        return sumTo(weighted(`${name}Grad`, d, ct, n.inputs, y), x.shape);
      });
    },
    cost(inputs, { f }) {
      const [out] = op.infer(inputs, { f });
      return streamCost(inputs, out, countFns(f) * sizeOf(out.shape));
    },
    simplify: (inputs, params) => withoutConstants(name, inputs, params),
  };
  ops.set(name, op);
  return op;
}

/** ct · d, where d is over the inputs (a, b, …) and result y of a node; takes only those that occur in d. */
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

/** The node with inputs that are constant everywhere moved into the expression, or what it is when nothing is left to do; else null. */
function withoutConstants(name: string, inputs: readonly Value[], { f, df }: ElementwiseParams): Value | null {
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
  const by = Object.fromEntries(inputs.map((v, i) => [variable(i), constantOf(v) ?? variable(next++)]));
  const rest = fold(substitute(f, by));
  if (typeof rest === "number") return full(shape, rest);
  if (typeof rest === "string") return kept.find((v, i) => variable(i) === rest && sameShape(v.shape, shape)) ?? null;
  if (kept.length === inputs.length || kept.length === 0) return null;
  return map(
    name,
    rest,
    kept,
    df?.filter((_, i) => kept.includes(inputs[i])).map((d) => fold(substitute(d, by))),
  );
}

/** Applies any expression of the algebra to tensors: `map("hypot", ["sqrt", …], [x, y])`. */
export const map = <T extends Arg>(name: string, f: Expr, inputs: readonly T[], df?: readonly Expr[]): T =>
  apply(elementwiseOp(name), df ? { f, df } : { f }, inputs)[0];

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
export const log = unary("log", ["log", "a"]);
/** max(x, 0); the gradient at 0 is 0, as in PyTorch. */
export const relu = unary("relu", ["max", "a", 0], ["gt", "y", 0]);
/** min(max(x, 0), 6); the gradient at 0 and 6 is 0, as in PyTorch. */
export const relu6 = unary("relu6", ["min", ["max", "a", 0], 6], ["mul", ["gt", "y", 0], ["gt", 6, "y"]]);
export const sigmoid = unary("sigmoid", ["div", 1, ["add", 1, ["exp", ["neg", "a"]]]], ["mul", "y", ["sub", 1, "y"]]);
export const tanh = unary("tanh", ["tanh", "a"], ["sub", 1, ["mul", "y", "y"]]);

/** x where x > 0, else slope·x. */
export const leakyRelu = <T extends Arg>(x: T, slope = 0.01): T => map("leakyRelu", ["select", ["gt", "a", 0], "a", ["mul", slope, "a"]], [x]);

/** amplitude · tanh(scale · x); the defaults are LeCun's: f(±1) = ±1, with the largest second derivative there. */
export const scaledTanh = <T extends Arg>(x: T, amplitude = 1.7159, scale = 2 / 3): T =>
  map(
    "scaledTanh",
    ["mul", amplitude, ["tanh", ["mul", scale, "a"]]],
    [x],
    [["mul", scale, ["sub", amplitude, ["div", ["mul", "y", "y"], amplitude]]]],
  );

/** x·scale + shift with constants. */
export const affine = <T extends Arg>(x: T, scale: number, shift = 0): T => map("affine", ["add", ["mul", scale, "a"], shift], [x], [scale]);
