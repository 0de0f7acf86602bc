// A low-rank approximation of a convolution by cheaper ones, from a truncated singular value
// decomposition, with its exact error. Spatial: Jaderberg, Vedaldi and Zisserman, "Speeding up
// Convolutional Neural Networks with Low Rank Expansions", BMVC 2014, scheme 2. Depthwise: the sums
// of depthwise separable convolutions of Guo, Li, Lin, Chen and Li, "Network Decoupling", BMVC
// 2018, along the principal directions of the input channels instead of the channels themselves.

import { transpose } from "@conv/ops";
import {
  checkOptions,
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
import { effortOf, settle, type Convolution, type Effort, type Settled } from "./convolution.ts";
import { svd } from "./svd.ts";

export interface SeparateOptions {
  /**
   * "spatial": kh×1, then 1×kw. "depthwise": 1×1 to `rank` channels, a depthwise convolution with
   * one filter for each of them, then 1×1.
   */
  readonly kind: "spatial" | "depthwise";
  /** Channels between the parts. */
  readonly rank: number;
  /** Spatial sizes of the input, for the counts. */
  readonly input: readonly number[];
}

export interface Separated {
  /** Convolutions to apply in sequence; the last has the bias. */
  readonly parts: readonly Convolution[];
  /**
   * Relative error ‖W − W′‖ / ‖W‖ in the Frobenius norm, where W′ is the weight of all parts
   * composed.
   */
  readonly error: number;
  /** The rank at which the error is 0. */
  readonly fullRank: number;
  readonly before: Effort;
  readonly after: Effort;
}

/** `parts` for a rank, and the squares of all singular values, in descending order. */
interface Terms {
  readonly squares: readonly number[];
  parts(rank: number): Convolution[];
}

/**
 * Splits a convolution into cheaper ones through `rank` channels, and returns the error. The error
 * falls with the rank and is 0 at the full rank: min(ic·kh, oc·kw) for "spatial", min(ic,
 * oc·taps)·min(oc, taps) for "depthwise", where the parts may cost more than the original. Throws
 * ShapeError for a convolution with groups, a rank outside 1 … full rank, and "spatial" with other
 * than two spatial axes.
 */
export function separate(convolution: Convolution, options: SeparateOptions): Separated {
  checkOptions("separate", options, "kind rank input");
  const { kind, rank, input } = options;
  const settled = settle("separate", convolution);
  if (settled.groups !== 1)
    throw shapeError(
      "separate",
      "groups",
      message`the convolution has ${{ groups: settled.groups }} groups; separate one group at a time`,
    );
  const { squares, parts: make } = (kind === "spatial" ? spatial : depthwise)(convolution, settled);
  if (!Number.isInteger(rank) || rank < 1 || rank > squares.length)
    throw shapeError(
      "separate",
      "separation-rank",
      message`rank ${{ rank }} is not a whole number from 1 to ${{ most: squares.length }}`,
    );
  const parts = make(rank);
  const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);
  const all = sum(squares);
  return {
    parts,
    error: all > 0 ? Math.sqrt(sum(squares.slice(rank)) / all) : 0,
    fullRank: squares.length,
    before: effortOf([convolution], input),
    after: effortOf(parts, input),
  };
}

/**
 * W[o, i, k, l] ≈ Σ_r V[r, i, k] · H[o, r, l]: the best approximation of rank r, from the singular
 * value decomposition of W as a matrix (ic·kh, oc·kw).
 */
function spatial(
  { weight, bias }: Convolution,
  { rank: axes, ic, oc, kernel: [kh, kw], stride, dilation, padLo, padHi }: Settled,
): Terms {
  if (axes !== 2)
    throw shapeError(
      "separate",
      "spatial-rank",
      message`the convolution has ${{ axes }} spatial axes, kind "spatial" needs 2`,
    );
  const matrix = permuted(weight, [1, 2, 0, 3]);
  const { s, u, v } = svd(matrix, ic * kh, oc * kw);
  return {
    squares: [...s].map((value) => value * value),
    parts: (rank) => [
      {
        weight: filled([rank, ic, kh, 1], (r, ik) => Math.sqrt(s[r]) * u[r][ik]),
        stride: [stride[0], 1],
        padding: [[padLo[0], padHi[0]] as const, [0, 0] as const],
        dilation: [dilation[0], 1],
      },
      {
        weight: filled(
          [oc, rank, 1, kw],
          (o, rl) => Math.sqrt(s[Math.floor(rl / kw)]) * v[Math.floor(rl / kw)][o * kw + (rl % kw)],
        ),
        ...(bias && { bias }),
        stride: [1, stride[1]],
        padding: [[0, 0] as const, [padLo[1], padHi[1]] as const],
        dilation: [1, dilation[1]],
      },
    ],
  };
}

/**
 * W[o, i, k] ≈ Σ_r A[o, r] · D[r, k] · B[r, i]. W as a matrix (ic, oc·taps) gives orthonormal
 * directions b_j of the input channels. W applied to each is a matrix (oc, taps), whose
 * decomposition gives orthogonal terms a·dᵀ. All terms of all directions are orthogonal, so the
 * squared error is the sum of the squared singular values of the dropped terms. The largest are
 * kept.
 */
function depthwise(
  { weight, bias }: Convolution,
  { ic, oc, kernel, stride, dilation, padLo, padHi }: Settled,
): Terms {
  const taps = sizeOf(kernel);
  const matrix = permuted(weight, [1, 0, ...kernel.map((_, i) => i + 2)]);
  const directions = svd(matrix, ic, oc * taps);
  const terms = [...directions.s.keys()]
    .flatMap((j) => {
      const { s, u, v } = svd(
        directions.v[j].map((value) => value * directions.s[j]),
        oc,
        taps,
      );
      return [...s.keys()].map((t) => ({ weight: s[t], a: u[t], d: v[t], b: directions.u[j] }));
    })
    .toSorted((x, y) => y.weight - x.weight);
  const padding = kernel.map((_, i) => [padLo[i], padHi[i]] as const);
  const ones = kernel.map(() => 1);
  return {
    squares: terms.map((term) => term.weight ** 2),
    parts: (rank) => [
      { weight: filled([rank, ic, ...ones], (r, i) => terms[r].b[i]) },
      {
        weight: filled([rank, 1, ...kernel], (r, k) => Math.sqrt(terms[r].weight) * terms[r].d[k]),
        stride,
        padding,
        dilation,
        groups: rank,
      },
      {
        weight: filled([oc, rank, ...ones], (o, r) => Math.sqrt(terms[r].weight) * terms[r].a[o]),
        ...(bias && { bias }),
      },
    ],
  };
}

/** The values of an array with permuted axes. */
const permuted = (x: HostArray, order: readonly number[]): Float64Array =>
  evaluate(
    trace((v: Value) => transpose(v, order), [spec(x.shape)]),
    [x],
  )[0].data;

/** An array of values by the index on the first axis and the offset within it. */
function filled(
  shape: readonly number[],
  value: (first: number, rest: number) => number,
): HostArray {
  const size = sizeOf(shape.slice(1));
  return hostArray(
    spec(shape),
    Float64Array.from({ length: sizeOf(shape) }, (_, i) => value(Math.floor(i / size), i % size)),
  );
}
