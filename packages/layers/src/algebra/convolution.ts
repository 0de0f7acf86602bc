// A convolution as plain data, in float64: what the algebra takes and returns, and the ways between
// it, a state and layers.

import {
  axisName,
  conv,
  convGeometry,
  convOp,
  keepsSize,
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

/** How a convolution slides over its input; zeros lie outside. */
export type Sliding = Pick<ConvOptions, "stride" | "padding" | "dilation" | "groups">;

/** A convolution with its numbers: weight (oc, ic/groups, …kernel), bias (oc) or none. */
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
 * Checks a convolution apart from any input. Throws ShapeError; so it does where padding is told in
 * words that need the size of the input.
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
  if (oc % groups)
    throw shapeError(
      op,
      "groups",
      message`${{ channels: oc }} output channels do not divide into ${{ groups }} groups`,
    );
  if (bias && !sameShape(bias.shape, [oc]))
    throw shapeError(
      op,
      "bias-shape",
      message`bias has shape ${{ bias: formatShape(bias.shape) }}, weight gives ${{ channels: oc }} channels`,
    );
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  paddingPerAxis(padding, rank).forEach((p, a) => {
    if (keepsSize(p) && s[a] > 1)
      throw shapeError(
        op,
        "padding-needs-size",
        message`padding "${{ padding: String(p) }}" with stride ${{ stride: s[a] }} depends on the size of the input; give numbers`,
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
 * What a convolution makes of x (n, ic, …input), in float64 by the definition. Throws ShapeError.
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
 * Numbers held, biases included, and multiply-accumulates of one sample, products with padding
 * included and biases not.
 */
export interface Effort {
  readonly parameters: number;
  readonly macs: number;
}

/**
 * What convolutions, one after the other, hold and do for one sample whose spatial sizes are
 * `input`. Throws ShapeError where one does not fit.
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
 * The convolution whose tensors a state holds as `path.weight` and, if there, `path.bias`. Throws
 * ShapeError where there is no weight.
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
 * Convolutions as layers one after the other, named "0", "1", …, with their state. Throws
 * ShapeError for more than three spatial axes.
 */
export function layersOf(convolutions: readonly Convolution[]): { layer: Layer; state: State } {
  const state: State = new Map();
  const parts = convolutions.map((convolution, i) => {
    const { rank, oc } = settle("layersOf", convolution);
    const make = [conv1d, conv2d, conv3d][rank - 1];
    if (!make)
      throw shapeError("layersOf", "rank", message`there is no layer for ${{ rank }} spatial axes`);
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
