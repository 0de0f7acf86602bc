// Max and average pooling at any rank, with gradients of every order. Padding never wins a maximum.

import {
  checkOptions,
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
  type Arg,
  type Op,
  type Spec,
  type Window,
} from "@conv/tensor";
import { mustMatch, spatialRank, streamCost } from "./check.ts";
import { abs, affine, map, square } from "./elementwise.ts";
import type { Expr } from "./expr.ts";
import { scatterAdd } from "./gather.ts";
import {
  axisName,
  boundedStride,
  outputSizes,
  perAxis,
  resolvePadding,
  spanOf,
  windowsOf,
  type Padding,
  type PerAxis,
  type WindowGeometry,
} from "./geometry.ts";
import { pad, reshape } from "./move.ts";

/** A pool of x (n, c, …input) to y (n, c, …output); what lies outside the input is not seen. */
export interface PoolGeometry extends WindowGeometry {
  readonly c: number;
}

export interface PoolOptions {
  /** Defaults to the kernel: windows side by side. */
  readonly stride?: PerAxis | undefined;
  readonly padding?: Padding | undefined;
  readonly dilation?: PerAxis | undefined;
  /**
   * Sizes of the output are rounded up: a last window may reach past the padding, and past an input
   * that is smaller than the kernel. A window that would begin past the input and its first padding
   * is left out, as in PyTorch.
   */
  readonly ceilMode?: boolean | undefined;
}

/**
 * The geometry of a pool; throws ShapeError where the kernel does not fit or a window would see
 * nothing but padding.
 */
export function poolGeometry(
  x: Spec,
  kernel: PerAxis,
  options: PoolOptions = {},
  op = "pool",
): PoolGeometry {
  checkOptions(op, options, "stride padding dilation ceilMode");
  const { stride = kernel, padding = 0, dilation = 1, ceilMode = false } = options;
  const rank = spatialRank(op, x);
  const [n, c, ...input] = x.shape;
  const size = perAxis(op, "kernel", kernel, rank, 1);
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  const span = spanOf(size, d);
  const { padLo, padHi: given } = resolvePadding(op, padding, input, span, s);
  const most = ceilMode ? given.map((hi, a) => hi + s[a] - 1) : given;
  const output = outputSizes(op, input, size, s, d, padLo, most).map(
    (o, a) => o - Number(ceilMode && (o - 1) * s[a] >= input[a] + padLo[a]),
  );
  const padHi = ceilMode
    ? given.map((hi, a) => Math.max(hi, (output[a] - 1) * s[a] - padLo[a] + span[a] - input[a]))
    : given;
  const bounded = s.map((v, a) => boundedStride(v, input[a] + padLo[a] + padHi[a]));
  const g = { n, c, input, kernel: size, output, stride: bounded, dilation: d, padLo, padHi };
  output.forEach((outputs, a) => {
    for (let o = 0; o < outputs; o++)
      if (taps(g, a, o).length === 0)
        throw shapeError(
          op,
          "window-in-padding",
          message`the window of output ${{ output: o }} sees padding only (padding ${{ padLo: padLo[a] }} + ${{ padHi: padHi[a] }}, input ${{ input: input[a] }})`,
          axisName(rank, a),
        );
  });
  return g;
}

/** Inputs that output `o` sees along an axis, ascending. */
const taps = (g: PoolGeometry, axis: number, o: number): number[] =>
  Array.from(
    { length: g.kernel[axis] },
    (_, k) => o * g.stride[axis] - g.padLo[axis] + k * g.dilation[axis],
  ).filter((i) => i >= 0 && i < g.input[axis]);

