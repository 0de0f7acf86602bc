// Convolution forward and gradient to the input are one thing: each output gathers a fixed set of
// taps from a padded source. The gradient with stride s falls into sᵈ phases: outputs with equal
// remainder see the same taps, at step 1 in the source.

import { convGradInputOp, convOp } from "@conv/ops";
import type { ConvGeometry, WindowGeometry } from "@conv/ops";
import { sizeOf, stridesOf } from "@conv/tensor";
import { combinations } from "./axes.ts";
import type { Task } from "./task.ts";

/**
 * Taps along one axis: tap `tapFirst + j·tapDelta` of the kernel meets source coordinate `t·step +
 * first + j·delta`, 0 ≤ j < count.
 */
export interface AxisTaps {
  readonly count: number;
  readonly first: number;
  readonly delta: number;
  readonly tapFirst: number;
  readonly tapDelta: number;
}

/** Outputs `origin + t·outStep`, 0 ≤ t < grid. */
export interface Phase {
  readonly grid: readonly number[];
  readonly origin: readonly number[];
  readonly taps: readonly AxisTaps[];
}

export interface Gather {
  readonly n: number;
  readonly groups: number;
  /** Channels per group of the source and of the output. */
  readonly from: number;
  readonly to: number;
  readonly kernel: readonly number[];
  /**
   * Sizes of the source, zeros before it, and sizes that the taps reach (zeros after it included).
   */
  readonly source: readonly number[];
  readonly lo: readonly number[];
  readonly padded: readonly number[];
  readonly step: readonly number[];
  readonly outStep: readonly number[];
  readonly output: readonly number[];
  readonly phases: readonly Phase[];
  /** Elements of w between neighboring output channels and source channels (of one group). */
  readonly wTo: number;
  readonly wFrom: number;
}

export const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : a);

/**
 * Remembers what was made of an object: every kernel that is asked wants the same of the same
 * geometry.
 */
export function remembered<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}

/** A run of whole numbers. */
interface Run {
  readonly first: number;
  readonly count: number;
}

/** The run from the first to the last of 0 … count−1 that `wanted` names. */
function runOf(count: number, wanted: (i: number) => boolean): Run {
  let [first, last] = [0, count - 1];
  while (first <= last && !wanted(first)) first++;
  while (last > first && !wanted(last)) last--;
  return { first, count: last - first + 1 };
}

/** Whether one of start, start + step, … (so many) is one of 0 … size−1. */
const meets = (start: number, step: number, count: number, size: number): boolean => {
  const at = start >= 0 ? start : start + Math.ceil(-start / step) * step;
  return at < size && at <= start + (count - 1) * step;
};

/**
 * A padded copy may have so many times the elements of source and outputs. At stride 1 it never
 * has, along up to three axes.
 */
const MOST_PADDING = 16;

/**
 * Taps that lie in the padding for every output are left out. Where the padded copy would still be
 * far larger than the tensors (a large stride over much padding), so are outputs that see nothing
 * else: they become phases without taps.
 */
export const gatherForward = remembered((g: ConvGeometry): Gather => {
  const whole = gatherAll(g);
  if (sizeOf(whole.padded) <= MOST_PADDING * (sizeOf(g.input) + sizeOf(g.output))) return whole;
  const sees = (a: number, o: number) =>
    meets(o * g.stride[a] - g.padLo[a], g.dilation[a], g.kernel[a], g.input[a]);
  return forward(
    g,
    g.output.map((outputs, a) => runOf(outputs, (o) => sees(a, o))),
  );
});

/** All outputs as one phase. */
export const gatherAll = remembered((g: ConvGeometry): Gather => forward(g));

/**
 * What windows read along one axis: the source with `lo` zeros before it, in all `padded` elements,
 * by these taps.
 */
export interface Reading {
  readonly lo: number;
  readonly padded: number;
  readonly taps: AxisTaps;
}

/**
 * Along each axis the taps that see anything from some output (of the run given), and what they
 * read.
 */
