// Convolution forward and gradient to the input are one thing: each output gathers a fixed set of taps from a padded source.
// The gradient with stride s falls into sᵈ phases: outputs with equal remainder see the same taps, at step 1 in the source.

import type { ConvGeometry } from "@conv/ops";
import { stridesOf } from "@conv/tensor";

/** Taps along one axis: tap `tapFirst + j·tapDelta` of the kernel meets source coordinate `t·step + first + j·delta`, 0 ≤ j < count. */
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
  /** Sizes of the source, zeros before it, and sizes that the taps reach (zeros after it included). */
  readonly source: readonly number[];
  readonly lo: readonly number[];
  readonly padded: readonly number[];
  readonly step: readonly number[];
  readonly outStep: readonly number[];
  readonly output: readonly number[];
  readonly phases: readonly Phase[];
  /** Elements of w between neighbouring output channels and source channels (of one group). */
  readonly wTo: number;
  readonly wFrom: number;
}

export const volume = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1);
export const gcd = (a: number, b: number): number => (b ? gcd(b, a % b) : a);

/** Remembers what was made of an object: every kernel that is asked wants the same of the same geometry. */
export function remembered<K extends object, V>(make: (key: K) => V): (key: K) => V {
  const made = new WeakMap<K, V>();
  return (key) => {
    const known = made.get(key) ?? make(key);
    made.set(key, known);
    return known;
  };
}

export const gatherForward = remembered((g: ConvGeometry): Gather => {
  const icg = g.ic / g.groups;
  const t = volume(g.kernel);
  return {
    n: g.n,
    groups: g.groups,
    from: icg,
    to: g.oc / g.groups,
    kernel: g.kernel,
    source: g.input,
    lo: g.padLo,
    padded: g.output.map((o, a) => Math.max(0, (o - 1) * g.stride[a]!) + (g.kernel[a]! - 1) * g.dilation[a]! + 1),
    step: g.stride,
    outStep: g.kernel.map(() => 1),
    output: g.output,
    phases: [
      {
        grid: g.output,
        origin: g.kernel.map(() => 0),
        taps: g.kernel.map((count, a) => ({ count, first: 0, delta: g.dilation[a]!, tapFirst: 0, tapDelta: 1 })),
      },
    ],
    wTo: icg * t,
    wFrom: t,
  };
});

/** dx[i] = Σ w[k]·dy[(i + padLo − k·d) / s] over the taps where the division is exact. */
export const gatherGradInput = remembered((g: ConvGeometry): Gather => {
  const icg = g.ic / g.groups;
  const t = volume(g.kernel);
  const axes = g.input.map((size, a) => {
    const s = g.stride[a]!;
    const d = g.dilation[a]!;
    const tapDelta = s / gcd(s, d);
    return Array.from({ length: Math.min(s, Math.max(1, size)) }, (_, r) => {
      const reach = r + g.padLo[a]!;
      const tapFirst = Array.from({ length: Math.min(tapDelta, g.kernel[a]!) }, (_, k) => k).find((k) => (reach - k * d) % s === 0);
      const count = tapFirst === undefined ? 0 : Math.ceil((g.kernel[a]! - tapFirst) / tapDelta);
      const first = tapFirst === undefined ? 0 : (reach - tapFirst * d) / s;
      return {
        origin: r,
        grid: Math.ceil(Math.max(0, size - r) / s),
        taps: { count, first, delta: -(tapDelta * d) / s, tapFirst: tapFirst ?? 0, tapDelta },
      };
    });
  });
  const lo = axes.map((phases) => Math.max(0, ...phases.filter((p) => p.taps.count).map((p) => -(p.taps.first + (p.taps.count - 1) * p.taps.delta))));
  const padded = axes.map((phases, a) => Math.max(1, ...phases.filter((p) => p.taps.count && p.grid).map((p) => lo[a]! + p.taps.first + p.grid)));
  let phases: Phase[] = [{ grid: [], origin: [], taps: [] }];
  axes.forEach((own, a) => {
    phases = phases.flatMap((p) =>
      own.map(({ origin, grid, taps }) => ({
        grid: [...p.grid, grid],
        origin: [...p.origin, origin],
        taps: [...p.taps, { ...taps, first: taps.count ? taps.first + lo[a]! : 0 }],
      })),
    );
  });
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

/** A kernel as large as its input is seen once: its taps are as good as channels, of a 1×1 convolution on one position. */
export const unfold = remembered((g: ConvGeometry): ConvGeometry => {
  if (!g.kernel.every((k, a) => k === g.input[a] && g.output[a] === 1 && g.padLo[a] === 0 && g.padHi[a] === 0 && g.dilation[a] === 1)) return g;
  const one = [1];
  return { ...g, ic: g.ic * volume(g.kernel), input: one, kernel: one, output: one, stride: one, dilation: one, padLo: [0], padHi: [0] };
});

/**
 * Merges neighbouring axes along which a 1-wide kernel slides over everything: a 1×1 convolution becomes one long row. Without
 * `unfolding` the channels stay what they are.
 */
export const collapse = (g: ConvGeometry, unfolding = true): ConvGeometry => merged(unfolding ? unfold(g) : g);

const merged = remembered((g: ConvGeometry): ConvGeometry => {
  const plain = (a: number) => g.kernel[a] === 1 && g.stride[a] === 1 && g.padLo[a] === 0 && g.padHi[a] === 0;
  const a = g.kernel.findIndex((_, i) => i > 0 && plain(i) && plain(i - 1));
  if (a < 0) return g;
  const merge = (list: readonly number[], value: number) => [...list.slice(0, a - 1), value, ...list.slice(a + 1)];
  return merged({
    ...g,
    input: merge(g.input, g.input[a - 1]! * g.input[a]!),
    output: merge(g.output, g.output[a - 1]! * g.output[a]!),
    kernel: merge(g.kernel, 1),
    stride: merge(g.stride, 1),
    dilation: merge(g.dilation, 1),
    padLo: merge(g.padLo, 0),
    padHi: merge(g.padHi, 0),
  });
});

/** Taps that an output of the phase sees. */
export const tapCount = (phase: Phase): number => volume(phase.taps.map((t) => t.count));

/** Whether the taps leave the source anywhere, so that a copy with zeros around it is needed. */
export const needsPadding = (g: Pick<Gather, "lo" | "padded" | "source">): boolean => g.lo.some((v, a) => v > 0 || g.padded[a]! > g.source[a]!);

/** Sizes of the source as it will be read, and elements between neighbours. */
export function readLayout(g: Pick<Gather, "lo" | "padded" | "source">): { sizes: readonly number[]; strides: number[]; plane: number } {
  const sizes = needsPadding(g) ? g.padded : g.source;
  return { sizes, strides: stridesOf(sizes), plane: volume(sizes) };
}
