// The geometry of a convolution at any rank, computed and checked once, and the one loop nest that
// is its meaning.

import { message, rangeError, shapeError, stridesOf, type Spec, type Window } from "@conv/tensor";
import { mustBeWhole, mustDivide, spatialRank } from "./check.ts";
import {
  axisName,
  perAxis,
  resolvePadding,
  spanOf,
  type Padding,
  type PerAxis,
} from "./padding.ts";

export * from "./padding.ts";

/**
 * A window sliding over space. All lists have one entry per spatial axis; output `o` at tap `k`
 * reads input `o·stride − padLo + k·dilation`.
 */
export interface WindowGeometry {
  readonly n: number;
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly output: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly padLo: readonly number[];
  readonly padHi: readonly number[];
}

/** The window of each spatial axis. */
export const windowsOf = (g: WindowGeometry): Window[] =>
  g.kernel.map((kernel, a) => ({
    kernel,
    stride: g.stride[a],
    dilation: g.dilation[a],
    padLo: g.padLo[a],
    padHi: g.padHi[a],
  }));

/**
 * A convolution of x (n, ic, …input) with w (oc, ic/groups, …kernel) to y (n, oc, …output); what
 * lies outside the input is zero.
 */
export interface ConvGeometry extends WindowGeometry {
  readonly groups: number;
  readonly ic: number;
  readonly oc: number;
  readonly precision?: Precision | undefined;
}

export interface ConvOptions {
  readonly stride?: PerAxis | undefined;
  /** Zeros around the input: numbers or names, see {@link PaddingName}. */
  readonly padding?: Padding | undefined;
  readonly dilation?: PerAxis | undefined;
  readonly groups?: number | undefined;
  /** Stands for the precision of the back end, in this op and its gradients. */
  readonly precision?: Precision | undefined;
}

/**
 * How convolutions may be computed. "exact": sums of products alone, in blocks. "balanced": fast
 * algorithms, too (Winograd, Fourier), whose errors are relative to the largest value of a plane.
 * "fast": reduced precision, too, where the device has any.
 */
export type Precision = "exact" | "balanced" | "fast";

/**
 * The largest factor that a kernel may state for its rounding errors (`Step.roundoff` of
 * @conv/tensor).
 */
export const MOST_ROUNDOFF: Readonly<Record<Precision, number>> = {
  exact: 0,
  balanced: 256,
  fast: Infinity,
};

/** Throws RangeError for any other word. */
export function mustBePrecision(op: string, precision: string): void {
  if (!Object.hasOwn(MOST_ROUNDOFF, precision))
    throw rangeError(
      op,
      "precision",
      message`precision ${{ precision }} is none of ${{ known: Object.keys(MOST_ROUNDOFF).join(", ") }}`,
    );
}

/** What a geometry holds of the option. */
export function precisionOf(
  op: string,
  precision: Precision | undefined,
): { readonly precision?: Precision | undefined } {
  if (precision) mustBePrecision(op, precision);
  return precision ? { precision } : {};
}

/**
 * ⌊(input + padLo + padHi − span) / stride⌋ + 1 per axis; throws ShapeError where the kernel does
 * not fit.
 */
export function outputSizes(
  op: string,
  input: readonly number[],
  kernel: readonly number[],
  stride: readonly number[],
  dilation: readonly number[],
  padLo: readonly number[],
  padHi: readonly number[],
): number[] {
  return spanOf(kernel, dilation).map((span, a) => {
    const padded = input[a] + padLo[a] + padHi[a];
    if (span > padded) {
      const most = Math.floor((padded - 1) / (kernel[a] - 1)); // of the dilations that fit
      throw shapeError(
        op,
        "kernel-exceeds-input",
        message`kernel ${{ kernel: kernel[a] }} with dilation ${{ dilation: dilation[a] }} covers ${{ span }} positions, but the padded input has ${{ padded }}; use ${{ remedy: most >= 1 ? `dilation ≤ ${most}` : "a smaller kernel" }} or more padding`,
        axisName(input.length, a),
      );
    }
    return Math.floor((padded - span) / stride[a]) + 1;
  });
}

