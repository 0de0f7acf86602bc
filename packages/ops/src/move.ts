// Ops that move elements and change none: reshape, transpose, pad, slice, concat. Any dtype; each
// has the next as its gradient.

import {
  apply,
  bytesOf,
  formatShape,
  hostArray,
  isOp,
  message,
  sameShape,
  shapeError,
  sizeOf,
  spec,
  stridesOf,
  Value,
  type Arg,
  type Op,
} from "@conv/tensor";
import { mustBeAxis, mustFitAxes, resolveAxis, streamCost } from "./check.ts";
import { constantOf, full, type ShapeParams } from "./create.ts";
import { walk } from "./walk.ts";

/** x → y with the same elements in the same order. Costs nothing: tensors are contiguous. */
export const reshapeOp: Op<ShapeParams> = {
  name: "reshape",
  infer([x], { shape }) {
    const y = spec(shape, x.dtype);
    if (sizeOf(shape) !== sizeOf(x.shape))
      throw shapeError(
        "reshape",
        "element-count",
        message`${{ from: formatShape(x.shape) }} holds ${{ has: sizeOf(x.shape) }} elements, ${{ to: formatShape(shape) }} holds ${{ needs: sizeOf(shape) }}`,
      );
    return [y];
  },
  reference: ([x], { shape }) => [hostArray(spec(shape, x.dtype), x.data)],
  vjp: ({ inputs: [x] }, [ct]) => [reshape(ct, x.shape)],
  cost: () => ({ macs: 0, flops: 0, bytesRead: 0, bytesWritten: 0 }),
  simplify([x], { shape }) {
    if (sameShape(x.shape, shape)) return x;
    const constant = constantOf(x);
    if (constant !== null) return full(shape, constant);
    return x.node?.op === reshapeOp ? reshape(x.node.inputs[0], shape) : null;
  },
};

/**
 * The same elements in another shape; one size may be −1 and is worked out. A traced value that has
 * the shape is returned as it is.
 */
export function reshape<T extends Arg>(x: T, shape: readonly number[]): T {
  const free = shape.indexOf(-1);
  if (free >= 0) {
    const rest = sizeOf(shape.toSpliced(free, 1));
    const size = sizeOf(x.shape) / rest;
    if (rest <= 0 || !Number.isInteger(size))
      throw shapeError(
        "reshape",
        "element-count",
        message`${{ has: sizeOf(x.shape) }} elements of ${{ from: formatShape(x.shape) }} do not fill ${{ to: shape.map((s, a) => (a === free ? "?" : s)).join("×") }}`,
      );
    shape = shape.with(free, size);
  }
  if (x instanceof Value && sameShape(x.shape, shape)) return x;
  return apply(reshapeOp, { shape: [...shape] }, [x])[0];
}

/** Joins all axes from `startAxis` on: (n, c, h, w) → (n, c·h·w). */
export function flatten<T extends Arg>(x: T, startAxis = 1): T {
  const from = resolveAxis("flatten", startAxis, x);
  return reshape(x, [...x.shape.slice(0, from), sizeOf(x.shape.slice(from))]);
}

export interface TransposeParams {
  /** Axis i of y is axis order[i] of x. */
  readonly order: readonly number[];
}

/** y[i0, i1, …] = x at the same indices, axis i of y being axis order[i] of x. */
export const transposeOp: Op<TransposeParams> = {
  name: "transpose",
  infer([x], { order }) {
    const rank = x.shape.length;
    if (order.length !== rank || order.toSorted((a, b) => a - b).some((v, i) => v !== i))
      throw shapeError(
        "transpose",
        "order",
        message`order ${{ order: order.join(",") }} does not name each of ${{ axes: rank }} axes once`,
      );
    return [
      spec(
        order.map((a) => x.shape[a]),
        x.dtype,
      ),
    ];
  },
  reference([x], { order }) {
    const y = hostArray(transposeOp.infer([x], { order })[0]);
    const strides = stridesOf(x.shape);
    walk(y.shape, [order.map((a) => strides[a])], (at, [from]) => (y.data[at] = x.data[from]));
    return [y];
  },
  vjp: ({ params: { order } }, [ct]) => [
    transpose(
      ct,
      order.map((_, axis) => order.indexOf(axis)),
    ),
  ],
  cost: ([x]) => streamCost([x], x),
  simplify([x], { order }) {
    if (x.node && isOp(x.node, transposeOp)) {
      const inner = x.node.params.order;
      return transpose(
        x.node.inputs[0],
        order.map((a) => inner[a]),
      );
    }
    // Axes longer than 1 that stay in order: nothing moves.
    const moved = order.filter((a) => x.shape[a] !== 1);
    return moved.every((a, i) => i === 0 || moved[i - 1] < a)
      ? reshape(
          x,
          order.map((a) => x.shape[a]),
        )
      : null;
  },
};

/** Exchanges axes: axis i of the result is axis order[i] of x; reversed by default. */
export const transpose = <T extends Arg>(
  x: T,
  order: readonly number[] = x.shape.map((_, i) => i).toReversed(),
): T => apply(transposeOp, { order: [...order] }, [x])[0];

export interface PadParams {
  /** Zeros before each axis. */
  readonly lo: readonly number[];
  /** Zeros after each axis. */
  readonly hi: readonly number[];
}