export function readings(
  g: WindowGeometry,
  outputs: readonly Run[] = g.output.map((count) => ({ first: 0, count })),
): Reading[] {
  const runs = g.kernel.map((kernel, a) =>
    runOf(kernel, (k) =>
      meets(
        outputs[a].first * g.stride[a] + k * g.dilation[a] - g.padLo[a],
        g.stride[a],
        outputs[a].count,
        g.input[a],
      ),
    ),
  );
  const nothing = runs.some((run) => run.count === 0);
  return runs.map((run, a) => {
    const [{ first, count }, delta] = [outputs[a], g.dilation[a]];
    if (nothing)
      return { lo: 0, padded: 1, taps: { count: 0, first: 0, delta, tapFirst: 0, tapDelta: 1 } };
    const at = first * g.stride[a] + run.first * delta - g.padLo[a];
    const lo = Math.max(0, -at);
    return {
      lo,
      padded: lo + at + (count - 1) * g.stride[a] + (run.count - 1) * delta + 1,
      taps: { count: run.count, first: lo + at, delta, tapFirst: run.first, tapDelta: 1 },
    };
  });
}

/** Outputs of a run along each axis; the others are phases without taps. */
function forward(g: ConvGeometry, outputs?: readonly Run[]): Gather {
  const icg = g.ic / g.groups;
  const t = sizeOf(g.kernel);
  const axes = readings(g, outputs);
  const parts = axes.map(({ taps }, a): { grid: number; origin: number; taps: AxisTaps }[] => {
    const { first, count } = outputs?.[a] ?? { first: 0, count: g.output[a] };
    const none = { ...taps, count: 0 };
    return [
      { grid: count, origin: first, taps },
      { grid: first, origin: 0, taps: none },
      { grid: g.output[a] - first - count, origin: first + count, taps: none },
    ].filter((part, i) => !i || part.grid > 0);
  });
  return {
    n: g.n,
    groups: g.groups,
    from: icg,
    to: g.oc / g.groups,
    kernel: g.kernel,
    source: g.input,
    lo: axes.map((x) => x.lo),
    padded: axes.map((x) => x.padded),
    step: g.stride,
    outStep: g.kernel.map(() => 1),
    output: g.output,
    phases: product(parts),
    wTo: icg * t,
    wFrom: t,
  };
}

/** The phases that parts of each axis make. */
const product = (
  parts: readonly (readonly { grid: number; origin: number; taps: AxisTaps }[])[],
): Phase[] =>
  combinations(parts).map((axes) => ({
    grid: axes.map((x) => x.grid),
    origin: axes.map((x) => x.origin),
    taps: axes.map((x) => x.taps),
  }));

/** dx[i] = Σ w[k]·dy[(i + padLo − k·d) / s] over the taps where the division is exact. */
export const gatherGradInput = remembered((g: ConvGeometry): Gather => {
  const icg = g.ic / g.groups;
  const t = sizeOf(g.kernel);
  const axes = g.input.map((size, a) => {
    const s = g.stride[a];
    const d = g.dilation[a];
    const tapDelta = s / gcd(s, d);
    return Array.from({ length: Math.min(s, Math.max(1, size)) }, (_, r) => {
      const reach = r + g.padLo[a];
      const tapFirst = Array.from({ length: Math.min(tapDelta, g.kernel[a]) }, (_, k) => k).find(
        (k) => (reach - k * d) % s === 0,
      );
      const grid = Math.ceil(Math.max(0, size - r) / s);
      const delta = -(tapDelta * d) / s;
      const all = tapFirst === undefined ? 0 : Math.ceil((g.kernel[a] - tapFirst) / tapDelta);
      const first = tapFirst === undefined ? 0 : (reach - tapFirst * d) / s;
      const run = runOf(all, (j) => meets(first + j * delta, 1, grid, g.output[a]));
      return {
        origin: r,
        grid,
        taps: {
          count: run.count,
          first: first + run.first * delta,
          delta,
          tapFirst: (tapFirst ?? 0) + run.first * tapDelta,
          tapDelta,
        },
      };
    });
  });
  const lo = axes.map((phases) =>
    Math.max(
      0,
      ...phases
        .filter((p) => p.taps.count)
        .map((p) => -(p.taps.first + (p.taps.count - 1) * p.taps.delta)),
    ),
  );
  const padded = axes.map((phases, a) =>
    Math.max(
      1,
      ...phases.filter((p) => p.taps.count && p.grid).map((p) => lo[a] + p.taps.first + p.grid),
    ),
  );
  const phases = product(
    axes.map((own, a) =>
      own.map(({ taps, ...p }) => ({
        ...p,
        taps: { ...taps, first: taps.count ? taps.first + lo[a] : 0 },
      })),
    ),
  );
  return {
    n: g.n,
    groups: g.groups,
    from: g.oc / g.groups,
    to: icg,
    kernel: g.kernel,
    source: g.output,
    lo,
    padded,
    step: g.stride.map(() => 1),
    outStep: g.stride,
    output: g.input,
    phases: phases.filter((p) => p.grid.every((v) => v > 0)),
    wTo: t,
    wFrom: icg * t,
  };
});

