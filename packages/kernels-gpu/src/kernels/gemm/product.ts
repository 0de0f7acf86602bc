// Convolution, its gradients and matrix products as one form:
//   y[g, m, t] = Σ_j a[g, m, j] · x[g, t·step + j·delta + first]
// The sum is over taps j along every axis; x is zero outside its sizes. Kernels are generators over
// this form and know no op.

import { gatherAll, gatherGradInput, unfold, type Gather } from "@conv/compiler";
import {
  convGradInputOp,
  convGradWeightOp,
  convOp,
  matmulGeometry,
  matmulOp,
  type ConvGeometry,
} from "@conv/ops";
import { isOp, sizeOf, stridesOf } from "@conv/tensor";
import type { GpuKernel, Task } from "../../compile/code.ts";

/**
 * One axis: `grid` outputs t and `taps` terms j, which read coordinate t·step + j·delta + first of
 * x. x is zero outside 0 … size−1.
 */
export interface Axis {
  readonly grid: number;
  readonly taps: number;
  readonly step: number;
  readonly delta: number;
  readonly first: number;
  readonly size: number;
  /** Elements between neighboring taps in a, coordinates in x, outputs in y. */
  readonly a: number;
  readonly x: number;
  readonly y: number;
}

export interface Product {
  /** Independent products: how many, and elements between neighbors. */
  readonly groups: {
    readonly count: number;
    readonly a: number;
    readonly x: number;
    readonly y: number;
  };
  /** Rows of each product. `plane`: neighboring rows that belong to one channel; 1 if absent. */
  readonly rows: {
    readonly count: number;
    readonly a: number;
    readonly y: number;
    readonly plane?: number | undefined;
  };
  readonly axes: readonly Axis[];
  /** Elements before the first. */
  readonly offset: { readonly a: number; readonly x: number; readonly y: number };
}

/** The output channel of a row, as an expression of WGSL. */
export function channelAt(
  { groups, rows: { count, plane = 1 } }: Product,
  part: string,
  row: string,
): string {
  const at = groups.count > 1 ? `${part} * ${count} + ${row}` : row;
  return plane === 1 ? at : `(${at}) / ${plane}`;
}

/** Names of the coordinates along the axes. */
export const axisNames = ({ axes }: Product): string[] =>
  axes.map((_, i) => "ijklmn"[i] ?? `axis${i}x`);

export const outputsOf = (p: Product): number => p.axes.reduce((n, { grid }) => n * grid, 1);
export const tapsOf = (p: Product): number => p.axes.reduce((n, { taps }) => n * taps, 1);

/** Whether some output reads a coordinate outside x along this axis. */
export const leaves = ({ grid, taps, step, delta, first, size }: Axis): boolean => {
  const ends = [0, (grid - 1) * step].flatMap((t) =>
    [0, (taps - 1) * delta].map((j) => t + j + first),
  );
  return Math.min(...ends) < 0 || Math.max(...ends) >= size;
};

const outer = (grid: number, x: number, y: number): Axis => ({
  grid,
  taps: 1,
  step: 1,
  delta: 0,
  first: 0,
  size: grid,
  a: 0,
  x,
  y,
});
const summed = (taps: number, a: number, x: number): Axis => ({
  grid: 1,
  taps,
  step: 0,
  delta: 1,
  first: 0,
  size: taps,
  a,
  x,
  y: 0,
});

const nowhere = { a: 0, x: 0, y: 0 };

/**
 * One product for each phase of a convolution or its input gradient; `plane` rows of the output
 * belong to one channel.
 */
export function gatherProducts(g: Gather, plane = 1): Product[] {
  const [taps, xPlane, yPlane] = [g.kernel, g.source, g.output].map(sizeOf);
  const [k, xs, ys] = [g.kernel, g.source, g.output].map(stridesOf);
  const along = (list: readonly number[], strides: readonly number[]) =>
    list.reduce((sum, v, i) => sum + v * strides[i], 0);
  return g.phases.map(({ grid, origin, taps: t }) =>
    simplify({
      groups: { count: g.groups, a: g.to * g.from * taps, x: g.from * xPlane, y: g.to * yPlane },
      rows: { count: g.to, a: g.wTo, y: yPlane, plane },
      offset: {
        a: along(
          t.map((axis) => axis.tapFirst),
          k,
        ),
        x: 0,
        y: along(origin, ys),
      },
      axes: [
        outer(g.n, g.groups * g.from * xPlane, g.groups * g.to * yPlane),
        summed(g.from, g.wFrom, xPlane),
        ...t.map(({ count, first, delta, tapDelta }, i) => ({
          grid: grid[i],
          taps: count,
          step: g.step[i],
          delta,
          first: first - g.lo[i],
          size: g.source[i],
          a: tapDelta * k[i],
          x: xs[i],
          y: g.outStep[i] * ys[i],
        })),
      ],
    }),
  );
}

/**
 * The input gradient. A convolution whose kernel covers the whole input has one output position,
 * and every input element meets one weight: dx = wᵀ·dy.
 */
