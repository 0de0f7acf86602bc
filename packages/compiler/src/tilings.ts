// How a phase of a convolution falls into the tiles of Winograd's short convolutions.

import type { ConvGeometry } from "@conv/ops";
import { sizeOf } from "@conv/tensor";
import {
  gatherAll,
  gcd,
  leavesTaps,
  remembered,
  tapCount,
  UNSEEN,
  type Gather,
  type Phase,
} from "./gather.ts";
import { shortConvolution, type ShortConvolution } from "./shortConvolution.ts";

/**
 * Factors of the stated bound of the error, |Δy| ≤ factor · 2⁻²³ · Σ |x|*·|w|, by points of a tile
 * along an axis: several times what was seen on random data (see docs/performance.md).
 */
export const ROUNDOFF = { 4: 16, 6: 64, 8: 256 } as const;

/**
 * Where tiles lie along one axis: tile `a` begins at output t = r + spacing·m·⌊a/spacing⌋, r = a
 * mod spacing, and reads the source from t·step + first.
 */
export interface TilePlace {
  readonly m: number;
  readonly n: number;
  /**
   * Outputs between neighbors of a tile; with the step, also the source's: tiles of a dilated
   * kernel interleave.
   */
  readonly spacing: number;
  readonly tiles: number;
  readonly first: number;
}

/** One axis of a phase in tiles of a short convolution. */
export interface TileAxis extends TilePlace {
  readonly short: ShortConvolution;
  /**
   * What is not transformed but summed, by its distance in the source from `first`: single taps, or
   * classes of taps that a stride sets apart, or parts of long kernels.
   */
  readonly plain: readonly number[];
  /**
   * For each of these the taps' indices in the kernel, in the order of the source; −1 where a class
   * has one tap less.
   */
  readonly taps: readonly (readonly number[])[];
}

export interface Tiling {
  readonly g: Gather;
  readonly phase: Phase;
  readonly axes: readonly TileAxis[];
  /** The two innermost axes; the first of them is a single point where the rank is 1. */
  readonly h: TileAxis;
  readonly w: TileAxis;
  readonly points: number;
  /** Tiles of all images. */
  readonly tiles: number;
  /** Depth of the products: channels × plain taps. */
  readonly depth: number;
}

const SINGLE: TileAxis = {
  short: shortConvolution(1, 1),
  m: 1,
  n: 1,
  spacing: 1,
  tiles: 1,
  first: 0,
  plain: [0],
  taps: [[0]],
};

/**
 * Outputs of a tile: F(7, 2) was off by 330·2⁻²⁴·Σ|x·w| where F(6, 3), with as many points, stays
 * under 100.
 */
const MOST_OUTPUTS = 6;

/**
 * Long kernels are cut into parts that are summed: `count` taps each, such that the fewest products
 * are left; 1 if that cannot be.
 */
function cut(taps: number, points: number): { count: number; parts: number } {
  const products = (count: number) => Math.ceil(taps / count) / (points - count + 1);
  const counts = Array.from(
    { length: Math.min(taps, points - 1) },
    (_, i) => Math.min(taps, points - 1) - i,
  ).filter((c) => points - c < MOST_OUTPUTS);
  const count = counts.reduce(
    (best, c) => (products(c) < products(best) ? c : best),
    counts[0] ?? 1,
  );
  return { count, parts: Math.ceil(taps / count) };
}

const tilingsOf = remembered<Gather, Map<string, Tiling[] | string>>(() => new Map());

/**
 * How `points` points a tile, along `dims` axes, divide each phase; or why they cannot. Worked out
 * once for each source and size.
 */
export function tilings(source: Gather, points: number, dims: number): Tiling[] | string {
  const of = tilingsOf(source);
  const key = `${points},${dims}`;
  const result = of.get(key) ?? divide(source, points, dims);
  of.set(key, result);
  return result;
}

/**
 * How the tiles of a convolution without strides serve its gradient to the weight, where each pair
 * of tiles makes all taps; or why they cannot.
 */
