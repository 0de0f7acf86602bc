// A convolution as plain data in float64, which the functions of the algebra take and return, and
// its conversions from a state and to layers.

import {
  axisName,
  conv,
  convGeometry,
  convOp,
  keepsSize,
  mustDivide,
  paddingPerAxis,
  perAxis,
  resolvePadding,
  spanOf,
  type ConvOptions,
} from "@conv/ops";
import {
  checkOptions,
  evaluate,
  formatShape,
  hostArray,
  type HostArray,
  message,
  sameShape,
  shapeError,
  sizeOf,
  spec,
  trace,
  type Value,
} from "@conv/tensor";
import { mustBe } from "../checks.ts";
import { sequential } from "../layers/basic.ts";
import { conv1d, conv2d, conv3d } from "../layers/conv.ts";
import type { Layer } from "../layers/layer.ts";
import type { Saved, State } from "../state/state.ts";

/** Geometry of a convolution. Padding is with zeros. */
export type Sliding = Pick<ConvOptions, "stride" | "padding" | "dilation" | "groups">;

/** A convolution with its values: weight (oc, ic/groups, …kernel) and optional bias (oc). */
export interface Convolution extends Sliding {
  readonly weight: HostArray;
  readonly bias?: HostArray | undefined;
}

/**
 * Sizes of a convolution that do not depend on its input; lists have one entry per spatial axis.
 */
export interface Settled {
  readonly rank: number;
  readonly groups: number;
  readonly ic: number;
  readonly oc: number;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly span: readonly number[];
  readonly padLo: readonly number[];
  readonly padHi: readonly number[];
}

/**
 * Checks a convolution without an input and returns its sizes. Throws ShapeError, also for a
 * padding by name that depends on the size of the input.
 */
export function settle(
  op: string,
  { weight, bias, stride = 1, padding = 0, dilation = 1, groups = 1 }: Convolution,
): Settled {
  if (weight.shape.length < 3)
    throw shapeError(
      op,
      "weight-rank",
      message`weight has ${{ axes: weight.shape.length }} axes, needs (oc, ic/groups, …kernel)`,
    );
  const [oc, icg, ...kernel] = weight.shape as [number, number, ...number[]];
  const rank = kernel.length;
  mustBe("a whole number ≥ 1", op, { groups });
  mustDivide(op, "output channels", oc, groups);
  if (bias && !sameShape(bias.shape, [oc]))
    throw shapeError(
      op,
      "bias-shape",
      message`bias has shape ${{ bias: formatShape(bias.shape) }}, weight has ${{ channels: oc }} output channels`,
    );
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  paddingPerAxis(padding, rank).forEach((p, a) => {
    if (keepsSize(p) && s[a] > 1)
      throw shapeError(
        op,
        "padding-needs-size",
        message`padding "${{ padding: String(p) }}" with stride ${{ stride: s[a] }} depends on the size of the input; give the padding as numbers`,
        axisName(rank, a),
      );
  });
  const span = spanOf(perAxis(op, "kernel", kernel, rank, 1), d);
  return {
    rank,
    groups,
    ic: icg * groups,
    oc,
    kernel,
    stride: s,
    dilation: d,
    span,
    ...resolvePadding(op, padding, kernel, span, s),
  };
}

/**
 * Applies a convolution to x (n, ic, …input) → (n, oc, …output), in float64, by the definition.
 * Throws ShapeError if x does not fit.
 */
export function convolve({ weight, bias, ...sliding }: Convolution, x: HostArray): HostArray {
  const graph = trace(
    (x: Value, w: Value) => conv(x, w, sliding),
    [spec(x.shape), spec(weight.shape)],
  );
  const [y] = evaluate(graph, [x, weight]);
  const [, oc, ...space] = y.shape;
  const size = sizeOf(space);
  return bias
    ? hostArray(
        y,
        y.data.map((v, at) => v + bias.data[Math.floor(at / size) % oc]),
      )
    : y;
}

/**
 * The number of parameters, with biases, and of multiply-accumulates for one sample. Products with
 * padding count, additions of biases do not.
 */
export interface Effort {
  readonly parameters: number;
  readonly macs: number;
}

/**
 * Counts for convolutions in sequence, for one sample of spatial sizes `input`. Throws ShapeError
 * if the input of one is too small.
 */
export function effortOf(convolutions: readonly Convolution[], input: readonly number[]): Effort {
  let [parameters, macs, space] = [0, 0, input];
  for (const { weight, bias, ...sliding } of convolutions) {
    const w = spec(weight.shape);
    const x = spec([1, weight.shape[1] * (sliding.groups ?? 1), ...space]);
    const geometry = convGeometry(x, w, sliding);
    parameters += sizeOf(weight.shape) + (bias ? sizeOf(bias.shape) : 0);
    macs += convOp.cost([x, w], geometry).macs;
    space = geometry.output;
  }
  return { parameters, macs };
}

/**
 * The convolution with the tensors `path.weight` and, if present, `path.bias` of a state. Throws
 * ShapeError if there is no weight.
 */
export function convolutionOf(state: State, path: string, sliding: Sliding = {}): Convolution {
  checkOptions("convolutionOf", sliding, "stride padding dilation groups");
  const weight = state.get(`${path}.weight`);
  if (!weight)
    throw shapeError("convolutionOf", "no-weight", message`the state has no ${{ path }}.weight`);
  const bias = state.get(`${path}.bias`);
  return { ...sliding, weight: toHost(weight), ...(bias && { bias: toHost(bias) }) };
}

/**
 * Convolutions as a sequence of layers named "0", "1", …, with their state in float32. Throws
 * ShapeError for more than three spatial axes.
 */
export function layersOf(convolutions: readonly Convolution[]): { layer: Layer; state: State } {
  const state: State = new Map();
  const parts = convolutions.map((convolution, i) => {
    const { rank, oc } = settle("layersOf", convolution);
    const make = [conv1d, conv2d, conv3d][rank - 1];
    if (!make)
      throw shapeError(
        "layersOf",
        "rank",
        message`the convolution has ${{ rank }} spatial axes, layers have at most 3`,
      );
    const { weight, bias, ...sliding } = convolution;
    state.set(`${i}.weight`, toSaved(weight));
    if (bias) state.set(`${i}.bias`, toSaved(bias));
    return make(oc, weight.shape.slice(2), { ...sliding, bias: bias !== undefined });
  });
  return { layer: sequential(parts), state };
}

export const toHost = ({ shape, data }: Saved): HostArray =>
  hostArray(spec(shape), Float64Array.from(data));

export const toSaved = ({ shape, data }: HostArray): Saved => ({
  shape,
  data: Float32Array.from(data),
});