/** y[i + lo] = x[i], 0 elsewhere; y has size lo + x + hi on each axis. */
export const padOp: Op<PadParams> = {
  name: "pad",
  infer([x], { lo, hi }) {
    mustFitAxes("pad", "lo", lo, x.shape.length, 0);
    mustFitAxes("pad", "hi", hi, x.shape.length, 0);
    return [
      spec(
        x.shape.map((size, a) => lo[a] + size + hi[a]),
        x.dtype,
      ),
    ];
  },
  reference([x], { lo, hi }) {
    const y = hostArray(padOp.infer([x], { lo, hi })[0]);
    const strides = stridesOf(y.shape);
    const base = offsetOf(lo, strides);
    walk(x.shape, [strides], (at, [to]) => (y.data[base + to] = x.data[at]));
    return [y];
  },
  vjp: ({ inputs: [x], params: { lo } }, [ct]) => [slice(ct, lo, x.shape)],
  cost: ([x], params) => streamCost([x], padOp.infer([x], params)[0]),
  simplify: ([x], { lo, hi }) => ([...lo, ...hi].every((v) => v === 0) ? x : null),
};

/** Adds `lo[a]` zeros before and `hi[a]` after each axis a of the tensor. */
export const pad = <T extends Arg>(x: T, lo: readonly number[], hi: readonly number[]): T =>
  apply(padOp, { lo: [...lo], hi: [...hi] }, [x])[0];

export interface SliceParams {
  readonly start: readonly number[];
  readonly size: readonly number[];
}

/** y[i] = x[start + i], 0 ≤ i < size on each axis. */
export const sliceOp: Op<SliceParams> = {
  name: "slice",
  infer([x], { start, size }) {
    mustFitAxes("slice", "start", start, x.shape.length, 0);
    mustFitAxes("slice", "size", size, x.shape.length, 0);
    x.shape.forEach((has, a) => {
      if (start[a] + size[a] > has)
        throw shapeError(
          "slice",
          "block-exceeds-input",
          message`start ${{ start: start[a] }} + size ${{ size: size[a] }} = ${{ end: start[a] + size[a] }}, input has ${{ input: has }}`,
          a,
        );
    });
    return [spec(size, x.dtype)];
  },
  reference([x], { start, size }) {
    const y = hostArray(spec(size, x.dtype));
    const strides = stridesOf(x.shape);
    const base = offsetOf(start, strides);
    walk(size, [strides], (at, [from]) => (y.data[at] = x.data[base + from]));
    return [y];
  },
  vjp: ({ inputs: [x], params: { start, size } }, [ct]) => [
    pad(
      ct,
      start,
      x.shape.map((has, a) => has - start[a] - size[a]),
    ),
  ],
  cost: ([x], { size }) => streamCost([spec(size, x.dtype)], spec(size, x.dtype)),
  simplify: ([x], { size }) => (sameShape(x.shape, size) ? x : null),
};

/** The block of `size[a]` elements from `start[a]` on along each axis a. */
export const slice = <T extends Arg>(x: T, start: readonly number[], size: readonly number[]): T =>
  apply(sliceOp, { start: [...start], size: [...size] }, [x])[0];

export interface ConcatParams {
  readonly axis: number;
}

/** x0, x1, … → y, one after the other along `axis`; all other sizes are equal. */
export const concatOp: Op<ConcatParams> = {
  name: "concat",
  infer(inputs, { axis }) {
    const [first] = inputs;
    mustBeAxis("concat", axis, first.shape.length);
    for (const [i, s] of inputs.entries()) {
      if (s.dtype !== first.dtype)
        throw shapeError(
          "concat",
          "dtypes-differ",
          message`input ${{ input: i }} is ${{ dtype: s.dtype }}, input 0 is ${{ first: first.dtype }}`,
        );
      if (
        s.shape.length !== first.shape.length ||
        s.shape.some((size, a) => a !== axis && size !== first.shape[a])
      )
        throw shapeError(
          "concat",
          "shapes-differ",
          message`input ${{ input: i }} has shape ${{ shape: formatShape(s.shape) }}, input 0 has ${{ first: formatShape(first.shape) }}; they may differ on axis ${{ axis }} only`,
        );
    }
    return [
      spec(
        first.shape.with(
          axis,
          inputs.reduce((sum, s) => sum + s.shape[axis], 0),
        ),
        first.dtype,
      ),
    ];
  },
  reference(inputs, params) {
    const y = hostArray(concatOp.infer(inputs, params)[0]);
    const strides = stridesOf(y.shape);
    let base = 0;
    for (const x of inputs) {
      walk(x.shape, [strides], (at, [to]) => (y.data[base + to] = x.data[at]));
      base += x.shape[params.axis] * strides[params.axis];
    }
    return [y];
  },
  vjp({ inputs, params: { axis } }, [ct]) {
    let start = 0;
    return inputs.map((x) => {
      const from = x.shape.map((_, a) => (a === axis ? start : 0));
      start += x.shape[axis];
      return slice(ct, from, x.shape);
    });
  },
  cost: (inputs, params) => ({
    ...streamCost(inputs, inputs[0]),
    bytesWritten: bytesOf(concatOp.infer(inputs, params)[0]),
  }),
  simplify: (inputs) => (inputs.length === 1 ? inputs[0] : null),
};

/** Joins at least one tensor along an axis (negative counts from the end). */
export function concat<T extends Arg>(inputs: readonly T[], axis = 0): T {
  if (inputs.length === 0)
    throw shapeError("concat", "no-inputs", message`there is no input; give at least one`);
  return apply(concatOp, { axis: resolveAxis("concat", axis, inputs[0]) }, inputs)[0];
}

const offsetOf = (index: readonly number[], strides: readonly number[]): number =>
  index.reduce((sum, i, axis) => sum + i * strides[axis], 0);