/**
 * A kernel as large as its input is seen once: its taps are as good as channels, of a 1×1
 * convolution on one position.
 */
export const unfold = remembered((g: ConvGeometry): ConvGeometry => {
  if (
    !g.kernel.every(
      (k, a) =>
        k === g.input[a] &&
        g.output[a] === 1 &&
        g.padLo[a] === 0 &&
        g.padHi[a] === 0 &&
        g.dilation[a] === 1,
    )
  )
    return g;
  const one = [1];
  return {
    ...g,
    ic: g.ic * sizeOf(g.kernel),
    input: one,
    kernel: one,
    output: one,
    stride: one,
    dilation: one,
    padLo: [0],
    padHi: [0],
  };
});

/**
 * Merges neighboring axes along which a 1-wide kernel slides over everything: a 1×1 convolution
 * becomes one long row. Without
 * `unfolding` the channels stay what they are.
 */
export const collapse = (g: ConvGeometry, unfolding = true): ConvGeometry =>
  merged(unfolding ? unfold(g) : g);

const merged = remembered((g: ConvGeometry): ConvGeometry => {
  const plain = (a: number) =>
    g.kernel[a] === 1 && g.stride[a] === 1 && g.padLo[a] === 0 && g.padHi[a] === 0;
  const a = g.kernel.findIndex((_, i) => i > 0 && plain(i) && plain(i - 1));
  if (a < 0) return g;
  const merge = (list: readonly number[], value: number) => [
    ...list.slice(0, a - 1),
    value,
    ...list.slice(a + 1),
  ];
  return merged({
    ...g,
    input: merge(g.input, g.input[a - 1] * g.input[a]),
    output: merge(g.output, g.output[a - 1] * g.output[a]),
    kernel: merge(g.kernel, 1),
    stride: merge(g.stride, 1),
    dilation: merge(g.dilation, 1),
    padLo: merge(g.padLo, 0),
    padHi: merge(g.padHi, 0),
  });
});

/** Taps that an output of the phase sees. */
export const tapCount = (phase: Phase): number => sizeOf(phase.taps.map((t) => t.count));

/** Whether any taps of a single phase have been left out. */
export const leavesTaps = ({ phases: [{ taps }], kernel }: Gather): boolean =>
  taps.some((t, a) => t.count < kernel[a]);
/** Why a gradient to the weight is left to the kernel that makes zeros too. */
export const UNSEEN = "leaves out no taps that see padding only";

/** Whether the taps leave the source anywhere, so that a copy with zeros around it is needed. */
export const needsPadding = (g: Pick<Gather, "lo" | "padded" | "source">): boolean =>
  g.lo.some((v, a) => v > 0 || g.padded[a] > g.source[a]);

/** Sizes of the source as it will be read, and elements between neighbors. */
export function readLayout(g: Pick<Gather, "lo" | "padded" | "source">): {
  sizes: readonly number[];
  strides: number[];
  plane: number;
} {
  const sizes = needsPadding(g) ? g.padded : g.source;
  return { sizes, strides: stridesOf(sizes), plane: sizeOf(sizes) };
}

/**
 * The geometry as kernels see it. The channels of a gradient that has a value per channel added to
 * it must stay what they are.
 */
export const collapsedOf = (task: Task<ConvGeometry>): ConvGeometry =>
  collapse(
    task.params,
    task.op === convOp || !task.epilogue?.operands.some((o) => o.along === "channel"),
  );

export const gatherOf = (task: Task<ConvGeometry>): Gather =>
  (task.op === convOp ? gatherForward : gatherGradInput)(collapsedOf(task));

export const isConvOrGradInput = (task: Task): boolean =>
  task.op === convOp || task.op === convGradInputOp;
