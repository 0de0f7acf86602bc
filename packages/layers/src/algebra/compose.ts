// Two convolutions with no activation between are one: b(a(x)) = c(x). Output o of b reads output p = o·sb − pb + k·db of a, which
// reads input p·sa − pa + j·da; together o·sa·sb − (pa + sa·pb) + (k·db·sa + j·da).

import { axisName, walk } from "@conv/ops";
import { hostArray, shapeError, sizeOf, spec, stridesOf, type HostArray } from "@conv/tensor";
import { settle, type Convolution, type Settled } from "./convolution.ts";

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * The one convolution that does what `a` and then `b` do, for every input: stride sa·sb, padding pa + sa·pb on each side, taps at
 * all k·db·sa + j·da (their greatest common divisor is its dilation; where no pair (k, j) falls its weight is 0), groups gcd(ga, gb),
 * bias bb + Σ wb·ba.
 *
 * Exact always where `b` has no padding. Where it has, its zeros stand for outputs of `a` that were never made: `a` itself must give zero
 * there, which is to say have no bias, see nothing but padding before its first output (span ≤ stride + padding) and after its last
 * (span ≤ 1 + padding). Throws ShapeError where it does not, where channels do not meet, and for other numbers of axes.
 */
export function compose(a: Convolution, b: Convolution): Convolution {
  const first = settle("compose", a);
  const second = settle("compose", b);
  if (first.rank !== second.rank) throw shapeError("compose", `the first convolution has ${first.rank} spatial axes, the second ${second.rank}`);
  if (first.oc !== second.ic) throw shapeError("compose", `the first convolution gives ${first.oc} channels, the second takes ${second.ic}`);
  mustGiveZero(a.bias, first, second);
  const axes = [...first.kernel.keys()];
  const inner = axes.map((i) => (first.kernel[i] > 1 ? first.dilation[i] : 0));
  const outer = axes.map((i) => (second.kernel[i] > 1 ? second.dilation[i] * first.stride[i] : 0));
  const dilation = axes.map((i) => gcd(inner[i], outer[i]) || 1);
  const kernel = axes.map((i) => ((first.kernel[i] - 1) * inner[i] + (second.kernel[i] - 1) * outer[i]) / dilation[i] + 1);
  const pad = (side: "padLo" | "padHi", i: number) => first[side][i] + first.stride[i] * second[side][i];
  const bias = biasOf(a.bias, b, second);
  return {
    weight: weightOf(a.weight, first, b.weight, second, kernel, [
      inner.map((step, i) => step / dilation[i]),
      outer.map((step, i) => step / dilation[i]),
    ]),
    ...(bias && { bias }),
    stride: axes.map((i) => first.stride[i] * second.stride[i]),
    padding: axes.map((i) => [pad("padLo", i), pad("padHi", i)] as const),
    dilation,
    groups: gcd(first.groups, second.groups),
  };
}

/** Throws ShapeError unless `a` gives zero wherever `b` pads. */
function mustGiveZero(bias: HostArray | undefined, a: Settled, b: Settled): void {
  b.kernel.forEach((_, i) => {
    const sides = [
      { padding: b.padLo[i], own: a.padLo[i], reach: a.stride[i], where: "before" },
      { padding: b.padHi[i], own: a.padHi[i], reach: 1, where: "after" },
    ];
    for (const { padding, own, reach, where } of sides) {
      if (padding === 0) continue;
      if (a.span[i] > reach + own)
        throw shapeError(
          "compose",
          `padding ${padding} of the second convolution is zeros ${where} the input, where the first, of span ${a.span[i]} with padding ${own}, still sees the input`,
          axisName(b.rank, i),
        );
      if (bias?.data.some((v) => v !== 0))
        throw shapeError(
          "compose",
          `padding ${padding} of the second convolution is zeros ${where} the input, where the first has its bias`,
          axisName(b.rank, i),
        );
    }
  });
}

/** c[o, i, k·outer + j·inner] = Σ_m b[o, m, k] · a[m, i, j]; the steps are in taps of c. */
function weightOf(
  a: HostArray,
  first: Settled,
  b: HostArray,
  second: Settled,
  kernel: readonly number[],
  [inner, outer]: readonly number[][],
): HostArray {
  const groups = gcd(first.groups, second.groups);
  const [icgA, icgB] = [a.shape[1], b.shape[1]];
  const icg = first.ic / groups;
  const w = hostArray(spec([second.oc, icg, ...kernel]));
  const steps = stridesOf(kernel);
  const [tapsA, tapsB, taps] = [sizeOf(first.kernel), sizeOf(second.kernel), sizeOf(kernel)];
  const places = (size: readonly number[], step: readonly number[]): number[] => {
    const list: number[] = [];
    walk(size, [step.map((by, i) => by * steps[i])], (_, [at]) => list.push(at));
    return list;
  };
  const [atA, atB] = [places(first.kernel, inner), places(second.kernel, outer)];
  for (let o = 0; o < second.oc; o++) {
    const from = Math.floor(o / (second.oc / groups)) * icg;
    for (let c = 0; c < icgB; c++) {
      const m = Math.floor(o / (second.oc / second.groups)) * icgB + c;
      const i = Math.floor(m / (first.oc / first.groups)) * icgA - from;
      for (let d = 0; d < icgA; d++)
        for (let k = 0; k < tapsB; k++) {
          const factor = b.data[(o * icgB + c) * tapsB + k];
          const base = (o * icg + i + d) * taps + atB[k];
          for (let j = 0; j < tapsA; j++) w.data[base + atA[j]] += factor * a.data[(m * icgA + d) * tapsA + j];
        }
    }
  }
  return w;
}

/** bb[o] + Σ_{m, k} b[o, m, k] · ba[m]; none where neither has one. */
function biasOf(ba: HostArray | undefined, { weight, bias }: Convolution, { oc, kernel, groups }: Settled): HostArray | undefined {
  if (!ba && !bias) return undefined;
  const [icg, taps] = [weight.shape[1], sizeOf(kernel)];
  return hostArray(
    spec([oc]),
    Float64Array.from({ length: oc }, (_, o) => {
      let sum = bias?.data[o] ?? 0;
      if (ba)
        for (let c = 0; c < icg; c++) {
          const m = Math.floor(o / (oc / groups)) * icg + c;
          for (let k = 0; k < taps; k++) sum += weight.data[(o * icg + c) * taps + k] * ba.data[m];
        }
      return sum;
    }),
  );
}
