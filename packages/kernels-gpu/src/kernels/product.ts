// Convolution, its gradients and matrix products as one form: y[g, m, t] = Σ_j a[g, m, j] · x[g, t·step + j·delta + first], summed over
// taps j along every axis, x being zero outside its sizes. Kernels are generators over this form and know no op.

import {
  convGradInputOp,
  convGradWeightOp,
  convOp,
  matmulGeometry,
  matmulOp,
  type ConvGeometry,
  type MatmulGeometry,
  type MatmulParams,
} from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import type { Task } from "../code.ts";

/** One axis: `grid` outputs t, `taps` terms j; they read coordinate t·step + j·delta + first of x, zero outside 0 … size−1. */
export interface Axis {
  readonly grid: number;
  readonly taps: number;
  readonly step: number;
  readonly delta: number;
  readonly first: number;
  readonly size: number;
  /** Elements between neighbouring taps in a, coordinates in x, outputs in y. */
  readonly a: number;
  readonly x: number;
  readonly y: number;
}

export interface Product {
  /** Independent products, and rows of each: how many, and elements between neighbours. */
  readonly groups: { readonly count: number; readonly a: number; readonly x: number; readonly y: number };
  /** `plane`: neighbouring rows that belong to one channel; 1 if absent. */
  readonly rows: { readonly count: number; readonly a: number; readonly y: number; readonly plane?: number | undefined };
  readonly axes: readonly Axis[];
  /** Elements before the first. */
  readonly offset: { readonly a: number; readonly x: number; readonly y: number };
}

/** The output channel of a row, as an expression of WGSL. */
export function channelAt({ groups, rows: { count, plane = 1 } }: Product, part: string, row: string): string {
  const at = groups.count > 1 ? `${part} * ${count} + ${row}` : row;
  return plane === 1 ? at : `(${at}) / ${plane}`;
}

/** Names of the coordinates along the axes. */
export const axisNames = ({ axes }: Product): string[] => axes.map((_, i) => "ijklmn"[i] ?? `axis${i}x`);

export const outputsOf = (p: Product): number => p.axes.reduce((n, { grid }) => n * grid, 1);
export const tapsOf = (p: Product): number => p.axes.reduce((n, { taps }) => n * taps, 1);

/** Whether some output meets, along this axis, a coordinate outside x. */
export const leaves = ({ grid, taps, step, delta, first, size }: Axis): boolean => {
  const ends = [0, (grid - 1) * step].flatMap((t) => [0, (taps - 1) * delta].map((j) => t + j + first));
  return Math.min(...ends) < 0 || Math.max(...ends) >= size;
};

const outer = (grid: number, x: number, y: number): Axis => ({ grid, taps: 1, step: 1, delta: 0, first: 0, size: grid, a: 0, x, y });
const summed = (taps: number, a: number, x: number): Axis => ({ grid: 1, taps, step: 0, delta: 1, first: 0, size: taps, a, x, y: 0 });

const sizes = (g: ConvGeometry) => ({
  icg: g.ic / g.groups,
  ocg: g.oc / g.groups,
  taps: sizeOf(g.kernel),
  xPlane: sizeOf(g.input),
  yPlane: sizeOf(g.output),
  k: stridesOf(g.kernel),
  xs: stridesOf(g.input),
  ys: stridesOf(g.output),
});

const nowhere = { a: 0, x: 0, y: 0 };

/** y[n, oc, o] = Σ w[oc, ic, k] · x[n, ic, o·s − lo + k·d]. */
export function forwardProduct(g: ConvGeometry): Product {
  const { icg, ocg, taps, xPlane, yPlane, k, xs, ys } = sizes(g);
  return simplify({
    groups: { count: g.groups, a: ocg * icg * taps, x: icg * xPlane, y: ocg * yPlane },
    rows: { count: ocg, a: icg * taps, y: yPlane },
    offset: nowhere,
    axes: [
      outer(g.n, g.ic * xPlane, g.oc * yPlane),
      summed(icg, taps, xPlane),
      ...g.input.map((size, i) => ({
        grid: g.output[i]!,
        taps: g.kernel[i]!,
        step: g.stride[i]!,
        delta: g.dilation[i]!,
        first: -g.padLo[i]!,
        size,
        a: k[i]!,
        x: xs[i]!,
        y: ys[i]!,
      })),
    ],
  });
}

/** dw[oc, ic, k] = Σ dy[n, oc, o] · x[n, ic, k·d − lo + o·s]: x convolved with dy, where batch and channels have changed places. */
function gradWeightProduct(g: ConvGeometry): Product {
  const { icg, ocg, taps, xPlane, yPlane, k, xs, ys } = sizes(g);
  return simplify({
    groups: { count: g.groups, a: ocg * yPlane, x: icg * xPlane, y: ocg * icg * taps },
    rows: { count: ocg, a: yPlane, y: icg * taps },
    offset: nowhere,
    axes: [
      outer(icg, xPlane, taps),
      summed(g.n, g.oc * yPlane, g.ic * xPlane),
      ...g.input.map((size, i) => ({
        grid: g.kernel[i]!,
        taps: g.output[i]!,
        step: g.dilation[i]!,
        delta: g.stride[i]!,
        first: -g.padLo[i]!,
        size,
        a: ys[i]!,
        x: xs[i]!,
        y: k[i]!,
      })),
    ],
  });
}

