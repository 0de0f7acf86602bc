// Ops whose values come from parameters, a seed or labels, and which therefore have no gradient.

import {
  apply,
  bytesOf,
  formatShape,
  hostArray,
  isOp,
  message,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Op,
  type Value,
} from "@conv/tensor";
import { mustBeWhole, streamCost } from "./check.ts";

export interface ShapeParams {
  readonly shape: readonly number[];
}

export interface FullParams extends ShapeParams {
  /** Finite. */
  readonly value: number;
}

/** (nothing) → y of `shape`, every element `value`. */
export const fullOp: Op<FullParams> = {
  name: "full",
  infer(_, { shape, value }) {
    if (!Number.isFinite(value))
      throw shapeError("full", "not-finite", message`value ${{ value }} is not finite`);
    return [spec(shape)];
  },
  reference: (_, { shape, value }) => [
    hostArray(spec(shape), new Float64Array(sizeOf(shape)).fill(value)),
  ],
  vjp: () => [],
  cost: (_, { shape }) => streamCost([], spec(shape)),
};

/** A traced constant: every element of `shape` is `value`, which must be finite. */
export const full = (shape: readonly number[], value: number): Value =>
  apply<FullParams, Value>(fullOp, { shape: [...shape], value }, [])[0];

/** The value of a constant made by {@link full}, or null. */
export const constantOf = (v: Value): number | null =>
  v.node && isOp(v.node, fullOp) ? v.node.params.value : null;

/**
 * The 32-bit finaliser "lowbias32" of Chris Wellons' hash-prospector (public domain), on unsigned
 * integers modulo 2³².
 */
function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * seed (int32 [2]) → y of `shape`, uniform in [0, 1), independent of order and device: with all
 * arithmetic modulo 2³²,
 *
 *     k0 = mix(seed[0] + 0x9e3779b9)        y[i] = (mix(mix(i ^ k0) ^ k1) >>> 8) · 2⁻²⁴
 *     k1 = mix(mix(k0) ^ seed[1])           mix(x): x ^= x >>> 16; x *= 0x7feb352d; x ^= x >>> 15; x *= 0x846ca68b; x ^= x >>> 16
 *
 * where i is the flat index. Two keyed rounds, so that streams of neighboring seeds are not
 * permutations of each other.
 */
export const randomOp: Op<ShapeParams> = {
  name: "random",
  infer([seed], { shape }) {
    if (seed.dtype !== "int32" || seed.shape.length !== 1 || seed.shape[0] !== 2)
      throw shapeError(
        "random",
        "seed-spec",
        message`seed is ${{ dtype: seed.dtype }} ${{ shape: formatShape(seed.shape) }}, must be int32 2`,
      );
    return [spec(shape)];
  },
  reference([{ data: seed }], { shape }) {
    const out = hostArray(spec(shape));
    const k0 = mix(seed[0] + 0x9e3779b9);
    const k1 = mix(mix(k0) ^ seed[1]);
    for (let i = 0; i < out.data.length; i++)
      out.data[i] = (mix(mix(i ^ k0) ^ k1) >>> 8) * 2 ** -24;
    return [out];
  },
  vjp: () => [null],
  // Integer arithmetic is not counted: one scaling per element is left.
  cost: (inputs, { shape }) => streamCost(inputs, spec(shape), sizeOf(shape)),
};

/**
 * Uniform numbers k·2⁻²⁴ in [0, 1), a function of the seed (int32, two elements) and the position
 * alone.
 */
export const random = <T extends Arg>(seed: T, shape: readonly number[]): T =>
  apply(randomOp, { shape: [...shape] }, [seed])[0];

export interface OneHotParams {
  readonly classes: number;
}

/**
 * labels (int32, …s) → y (…s, classes): 1 where the last index equals the label, else 0. A label
 * out of range gives zeros.
 */
export const oneHotOp: Op<OneHotParams> = {
  name: "oneHot",
  infer([labels], { classes }) {
    if (labels.dtype !== "int32")
      throw shapeError(
        "oneHot",
        "labels-dtype",
        message`labels are ${{ dtype: labels.dtype }}, must be int32`,
      );
    mustBeWhole("oneHot", "classes", classes, 1);
    return [spec([...labels.shape, classes])];
  },
  reference([labels], { classes }) {
    const out = hostArray(spec([...labels.shape, classes]));
    labels.data.forEach((label, i) => {
      if (label >= 0 && label < classes) out.data[i * classes + label] = 1;
    });
    return [out];
  },
  vjp: () => [null],
  cost: ([labels], { classes }) => ({
    macs: 0,
    flops: sizeOf(labels.shape) * classes,
    bytesRead: bytesOf(labels),
    bytesWritten: bytesOf(labels) * classes,
  }),
};

/** Labels (int32, any shape) as rows of 0 with a single 1, along a new last axis. */
export const oneHot = <T extends Arg>(labels: T, classes: number): T =>
  apply(oneHotOp, { classes }, [labels])[0];
