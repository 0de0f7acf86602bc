// Summation over chosen axes and its adjoint, broadcasting: each is the gradient of the other.

import {
  apply,
  formatShape,
  hostArray,
  message,
  sameShape,
  scope,
  shapeError,
  sizeOf,
  spec,
  stridesOf,
  Value,
  type Arg,
  type Op,
  type Spec,
} from "@conv/tensor";
import { mustBeAxis, mustBeFloat, resolveAxis, streamCost } from "./check.ts";
import { constantOf, full, type ShapeParams } from "./create.ts";
import { reshape } from "./move.ts";
import { walk } from "./walk.ts";

export interface ReduceParams {
  /** Ascending, without repetition. Reduced axes stay with size 1. */
  readonly axes: readonly number[];
}

/** Checks a reduction and returns its output: every reduced axis has size 1. */
export function reduceSpec(op: string, x: Spec, axes: readonly number[]): Spec {
  mustBeFloat(op, "input", x);
  axes.forEach((axis, i) => {
    mustBeAxis(op, axis, x.shape.length);
    if (i > 0 && axes[i - 1] >= axis)
      throw shapeError(
        op,
        "axes-order",
        message`axes ${{ axes: axes.join(",") }} are not ascending`,
      );
  });
  return spec(x.shape.map((size, a) => (axes.includes(a) ? 1 : size)));
}

/**
 * Strides by which a tensor of `shape` is read along the axes of `into`, 0 where it is repeated.
 */
export function broadcastStrides(shape: readonly number[], into: readonly number[]): number[] {
  const strides = stridesOf(shape);
  return into.map((_, axis) => {
    const own = axis - into.length + shape.length;
    return own >= 0 && shape[own] !== 1 ? strides[own] : 0;
  });
}

/** y = Σ x over `axes`, which stay with size 1; 0 over an empty axis. */
export const sumOp: Op<ReduceParams> = {
  name: "sum",
  infer: ([x], { axes }) => [reduceSpec("sum", x, axes)],
  reference([x], { axes }) {
    const y = hostArray(reduceSpec("sum", x, axes));
    walk(x.shape, [broadcastStrides(y.shape, x.shape)], (at, [to]) => (y.data[to] += x.data[at]));
    return [y];
  },
  vjp: ({ inputs: [x] }, [ct]) => [broadcastTo(ct, x.shape)],
  cost: ([x], { axes }) => reduceCost(x, reduceSpec("sum", x, axes)),
  simplify([x], { axes }) {
    if (axes.every((a) => x.shape[a] === 1)) return x;
    const constant = constantOf(x);
    const y = reduceSpec("sum", x.spec, axes);
    return constant === null
      ? null
      : full(y.shape, constant * axes.reduce((count, a) => count * x.shape[a], 1));
  },
};

/** One operation for each element but the first of every output. */
export const reduceCost = (x: Spec, y: Spec) =>
  streamCost([x], y, Math.max(0, sizeOf(x.shape) - sizeOf(y.shape)));

/** One axis, a list of axes, or all; negative counts from the end. */
export type Axes = number | readonly number[];

/**
 * Axes as a reduction takes them. Throws ShapeError for one that there is not, or that is named
 * twice.
 */
export function resolveAxes<T extends Arg>(
  op: string,
  x: T,
  axes: Axes = x.shape.map((_, a) => a),
): number[] {
  const list = (typeof axes === "number" ? [axes] : axes)
    .map((a) => resolveAxis(op, a, x))
    .toSorted((a, b) => a - b);
  if (new Set(list).size < list.length)
    throw shapeError(
      op,
      "axis-twice",
      message`axes ${{ axes: list.join(",") }} name one axis twice`,
    );
  return list;
}

/** Applies a reduction, and drops the reduced axes unless `keepDims`. */
export function reduce<T extends Arg>(
  op: Op<ReduceParams>,
  x: T,
  axes: Axes | undefined,
  keepDims: boolean,
): T {
  const list = resolveAxes(op.name, x, axes);
  return scope(() => {
    const [y] = apply(op, { axes: list }, [x]);
    return keepDims
      ? y
      : reshape(
          y,
          x.shape.filter((_, a) => !list.includes(a)),
        );
  });
}

/** Sum over axes (default: all, giving a scalar). */
export const sum = <T extends Arg>(x: T, axes?: Axes, keepDims = false): T =>
  reduce(sumOp, x, axes, keepDims);

/**
 * x → y of `shape`: x repeated along axes where its size is 1, and along new leading axes. Any
 * dtype.
 */
export const broadcastToOp: Op<ShapeParams> = {
  name: "broadcastTo",
  infer([x], { shape }) {
    mustBroadcast("broadcastTo", x.shape, shape);
    return [spec(shape, x.dtype)];
  },
  reference([x], { shape }) {
    const y = hostArray(spec(shape, x.dtype));
    walk(shape, [broadcastStrides(x.shape, shape)], (at, [from]) => (y.data[at] = x.data[from]));
    return [y];
  },
  vjp: ({ inputs: [x] }, [ct]) => [sumTo(ct, x.shape)],
  cost: ([x], { shape }) => streamCost([x], spec(shape, x.dtype)),
  simplify([x], { shape }) {
    if (sizeOf(x.shape) === sizeOf(shape)) return reshape(x, shape);
    const constant = constantOf(x);
    if (constant !== null) return full(shape, constant);
    return x.node?.op === broadcastToOp ? broadcastTo(x.node.inputs[0], shape) : null;
  },
};

/**
 * Repeats x to `shape`, aligned at the last axis. A traced value that has the shape is returned as
 * it is.
 */
export const broadcastTo = <T extends Arg>(x: T, shape: readonly number[]): T =>
  x instanceof Value && sameShape(x.shape, shape)
    ? x
    : apply(broadcastToOp, { shape: [...shape] }, [x])[0];

/**
 * The adjoint of broadcasting `shape` to the shape of x: sums over the axes along which it is
 * repeated.
 */
export function sumTo<T extends Arg>(x: T, shape: readonly number[]): T {
  mustBroadcast("sumTo", shape, x.shape);
  const added = x.shape.length - shape.length;
  const axes = x.shape.flatMap((size, a) =>
    a < added || (shape[a - added] === 1 && size !== 1) ? [a] : [],
  );
  return scope(() => reshape(axes.length ? apply(sumOp, { axes }, [x])[0] : x, shape));
}

function mustBroadcast(op: string, small: readonly number[], large: readonly number[]): void {
  const added = large.length - small.length;
  if (added < 0 || small.some((size, a) => size !== 1 && size !== large[a + added]))
    throw shapeError(
      op,
      "shape-not-broadcastable",
      message`shape ${{ from: formatShape(small) }} does not broadcast to ${{ to: formatShape(large) }}`,
    );
}