const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : a);

/** One product for each remainder of the input's coordinates by the stride: dx[i] = Σ w[k] · dy[(i + lo − k·d) / s] where that is whole. */
function gradInputProducts(g: ConvGeometry): Product[] {
  const { icg, ocg, taps, xPlane, yPlane, k, xs, ys } = sizes(g);
  // A kernel as large as the input makes one output, of which each element of the input meets a weight of its own: dx = wᵀ·dy.
  if (yPlane === 1 && g.input.every((size, i) => size === g.kernel[i] && g.padLo[i] === 0 && (size === 1 || g.dilation[i] === 1)))
    return [
      simplify({
        groups: { count: g.groups, a: ocg * icg * taps, x: ocg, y: icg * xPlane },
        rows: { count: icg * taps, a: 1, y: 1, plane: taps },
        offset: nowhere,
        axes: [outer(g.n, g.oc, g.ic * xPlane), summed(ocg, icg * taps, 1)],
      }),
    ];
  const parts = g.input.map((size, i) => {
    const [s, d] = [g.stride[i]!, g.dilation[i]!];
    const between = s / gcd(s, d);
    return Array.from({ length: Math.min(s, size) }, (_, r) => {
      const reach = r + g.padLo[i]!;
      const tap = Array.from({ length: Math.min(between, g.kernel[i]!) }, (_, j) => j).find((j) => (reach - j * d) % s === 0);
      return {
        tap: (tap ?? 0) * k[i]!,
        origin: r * xs[i]!,
        axis: {
          grid: Math.ceil((size - r) / s),
          taps: tap === undefined ? 0 : Math.ceil((g.kernel[i]! - tap) / between),
          step: 1,
          delta: -(between * d) / s,
          first: tap === undefined ? 0 : (reach - tap * d) / s,
          size: g.output[i]!,
          a: between * k[i]!,
          x: ys[i]!,
          y: s * xs[i]!,
        },
      };
    });
  });
  const phases = parts.reduce<{ tap: number; origin: number; axes: Axis[] }[]>(
    (all, own) => all.flatMap((p) => own.map((q) => ({ tap: p.tap + q.tap, origin: p.origin + q.origin, axes: [...p.axes, q.axis] }))),
    [{ tap: 0, origin: 0, axes: [] }],
  );
  return phases.map(({ tap, origin, axes }) =>
    simplify({
      groups: { count: g.groups, a: ocg * icg * taps, x: ocg * yPlane, y: icg * xPlane },
      rows: { count: icg, a: taps, y: xPlane },
      offset: { a: tap, x: 0, y: origin },
      axes: [outer(g.n, g.oc * yPlane, g.ic * xPlane), summed(ocg, icg * taps, yPlane), ...axes],
    }),
  );
}

/** y[i, j] = Σ_k a[i, k] · b[k, j] for each of the batch. */
function matmulProduct({ batch, m, k, n, transposeA, transposeB }: MatmulGeometry): Product {
  return simplify({
    groups: { count: sizeOf(batch), a: m * k, x: k * n, y: m * n },
    rows: { count: m, a: transposeA ? 1 : k, y: n },
    offset: nowhere,
    axes: [summed(k, transposeA ? m : 1, transposeB ? 1 : n), outer(n, transposeB ? k : 1, 1)],
  });
}

/** Joins neighbouring axes that are walked as one and drops those of one step. */
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
    const plain = axis.taps === 1 ? outer(axis.grid, axis.step * axis.x, axis.y) : summed(axis.taps, axis.a, axis.delta * axis.x);
    const last = axes.at(-1);
    const joins =
      last &&
      !leaves(last) &&
      (plain.taps === 1 ? last.taps === 1 && last.y === plain.grid * plain.y : last.grid === 1 && last.a === plain.taps * plain.a);
    if (joins && last.x === plain.grid * plain.taps * plain.x)
      axes[axes.length - 1] = plain.taps === 1 ? outer(last.grid * plain.grid, plain.x, plain.y) : summed(last.taps * plain.taps, plain.a, plain.x);
    else axes.push(plain);
  }
  return { ...p, axes, offset: { ...p.offset, x } };
}

/** What a task of a convolution, one of its gradients or a matrix product is in this form; null for other ops. */
export function productsOf({ op, params, inputs }: Task): Made | null {
  if (op === convOp) return { products: [forwardProduct(params as ConvGeometry)], a: 1, x: 0 };
  if (op === convGradInputOp) return { products: gradInputProducts(params as ConvGeometry), a: 1, x: 0 };
  if (op === convGradWeightOp) return { products: [gradWeightProduct(params as ConvGeometry)], a: 0, x: 1 };
  if (op === matmulOp) return { products: [matmulProduct(matmulGeometry(inputs[0], inputs[1], params as MatmulParams))], a: 0, x: 1 };
  return null;
}

/** The products of a task, which write disjoint parts of its output, and which of its inputs are a and x. */
export interface Made {
  readonly products: readonly Product[];
  readonly a: 0 | 1;
  readonly x: 0 | 1;
}
