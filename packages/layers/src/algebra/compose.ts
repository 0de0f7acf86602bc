// Two convolutions with no activation between them are equal to one: b(a(x)) = c(x). Output o of b
// reads output p = o·sb − pb + k·db of a, which reads input p·sa − pa + j·da. So output o of c
// reads input o·sa·sb − (pa + sa·pb) + (k·db·sa + j·da).

import { axisName, conv, flip, transpose, type ConvOptions } from "@conv/ops";
import {
  evaluate,
  hostArray,
  type HostArray,
  message,
  shapeError,
  sizeOf,
  spec,
  trace,
  type Value,
} from "@conv/tensor";
import { convolve, settle, type Convolution, type Settled } from "./convolution.ts";

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * One convolution equal to `a` followed by `b`, for every input. Its stride is sa·sb, its padding
 * pa + sa·pb on each side, its groups gcd(ga, gb), its bias bb + Σ wb·ba. Its taps are at k·db·sa +
 * j·da for all pairs (k, j); its dilation is the greatest common divisor of these, and taps without
 * a pair have the weight 0.
 *
 * The result is always exact if `b` has no padding. If `b` pads, its zeros replace outputs of `a`
 * outside of its range, which must also be zero: `a` must have no bias, and must read only padding
 * before its first output (span ≤ stride + padding) and after its last (span ≤ 1 + padding). Throws
 * ShapeError if this does not hold, if `b` does not take the channels that `a` returns, or if the
 * numbers of axes differ.
 */
export function compose(a: Convolution, b: Convolution): Convolution {
  const first = settle("compose", a);
  const second = settle("compose", b);
  if (first.rank !== second.rank)
    throw shapeError(
      "compose",
      "rank",
      message`the first convolution has ${{ first: first.rank }} spatial axes, the second ${{ second: second.rank }}`,
    );
  if (first.oc !== second.ic)
    throw shapeError(
      "compose",
      "channels",
      message`the first convolution returns ${{ given: first.oc }} channels, the second takes ${{ taken: second.ic }}`,
    );
  mustGiveZero(a.bias, first, second);
  const axes = [...first.kernel.keys()];
  const inner = axes.map((i) => (first.kernel[i] > 1 ? first.dilation[i] : 0));
  const outer = axes.map((i) => (second.kernel[i] > 1 ? second.dilation[i] * first.stride[i] : 0));
  const dilation = axes.map((i) => gcd(inner[i], outer[i]) || 1);
  const pad = (side: "padLo" | "padHi", i: number) =>
    first[side][i] + first.stride[i] * second[side][i];
  const bias = biasOf(a.bias, b, second);
  return {
    weight: weightOf(a.weight, first, b.weight, second, [
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

/** Throws ShapeError unless outputs of `a` where `b` pads would be zero. */
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
          "padding-sees-input",
          message`the second convolution pads ${{ padding }} zeros ${{ where }} its input, where the first (span ${{ span: a.span[i] }}, padding ${{ own }}) reads input and would not return zeros; give the second no padding`,
          axisName(b.rank, i),
        );
      if (bias?.data.some((v) => v !== 0))
        throw shapeError(
          "compose",
          "padding-sees-bias",
          message`the second convolution pads ${{ padding }} zeros ${{ where }} its input, where the first would return its bias; give the second no padding or the first no bias`,
          axisName(b.rank, i),
        );
    }
  });
}

/**
 * c[o, i, k·outer + j·inner] = Σ_m b[o, m, k] · a[m, i, j], with `inner` and `outer` in taps of c.
 * This is the reversed response of both convolutions to a unit impulse in each input channel of a
 * group.
 */
function weightOf(
  a: HostArray,
  first: Settled,
  b: HostArray,
  second: Settled,
  [inner, outer]: readonly number[][],
): HostArray {
  const icg = first.ic / gcd(first.groups, second.groups);
  const spatial = first.kernel.map((_, i) => i + 2);
  const ones = Float64Array.from({ length: icg * first.ic }, (_, at) =>
    Number((at % first.ic) % icg === Math.floor(at / first.ic)),
  );
  const x = hostArray(spec([icg, first.ic, ...spatial.map(() => 1)]), ones);
  const full = ({ groups }: Settled, steps: readonly number[]): ConvOptions => ({
    padding: "full",
    groups,
    dilation: steps.map((step) => step || 1),
  });
  const answer = (v: Value, wa: Value, wb: Value) =>
    conv(conv(v, wa, full(first, inner)), wb, full(second, outer));
  const graph = trace(
    (...given: [Value, Value, Value]) =>
      flip(transpose(answer(...given), [1, 0, ...spatial]), spatial),
    [x, a, b].map((array) => spec(array.shape)),
  );
  return evaluate(graph, [x, a, b])[0];
}

/**
 * bb[o] + Σ_{m, k} b[o, m, k] · ba[m], which is `b` applied to the bias of `a`. Undefined if
 * neither has a bias.
 */
function biasOf(
  ba: HostArray | undefined,
  { weight, bias, groups }: Convolution,
  { ic, oc, kernel }: Settled,
): HostArray | undefined {
  if (!ba && !bias) return undefined;
  const taps = sizeOf(kernel);
  const x = hostArray(
    spec([1, ic, ...kernel]),
    Float64Array.from({ length: ic * taps }, (_, at) => ba?.data[Math.floor(at / taps)] ?? 0),
  );
  return hostArray(spec([oc]), convolve({ weight, bias, groups }, x).data);
}
