// Elementwise ops: an expression f over one element of each input, with broadcasting as in NumPy. Adding one is a line here.
// df, where given, says the derivatives through the result y (tanh' = 1 − y²), which is cheaper and lets kernels fuse; else they are derived.

import { apply, bytesOf, formatShape, hostArray, shapeError, sizeOf, spec, stridesOf, type Arg, type Node, type Op, type Value } from "@conv/tensor";
import { countFns, differentiate, evaluator, mul as times, substitute, variable, variables, type Expr } from "./expr.ts";
import { sumTo } from "./reduce.ts";

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

/** Strides by which a tensor of `shape` is read along the axes of `into`, 0 where it is repeated. */
export function broadcastStrides(shape: readonly number[], into: readonly number[]): number[] {
  const strides = stridesOf(shape);
  return into.map((_, axis) => {
    const own = axis - into.length + shape.length;
    return own >= 0 && shape[own] !== 1 ? strides[own]! : 0;
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
    infer(inputs) {
      inputs.forEach((s, i) => {
        if (s.dtype !== "float32") throw shapeError(name, `input ${i} is ${s.dtype}, must be float32`);
      });
      return [spec(broadcastShape(name, inputs.map((s) => s.shape)))];
    },
    reference(inputs, { f }) {
      const out = hostArray(op.infer(inputs, { f })[0]!);
      const strides = inputs.map((x) => broadcastStrides(x.shape, out.shape));
      const at = evaluator(f, inputs.map((_, i) => variable(i)));
      const own = stridesOf(out.shape);
      for (let i = 0; i < out.data.length; i++) {
        const values = inputs.map((x, j) => x.data[own.reduce((sum, s, axis) => sum + (Math.floor(i / s) % out.shape[axis]!) * strides[j]![axis]!, 0)]!);
        out.data[i] = at(values);
      }
      return [out];
    },
    vjp(n, [ct]) {
      const [y] = n.outputs;
      return n.inputs.map((x, i) => {
        const d = n.params.df?.[i] ?? differentiate(n.params.f, variable(i));
        if (d === 0) return null;
        return sumTo(weighted(`${name}Grad`, d, ct!, n.inputs, y!), x.shape);
      });
    },
    cost(inputs, { f }) {
      const [out] = op.infer(inputs, { f });
      return { macs: 0, flops: countFns(f) * sizeOf(out!.shape), bytesRead: inputs.reduce((sum, s) => sum + bytesOf(s), 0), bytesWritten: bytesOf(out!) };
    },
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

/** Applies any expression of the algebra to tensors: `map("hypot", ["sqrt", …], [x, y])`. */
export const map = <T extends Arg>(name: string, f: Expr, inputs: readonly T[], df?: readonly Expr[]): T =>
  apply(elementwiseOp(name), df ? { f, df } : { f }, inputs)[0]!;

const unary =
  (name: string, f: Expr, df?: Expr) =>
  <T extends Arg>(x: T): T =>
    map(name, f, [x], df === undefined ? undefined : [df]);
const binary =
  (name: string, f: Expr) =>
  <T extends Arg>(a: T, b: T): T =>
    map(name, f, [a, b]);

export const add = binary("add", ["add", "a", "b"]);
export const sub = binary("sub", ["sub", "a", "b"]);
export const mul = binary("mul", ["mul", "a", "b"]);
export const div = binary("div", ["div", "a", "b"]);
/** Larger of two; a tie shares the gradient. */
export const maximum = binary("maximum", ["max", "a", "b"]);
/** Smaller of two; a tie shares the gradient. */
export const minimum = binary("minimum", ["min", "a", "b"]);
export const neg = unary("neg", ["neg", "a"]);
export const abs = unary("abs", ["abs", "a"]);
export const square = unary("square", ["mul", "a", "a"], ["mul", 2, "a"]);
export const sqrt = unary("sqrt", ["sqrt", "a"], ["div", 0.5, "y"]);
export const exp = unary("exp", ["exp", "a"], "y");
export const log = unary("log", ["log", "a"]);
/** max(x, 0); the gradient at 0 is 0, as in PyTorch. */
export const relu = unary("relu", ["max", "a", 0], ["gt", "y", 0]);
export const sigmoid = unary("sigmoid", ["div", 1, ["add", 1, ["exp", ["neg", "a"]]]], ["mul", "y", ["sub", 1, "y"]]);
export const tanh = unary("tanh", ["tanh", "a"], ["sub", 1, ["mul", "y", "y"]]);

/** x where x > 0, else slope·x. */
export const leakyRelu = <T extends Arg>(x: T, slope = 0.01): T => map("leakyRelu", ["select", ["gt", "a", 0], "a", ["mul", slope, "a"]], [x]);

/** amplitude · tanh(scale · x); the defaults are LeCun's: f(±1) = ±1, with the largest second derivative there. */
export const scaledTanh = <T extends Arg>(x: T, amplitude = 1.7159, scale = 2 / 3): T =>
  map("scaledTanh", ["mul", amplitude, ["tanh", ["mul", scale, "a"]]], [x], [["mul", scale, ["sub", amplitude, ["div", ["mul", "y", "y"], amplitude]]]]);

/** x·scale + shift with constants. */
export const affine = <T extends Arg>(x: T, scale: number, shift = 0): T => map("affine", ["add", ["mul", scale, "a"], shift], [x], [scale]);