/** The geometry of `conv(x, w, options)`; throws ShapeError naming rule, numbers and axis. */
export function convGeometry(
  x: Spec,
  w: Spec,
  { stride = 1, padding = 0, dilation = 1, groups = 1, precision }: ConvOptions = {},
  op = "conv",
): ConvGeometry {
  const rank = spatialRank(op, x);
  if (w.shape.length !== rank + 2)
    throw shapeError(
      op,
      "weight-rank",
      message`weight has ${{ weight: w.shape.length }} axes, input has ${{ input: x.shape.length }}`,
    );
  const [n, ic, ...input] = x.shape as [number, number, ...number[]];
  const [oc, icg, ...kernel] = w.shape as [number, number, ...number[]];
  mustBeWhole(op, "groups", groups, 1);
  mustDivide(op, "input channels", ic, groups);
  mustDivide(op, "output channels", oc, groups);
  if (icg * groups !== ic)
    throw shapeError(
      op,
      "weight-channels",
      message`weight takes ${{ perGroup: icg }} channels × ${{ groups }} groups = ${{ weight: icg * groups }}, input has ${{ input: ic }}`,
    );
  perAxis(op, "kernel", kernel, rank, 1);
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  const { padLo, padHi } = resolvePadding(op, padding, input, spanOf(kernel, d), s);
  const output = outputSizes(op, input, kernel, s, d, padLo, padHi);
  const bounded = s.map((v, a) => boundedStride(v, input[a] + padLo[a] + padHi[a]));
  return {
    n,
    groups,
    ic,
    oc,
    input,
    kernel,
    output,
    stride: bounded,
    dilation: d,
    padLo,
    padHi,
    ...precisionOf(op, precision),
  };
}

/**
 * Where a stride leads past the input there is one output, whatever the stride: as a small number
 * it fits all generated code.
 */
export const boundedStride = (stride: number, padded: number): number =>
  Math.min(stride, Math.max(padded, 0xffff));

/** Shapes of the three tensors of the trilinear form T(x, w, y). */
export const xShape = (g: ConvGeometry): number[] => [g.n, g.ic, ...g.input];
export const wShape = (g: ConvGeometry): number[] => [g.oc, g.ic / g.groups, ...g.kernel];
export const yShape = (g: ConvGeometry): number[] => [g.n, g.oc, ...g.output];

/**
 * Visits every term of T(x, w, y) = Σ x·w·y over all valid (n, oc, ic, o, k), as flat indices into
 * the three tensors. conv = ∂T/∂y, its gradient to the input ∂T/∂x, to the weight ∂T/∂w; each is
 * linear in the other two.
 */
export function eachTerm(g: ConvGeometry, visit: (x: number, w: number, y: number) => void): void {
  const rank = g.input.length;
  const icg = g.ic / g.groups;
  const ocg = g.oc / g.groups;
  const xs = stridesOf(xShape(g));
  const ws = stridesOf(wShape(g));
  const ys = stridesOf(yShape(g));
  const space = (axis: number, x: number, w: number, y: number): void => {
    const [size, outputs, kernel, stride, dilation, lo] = [
      g.input[axis],
      g.output[axis],
      g.kernel[axis],
      g.stride[axis],
      g.dilation[axis],
      g.padLo[axis],
    ];
    const [xStep, wStep, yStep] = [xs[axis + 2], ws[axis + 2], ys[axis + 2]];
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < kernel; k++) {
        const i = o * stride - lo + k * dilation;
        if (i < 0 || i >= size) continue;
        if (axis + 1 < rank) space(axis + 1, x + i * xStep, w + k * wStep, y + o * yStep);
        else visit(x + i * xStep, w + k * wStep, y + o * yStep);
      }
  };
  for (let n = 0; n < g.n; n++)
    for (let oc = 0; oc < g.oc; oc++)
      for (let c = 0; c < icg; c++)
        space(
          0,
          n * xs[0] + (Math.floor(oc / ocg) * icg + c) * xs[1],
          oc * ws[0] + c * ws[1],
          n * ys[0] + oc * ys[1],
        );
}