function gradInputProducts(g: ConvGeometry): Product[] {
  const unfolded = unfold(g);
  return gatherProducts(gatherGradInput(unfolded), unfolded.ic / g.ic);
}

/**
 * dw[oc, ic, k] = Σ dy[n, oc, o] · x[n, ic, k·d − lo + o·s]: x convolved with dy, with batch and
 * channels exchanged.
 */
function gradWeightProduct(g: ConvGeometry): Product {
  const [icg, ocg] = [g.ic / g.groups, g.oc / g.groups];
  const [taps, xPlane, yPlane] = [g.kernel, g.input, g.output].map(sizeOf);
  const [k, xs, ys] = [g.kernel, g.input, g.output].map(stridesOf);
  return simplify({
    groups: { count: g.groups, a: ocg * yPlane, x: icg * xPlane, y: ocg * icg * taps },
    rows: { count: ocg, a: yPlane, y: icg * taps },
    offset: nowhere,
    axes: [
      outer(icg, xPlane, taps),
      summed(g.n, g.oc * yPlane, g.ic * xPlane),
      ...g.input.map((size, i) => ({
        grid: g.kernel[i],
        taps: g.output[i],
        step: g.dilation[i],
        delta: g.stride[i],
        first: -g.padLo[i],
        size,
        a: ys[i],
        x: xs[i],
        y: k[i],
      })),
    ],
  });
}

/** Matrices [m, k] and [k, n], either stored transposed, of which there are `count` pairs. */
export interface MatrixSizes {
  readonly count: number;
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** y[i, j] = Σ_k a[i, k] · b[k, j] for each pair. */
export const matrixProduct = ({
  count,
  m,
  k,
  n,
  transposeA,
  transposeB,
}: MatrixSizes): Product => ({
  groups: { count, a: m * k, x: k * n, y: m * n },
  rows: { count: m, a: transposeA ? 1 : k, y: n },
  offset: nowhere,
  axes: [summed(k, transposeA ? m : 1, transposeB ? 1 : n), outer(n, transposeB ? k : 1, 1)],
});

/** Merges neighboring axes that one index can walk, and drops axes of one step. */
function simplify(p: Product): Product {
  let { x } = p.offset;
  const axes: Axis[] = [];
  for (const axis of p.axes) {
    const inside = !leaves(axis);
    if (!inside || (axis.grid > 1 && axis.taps !== 1)) {
      axes.push(axis);
      continue;
    }
    x += axis.first * axis.x;
    if (axis.grid === 1 && axis.taps === 1) continue;
    const plain =
      axis.taps === 1
        ? outer(axis.grid, axis.step * axis.x, axis.y)
        : summed(axis.taps, axis.a, axis.delta * axis.x);
    const last = axes.at(-1);
    const joins =
      last &&
      !leaves(last) &&
      (plain.taps === 1
        ? last.taps === 1 && last.y === plain.grid * plain.y
        : last.grid === 1 && last.a === plain.taps * plain.a);
    if (joins && last.x === plain.grid * plain.taps * plain.x)
      axes[axes.length - 1] =
        plain.taps === 1
          ? outer(last.grid * plain.grid, plain.x, plain.y)
          : summed(last.taps * plain.taps, plain.a, plain.x);
    else axes.push(plain);
  }
  return { ...p, axes, offset: { ...p.offset, x } };
}

/**
 * The products of a task, which write disjoint parts of its output, and which of its inputs are a
 * and x.
 */
export interface TaskProducts {
  readonly products: readonly Product[];
  readonly a: 0 | 1;
  readonly x: 0 | 1;
}

/** A convolution, one of its gradients or a matrix product in this form; null for other ops. */
export function productsOf(task: Task): TaskProducts | null {
  if (isOp(task, convOp)) return { products: gatherProducts(gatherAll(task.params)), a: 1, x: 0 };
  if (isOp(task, convGradInputOp)) return { products: gradInputProducts(task.params), a: 1, x: 0 };
  if (isOp(task, convGradWeightOp))
    return { products: [gradWeightProduct(task.params)], a: 0, x: 1 };
  if (!isOp(task, matmulOp)) return null;
  const { batch, ...sizes } = matmulGeometry(task.inputs[0], task.inputs[1], task.params);
  const product = matrixProduct({ count: sizeOf(batch), ...sizes });
  return { products: [simplify(product)], a: 0, x: 1 };
}

/** Ops that the same kernels compute, and the operands that their epilogues read. */
export type Family<P = unknown> = Pick<GpuKernel<P>, "ops" | "fuses">;

export const CONV: Family<ConvGeometry> = {
  ops: [convOp, convGradInputOp],
  fuses: ["channel", "element"],
};
export const GRAD_WEIGHT: Family = {
  ops: [convGradWeightOp],
  fuses: ["element"],
};
export const MATMUL: Family = {
  ops: [matmulOp],
  fuses: ["column", "element"],
};