/** Visits every output in order with the flat indices of the inputs that it sees, in scan order. */
export function eachWindow(
  g: PoolGeometry,
  visit: (y: number, xs: readonly number[]) => void,
): void {
  const strides = stridesOf(g.input);
  let at = 0;
  const space = (axis: number, xs: readonly number[]): void => {
    if (axis === g.input.length) return visit(at++, xs);
    for (let o = 0; o < g.output[axis]; o++) {
      const seen = taps(g, axis, o);
      space(
        axis + 1,
        xs.flatMap((x) => seen.map((i) => x + i * strides[axis])),
      );
    }
  };
  for (let plane = 0; plane < g.n * g.c; plane++) space(0, [plane * sizeOf(g.input)]);
}

const xShape = (g: PoolGeometry): number[] => [g.n, g.c, ...g.input];
const yShape = (g: PoolGeometry): number[] => [g.n, g.c, ...g.output];

/**
 * Where the maximum of a window comes from: the first of the largest, or the last NaN if there is
 * one, as in PyTorch.
 */
export const argMax = (x: Float64Array, seen: readonly number[]): number =>
  seen.reduce((best, i) => (x[i] > x[best] || Number.isNaN(x[i]) ? i : best));

interface Rule<G extends PoolGeometry> {
  /** The inputs by name, with their shapes, and the shape of the output. */
  readonly takes: Readonly<Record<string, (g: G) => number[]>>;
  readonly gives: (g: G) => number[];
  readonly dtype?: "int32";
  /**
   * Given the numbers of the inputs and of the output, what is done for output `o` of the pool,
   * which sees the inputs `seen`.
   */
  readonly each: (
    inputs: readonly Float64Array[],
    out: Float64Array,
    g: G,
  ) => (o: number, seen: readonly number[]) => void;
  /** Flops for each output of the pool, beside one for each element of its kernel. */
  readonly more: number;
  readonly vjp: Op<G>["vjp"];
  readonly window?: Op<G>["window"];
}

/** An op upon the windows of a pool. */
/* @__NO_SIDE_EFFECTS__ */
function poolOp<G extends PoolGeometry>(
  name: string,
  { takes, gives, dtype, each, more, vjp, window }: Rule<G>,
): Op<G> {
  const out = (g: G) => spec(gives(g), dtype);
  return {
    name,
    infer(inputs, g) {
      Object.entries(takes).forEach(([what, shape], i) =>
        mustMatch(name, what, inputs[i], shape(g)),
      );
      return [out(g)];
    },
    reference(inputs, g) {
      const y = hostArray(out(g));
      const step = each(
        inputs.map((x) => x.data),
        y.data,
        g,
      );
      eachWindow(g, step);
      return [y];
    },
    vjp,
    cost: (inputs, g) =>
      streamCost(inputs, spec(gives(g)), sizeOf(yShape(g)) * (sizeOf(g.kernel) + more)),
    window,
  };
}

/**
 * y = max of x over each window, NaN where the window has one; the first maximum in scan order has
 * the gradient.
 */
export const maxPoolOp: Op<PoolGeometry> = poolOp("maxPool", {
  takes: { x: xShape },
  gives: yShape,
  each:
    ([x], y) =>
    (o, seen) =>
      (y[o] = x[argMax(x, seen)]),
  more: -1,
  vjp: ({ inputs: [x], params }, [ct]) => apply(maxPoolGradOp, params, [x, ct]),
  window: windowsOf,
});

/** (x, dy) → dx: each dy goes to the input that won its window. */
export const maxPoolGradOp: Op<PoolGeometry> = poolOp("maxPoolGrad", {
  takes: { x: xShape, dy: yShape },
  gives: xShape,
  each:
    ([x, dy], dx) =>
    (o, seen) =>
      (dx[argMax(x, seen)] += dy[o]),
  more: 0,
  vjp: ({ inputs: [x], params }, [ct]) => [null, ...apply(maxPoolPickOp, params, [x, ct])],
});

/**
 * (x, v) → y, v like x: each window takes v where x won. The adjoint of {@link maxPoolGradOp} in
 * dy.
 */