export function gradWeightTiling(g: ConvGeometry, points: number, dims: number): Tiling | string {
  const source = gatherAll(g);
  if (leavesTaps(source)) return UNSEEN;
  const all = tilings(source, points, dims);
  if (typeof all === "string") return all;
  return all[0].axes.some((x) => x.n > 1 && x.plain.length > 1)
    ? "does without strides, and without long kernels"
    : all[0];
}

function divide(source: Gather, points: number, dims: number): Tiling[] | string {
  const rank = source.kernel.length;
  if (!sizeOf([source.n, source.from, source.to, ...source.output]))
    return "has nothing to compute";
  if (!source.phases.every(tapCount)) return "leaves no outputs without taps";
  const phases = source.phases.map((phase) => {
    const axes = phase.taps.map((t, a) => {
      // Taps that are a whole number of outputs apart make a short convolution; with a stride there
      // are several such classes.
      const step = source.step[a];
      const delta = Math.abs(t.delta);
      const classes = Math.min(t.count, step / gcd(step, delta));
      const tap = (j: number) =>
        j < t.count ? t.tapFirst + (t.delta < 0 ? t.count - 1 - j : j) * t.tapDelta : -1;
      const all = Math.ceil(t.count / classes);
      const { count, parts } = cut(all, points);
      return {
        a,
        step,
        delta,
        classes,
        tap,
        count,
        parts,
        first: t.first + Math.min(0, (t.count - 1) * t.delta),
      };
    });
    // The innermost axes that have something to gain: several taps, and a neighbor at their
    // distance for some output.
    const chosen = axes
      .filter(
        ({ a, count, classes, delta, step }) =>
          a >= rank - 2 && count > 1 && (classes * delta) / step < phase.grid[a],
      )
      .slice(-dims);
    return axes.map((axis): TileAxis => {
      const { a, step, delta, classes, tap, count, parts, first } = axis;
      const grid = phase.grid[a];
      if (!chosen.includes(axis)) {
        const plain = Array.from({ length: phase.taps[a].count }, (_, j) => j);
        return {
          ...SINGLE,
          tiles: grid,
          first,
          plain: plain.map((j) => j * delta),
          taps: plain.map((j) => [tap(j)]),
        };
      }
      const m = points - count + 1;
      // Part by part, and in each class by class.
      const start = (i: number) => (i % classes) + Math.floor(i / classes) * count * classes;
      const spacing = (classes * delta) / step;
      return {
        short: shortConvolution(m, count),
        m,
        n: points,
        spacing,
        tiles: spacing * Math.ceil(Math.ceil(grid / spacing) / m),
        first,
        plain: Array.from({ length: classes * parts }, (_, i) => start(i) * delta),
        taps: Array.from({ length: classes * parts }, (_, i) =>
          Array.from({ length: count }, (_, k) => tap(start(i) + k * classes)),
        ),
      };
    });
  });
  if (!phases.every((axes) => axes.filter((x) => x.n > 1).length === dims))
    return `needs ${dims} inner axes with several taps at the outputs' distance`;
  // Tiles reach past the last output: there must be zeros.
  const padded = source.padded.map((size, a) =>
    Math.max(
      size,
      ...phases.map(
        ({ [a]: x }) =>
          (x.spacing - 1 + x.spacing * (x.m * Math.ceil(x.tiles / x.spacing) - 1)) *
            source.step[a] +
          x.first +
          1 +
          (x.n - x.m) * x.spacing * source.step[a] +
          x.plain.at(-1)!,
      ),
    ),
  );
  const g = { ...source, padded };
  return source.phases.map((phase, i) => {
    const axes = phases[i];
    const [h, w] = [axes.at(-2) ?? SINGLE, axes.at(-1)!];
    return {
      g,
      phase,
      axes,
      h,
      w,
      points: h.n * w.n,
      tiles: g.n * sizeOf(axes.map((x) => x.tiles)),
      depth: g.from * sizeOf(axes.map((x) => x.plain.length)),
    };
  });
}
