// The judge of whole networks: the graph in float64, node by node, with a convolution that shares
// no code with any kernel.

import { convOp, type ConvGeometry } from "@conv/ops";
import { hostArray, isOp, spec, type Graph, type HostArray, type Value } from "@conv/tensor";
import type { Verdict } from "./verify.ts";

/**
 * Largest error accepted, of the standard deviation of the outputs. Float32 kernels stay under
 * 10⁻⁵, Winograd F(6×6, 3×3) under 10⁻³.
 */
export const TOLERANCE = 2 ** -8;
/** The same for networks in float16, where every value has a relative error of 2⁻¹¹. */
export const TOLERANCE_F16 = 2 ** -3;

/** The outputs of a graph of float32 inputs. All ops but convolution by their references. */
export function evaluate64(graph: Graph, inputs: readonly Float32Array[]): Float64Array {
  const known = new Map<Value, HostArray>(
    graph.inputs.map((v, i) => [v, hostArray(v.spec, Float64Array.from(inputs[i]))]),
  );
  const users = new Map<Value, number>();
  for (const n of graph.nodes) for (const v of n.inputs) users.set(v, (users.get(v) ?? 0) + 1);
  for (const n of graph.nodes) {
    const given = n.inputs.map((v) => known.get(v)!);
    const results = isOp(n, convOp)
      ? [conv64(given[0], given[1], n.params)]
      : n.op.reference(given, n.params);
    n.outputs.forEach((v, i) => known.set(v, results[i]));
    for (const v of n.inputs) {
      users.set(v, users.get(v)! - 1);
      if (!users.get(v) && !graph.outputs.includes(v)) known.delete(v);
    }
  }
  return known.get(graph.outputs[0])!.data;
}

/**
 * Two-dimensional convolution: for each tap of the kernel, scaled rows of four channels of x are
 * added to a row of y, where they lie inside x.
 */
function conv64({ data: x }: HostArray, { data: w }: HostArray, g: ConvGeometry): HostArray {
  const y = hostArray(spec([g.n, g.oc, ...g.output]));
  const [[ih, iw], [kh, kw], [oh, ow], [sh, sw], [dh, dw], [pt, pl]] = [
    g.input,
    g.kernel,
    g.output,
    g.stride,
    g.dilation,
    g.padLo,
  ];
  const [icg, ocg, taps, plane] = [g.ic / g.groups, g.oc / g.groups, kh * kw, ih * iw];
  for (let n = 0; n < g.n; n++)
    for (let oc = 0; oc < g.oc; oc++)
      for (let tap = 0; tap < taps; tap++) {
        const [k, l] = [Math.floor(tap / kw), tap % kw];
        const [top, bottom] = inside(ih, oh, sh, pt - k * dh);
        const [left, right] = inside(iw, ow, sw, pl - l * dw);
        for (let c = 0; c < icg; c += 4) {
          const [w0, w1, w2, w3] = [0, 1, 2, 3].map((i) =>
            c + i < icg ? w[(oc * icg + c + i) * taps + tap] : 0,
          );
          // weights of 0 read the first channel again
          const skip = [1, 2, 3].map((i) => (c + i < icg ? i * plane : 0));
          const from =
            (n * g.ic + Math.floor(oc / ocg) * icg + c) * plane + left * sw - pl + l * dw;
          for (let i = top; i < bottom; i++) {
            const to = ((n * g.oc + oc) * oh + i) * ow;
            addRows(
              y.data,
              to + left,
              to + right,
              x,
              from + (i * sh - pt + k * dh) * iw,
              sw,
              skip,
              w0,
              w1,
              w2,
              w3,
            );
          }
        }
      }
  return y;
}

/** y[to … end) += Σ wᵢ · x[from + skipᵢ …], x in steps of `stride`. */
function addRows(
  y: Float64Array,
  to: number,
  end: number,
  x: Float64Array,
  from: number,
  stride: number,
  [s1, s2, s3]: readonly number[],
  ...[w0, w1, w2, w3]: readonly number[]
): void {
  for (let at = from; to < end; to++, at += stride)
    y[to] += w0 * x[at] + w1 * x[at + s1] + w2 * x[at + s2] + w3 * x[at + s3];
}

/** The outputs o in [first, last) of `outputs` with 0 ≤ o·stride − offset < input. */
const inside = (
  input: number,
  outputs: number,
  stride: number,
  offset: number,
): [number, number] => [
  Math.max(0, Math.ceil(offset / stride)),
  Math.min(outputs, Math.floor((input - 1 + offset) / stride) + 1),
];

/** The expected outputs of some images of a batch. */
export interface ExpectedBatch {
  readonly batch: number;
  readonly images: readonly number[];
  readonly outputs: readonly Float64Array[];
}

/**
 * The outputs of a network for the first and the last image of a batch. They do not depend on the
 * other images, so large batches need not take minutes.
 */
export function evaluateBatch64(
  single: Graph,
  batch: number,
  [images, ...weights]: readonly Float32Array[],
): ExpectedBatch {
  const chosen = [...new Set([0, batch - 1])];
  const size = images.length / batch;
  return {
    batch,
    images: chosen,
    outputs: chosen.map((i) =>
      evaluate64(single, [images.subarray(i * size, (i + 1) * size), ...weights]),
    ),
  };
}

/**
 * Judges the chosen images of a batch by {@link judgeOutputs}, and checks that all other outputs
 * are finite.
 */
export function judgeBatch(
  { batch, images, outputs }: ExpectedBatch,
  got: Float32Array,
  tolerance = TOLERANCE,
): Verdict {
  const width = outputs[0].length;
  const refuse = (reason: string): Verdict => ({
    verified: false,
    error: Infinity,
    checked: images.length * width,
    reason,
  });
  if (got.length !== batch * width)
    return refuse(`${got.length} outputs, expected ${batch * width}`);
  const odd = got.findIndex((v) => !Number.isFinite(v));
  if (odd >= 0) return refuse(`output ${odd} is ${got[odd]}`);
  const verdicts = images.map((image, i) =>
    judgeOutputs(outputs[i], got.subarray(image * width, (image + 1) * width), tolerance),
  );
  return (
    verdicts.find((v) => !v.verified) ?? {
      verified: true,
      error: Math.max(...verdicts.map((v) => v.error)),
      checked: images.length * width,
    }
  );
}

/**
 * Rejects a wrong number of outputs, any that is not finite, and any with an error of more than
 * `tolerance` standard deviations of all.
 */
export function judgeOutputs(
  expected: Float64Array,
  got: Float32Array,
  tolerance = TOLERANCE,
): Verdict {
  const refuse = (reason: string, error = Infinity): Verdict => ({
    verified: false,
    error,
    checked: expected.length,
    reason,
  });
  if (got.length !== expected.length)
    return refuse(`${got.length} outputs, expected ${expected.length}`);
  const odd = got.findIndex((v) => !Number.isFinite(v));
  if (odd >= 0) return refuse(`output ${odd} is ${got[odd]}`);
  const average = expected.reduce((a, b) => a + b, 0) / expected.length;
  const deviation = Math.sqrt(
    expected.reduce((sum, v) => sum + (v - average) ** 2, 0) / expected.length,
  );
  const off = expected.map((v, i) => Math.abs(v - got[i]));
  const at = off.indexOf(off.reduce((a, b) => Math.max(a, b), 0));
  const error = off[at] / deviation;
  if (!(error <= tolerance))
    return refuse(
      `output ${at} is ${got[at]}, expected ${expected[at]}: off by ${error.toExponential(1)} ` +
        "standard deviations of all",
      error,
    );
  return { verified: true, error, checked: expected.length };
}