export const maxPoolPickOp: Op<PoolGeometry> = poolOp("maxPoolPick", {
  takes: { x: xShape, v: xShape },
  gives: yShape,
  each:
    ([x, v], y) =>
    (o, seen) =>
      (y[o] = v[argMax(x, seen)]),
  more: -1,
  vjp: ({ inputs: [x], params }, [ct]) => [null, ...apply(maxPoolGradOp, params, [x, ct])],
});

/**
 * x → int32 y: where in its plane of x the maximum of each window stands (h·width + w). No
 * gradient.
 */
export const maxPoolIndicesOp: Op<PoolGeometry> = poolOp("maxPoolIndices", {
  takes: { x: xShape },
  gives: yShape,
  dtype: "int32",
  each:
    ([x], y, { input }) =>
    (o, seen) =>
      (y[o] = argMax(x, seen) % sizeOf(input)),
  more: -1,
  vjp: () => [null],
  window: windowsOf,
});

export interface AvgPoolGeometry extends PoolGeometry {
  /** Divide by the size of the kernel, else by the number of inputs seen. */
  readonly countIncludePad: boolean;
}

const divisor = (g: AvgPoolGeometry, seen: readonly number[]): number =>
  g.countIncludePad ? sizeOf(g.kernel) : seen.length;

/** y = Σ x over each window / (kernel size, or inputs seen). */
export const avgPoolOp: Op<AvgPoolGeometry> = poolOp<AvgPoolGeometry>("avgPool", {
  takes: { x: xShape },
  gives: yShape,
  each:
    ([x], y, g) =>
    (o, seen) =>
      (y[o] = seen.reduce((sum, i) => sum + x[i], 0) / divisor(g, seen)),
  more: 0,
  vjp: ({ params }, [ct]) => apply(avgPoolGradOp, params, [ct]),
  window: windowsOf,
});

/** dy → dx, the adjoint of {@link avgPoolOp}: each dy is shared out over its window. */
export const avgPoolGradOp: Op<AvgPoolGeometry> = poolOp<AvgPoolGeometry>("avgPoolGrad", {
  takes: { dy: yShape },
  gives: xShape,
  each:
    ([dy], dx, g) =>
    (o, seen) =>
      seen.forEach((i) => (dx[i] += dy[o] / divisor(g, seen))),
  more: 1,
  vjp: ({ params }, [ct]) => apply(avgPoolOp, params, [ct]),
});

/**
 * Largest of each window: x (n, c, …input) → (n, c, …output). PyTorch's defaults. Throws
 * ShapeError.
 */
export const maxPool = <T extends Arg>(x: T, kernel: PerAxis, options?: PoolOptions): T =>
  apply(maxPoolOp, poolGeometry(x.spec, kernel, options, "maxPool"), [x])[0];

/**
 * Where the largest of each window stands, as PyTorch tells it: x (n, c, …input) → int32 (n, c,
 * …output), flat indices into the plane of its channel, for {@link maxUnpool}. The first of equals,
 * the last NaN. Throws ShapeError.
 */
export const maxPoolIndices = <T extends Arg>(x: T, kernel: PerAxis, options?: PoolOptions): T =>
  apply(maxPoolIndicesOp, poolGeometry(x.spec, kernel, options, "maxPoolIndices"), [x])[0];

/**
 * The values of a pooled map put back where they came from, 0 elsewhere: y (n, c, …output), indices
 * (same shape, of {@link maxPoolIndices}) → (n, c, …size). Where windows overlap and one element
 * won several, it gets their sum. `windows`, of the pool and transposed, say how far it may have
 * come. Throws ShapeError.
 */
export function maxUnpool<T extends Arg>(
  y: T,
  indices: T,
  size: readonly number[],
  windows?: readonly Window[],
): T {
  const [n, c, ...output] = y.shape;
  if (!sameShape(y.shape, indices.shape))
    throw shapeError(
      "maxUnpool",
      "indices-shape",
      message`input has shape ${{ input: formatShape(y.shape) }}, indices have ${{ indices: formatShape(indices.shape) }}`,
    );
  return scope(() => {
    const planes = scatterAdd(
      reshape(y, [n * c, 1, ...output]),
      reshape(indices, [n * c, ...output]),
      {
        size,
        ...(windows && { windows }),
      },
    );
    return reshape(planes, [n, c, ...size]);
  });
}

export interface AvgPoolOptions extends PoolOptions {
  readonly countIncludePad?: boolean | undefined;
  /** Divides each sum, whatever its window sees. */
  readonly divisorOverride?: number | undefined;
}

/**
 * Mean of each window: x (n, c, …input) → (n, c, …output). PyTorch's defaults. Throws ShapeError.
 */
export function avgPool<T extends Arg>(x: T, kernel: PerAxis, options: AvgPoolOptions = {}): T {
  const { countIncludePad = true, divisorOverride, ...rest } = options;
  const g = poolGeometry(x.spec, kernel, rest, "avgPool");
  if (divisorOverride !== undefined) {
    if (!(Number.isFinite(divisorOverride) && divisorOverride !== 0))
      throw shapeError(
        "avgPool",
        "divisor",
        message`divisorOverride ${{ divisorOverride }} is not a number ≠ 0`,
      );
    return scope(() =>
      affine(
        apply(avgPoolOp, { ...g, countIncludePad: true }, [x])[0],
        sizeOf(g.kernel) / divisorOverride,
      ),
    );
  }
  const { padHi } = resolvePadding(
    "avgPool",
    rest.padding ?? 0,
    g.input,
    spanOf(g.kernel, g.dilation),
    g.stride,
  );
  const beyond = g.padHi.map((hi, a) => hi - padHi[a]);
  if (!countIncludePad || beyond.every((more) => more === 0))
    return apply(avgPoolOp, { ...g, countIncludePad }, [x])[0];
  // What padding gives counts, what the last windows see beyond it does not: an average of the
  // padded input over what it sees.
  return scope(() => {
    const padded = pad(x, [0, 0, ...g.padLo], [0, 0, ...padHi]);
    const [, , ...input] = padded.shape;
    return apply(
      avgPoolOp,
      { ...g, input, padLo: input.map(() => 0), padHi: beyond, countIncludePad: false },
      [padded],
    )[0];
  });
}

/**
 * (Σ |x|ᵖ)^(1/p) over each window: x (n, c, …input) → (n, c, …output); p = 1 sums, and ever larger
 * p come near {@link maxPool}. The gradient is 0 where a window is. PyTorch takes xᵖ for |x|ᵖ,
 * which is the same for even p. Throws ShapeError.
 */
export function lpPool<T extends Arg>(x: T, p: number, kernel: PerAxis, options?: PoolOptions): T {
  if (!(p >= 1 && Number.isFinite(p)))
    throw shapeError(
      "lpPool",
      "exponent",
      message`the exponent ${{ p }} is not a finite number ≥ 1`,
    );
  return scope(() => {
    const powers =
      p === 1
        ? abs(x)
        : p === 2
          ? square(x)
          : map("power", power("a", p), [x], [["mul", ["mul", p, sign], power("a", p - 1)]]);
    const sums = avgPool(powers, kernel, { ...options, divisorOverride: 1 });
    if (p === 1) return sums;
    const root: Expr = p === 2 ? ["sqrt", "a"] : power("a", 1 / p);
    return map(
      "root",
      root,
      [sums],
      [["select", ["gt", "y", 0], ["div", "y", ["mul", p, "a"]], 0]],
    );
  });
}

// |e|ᵖ, 0 at 0; and the sign of a.
const power = (e: Expr, p: number): Expr => ["exp", ["mul", p, ["log", ["abs", e]]]];
const sign: Expr = ["sub", ["gt", "a", 0], ["gt", 0, "a"]];
