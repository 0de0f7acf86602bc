// Convolution (cross-correlation, as in every CNN) as the three partial derivatives of one
// trilinear form T(x, w, y). The gradient of each is the other two, so gradients of any order come
// without further code.

import {
  apply,
  bytesOf,
  checkOptions,
  hostArray,
  message,
  shapeError,
  spec,
  type Arg,
  type Cost,
  type Op,
  type Spec,
} from "@conv/tensor";
import { mustBeWhole, mustDivide, mustMatch, spatialRank } from "./check.ts";
import {
  axisName,
  convGeometry,
  eachTerm,
  keepsSize,
  paddingPerAxis,
  perAxis,
  precisionOf,
  resolvePadding,
  spanOf,
  windowsOf,
  wShape,
  xShape,
  yShape,
} from "./geometry.ts";
import type { ConvGeometry, ConvOptions, PerAxis } from "./geometry.ts";

/** Names of {@link ConvOptions}. */
const CONV = "stride padding dilation groups precision";

type Role = "x" | "w" | "y";
const shapeOf: Record<Role, (g: ConvGeometry) => number[]> = { x: xShape, w: wShape, y: yShape };

/** The derivative of T with respect to `out`, a function of the other two. */
/* @__NO_SIDE_EFFECTS__ */
function derivative(
  name: string,
  roles: readonly [Role, Role],
  out: Role,
  vjp: Op<ConvGeometry>["vjp"],
): Op<ConvGeometry> {
  return {
    name,
    infer(inputs, g) {
      roles.forEach((role, i) => mustMatch(name, role, inputs[i], shapeOf[role](g)));
      return [spec(shapeOf[out](g))];
    },
    reference([a, b], g) {
      const result = hostArray(spec(shapeOf[out](g)));
      const of = (role: Role) => (role === out ? result : role === roles[0] ? a : b).data;
      const [xs, ws, ys] = [of("x"), of("w"), of("y")];
      const term: Record<Role, (x: number, w: number, y: number) => void> = {
        x: (x, w, y) => (xs[x] += ws[w] * ys[y]),
        w: (x, w, y) => (ws[w] += xs[x] * ys[y]),
        y: (x, w, y) => (ys[y] += xs[x] * ws[w]),
      };
      eachTerm(g, term[out]);
      return [result];
    },
    vjp,
    cost: (inputs, g) => convCost(inputs, spec(shapeOf[out](g)), g),
    window: windows[out],
  };
}

// The customary count, n·oc·|output|·(ic/groups)·|kernel|, which counts products with padding too.
function convCost(inputs: readonly Spec[], output: Spec, g: ConvGeometry): Cost {
  const macs = [g.n, g.oc, ...g.output, g.ic / g.groups, ...g.kernel].reduce((a, b) => a * b, 1);
  return {
    macs,
    flops: 2 * macs,
    bytesRead: bytesOf(inputs[0]) + bytesOf(inputs[1]),
    bytesWritten: bytesOf(output),
  };
}

const windows: Record<Role, Op<ConvGeometry>["window"]> = {
  y: windowsOf,
  x: (g) => windowsOf(g).map((w) => ({ ...w, transposed: true })),
  w: undefined,
};

/** y = ∂T/∂y of inputs (x, w). */
export const convOp: Op<ConvGeometry> = derivative(
  "conv",
  ["x", "w"],
  "y",
  ({ inputs: [x, w], params }, [dy]) => [
    ...apply(convGradInputOp, params, [dy, w]),
    ...apply(convGradWeightOp, params, [dy, x]),
  ],
);

/**
 * dx = ∂T/∂x of inputs (dy, w): the gradient of convolution to its input, and transposed
 * convolution.
 */
export const convGradInputOp: Op<ConvGeometry> = derivative(
  "convGradInput",
  ["y", "w"],
  "x",
  ({ inputs: [dy, w], params }, [ct]) => [
    ...apply(convOp, params, [ct, w]),
    ...apply(convGradWeightOp, params, [dy, ct]),
  ],
);

/** dw = ∂T/∂w of inputs (dy, x). */
export const convGradWeightOp: Op<ConvGeometry> = derivative(
  "convGradWeight",
  ["y", "x"],
  "w",
  ({ inputs: [dy, x], params }, [ct]) => [
    ...apply(convOp, params, [x, ct]),
    ...apply(convGradInputOp, params, [dy, ct]),
  ],
);

/**
 * Convolution at any rank: x (n, ic, …input), w (oc, ic/groups, …kernel) → (n, oc, …output),
 * PyTorch's layout and defaults.
 * `groups = ic` is depthwise. Throws ShapeError where the geometry does not fit.
 */
export function conv<T extends Arg>(x: T, w: T, options?: ConvOptions): T {
  checkOptions("conv", options, CONV);
  return apply(convOp, convGeometry(x.spec, w.spec, options), [x, w])[0];
}

export interface ConvTransposeOptions extends ConvOptions {
  /** Rows added at the end of each axis; must be smaller than stride or dilation, as in PyTorch. */
  readonly outputPadding?: PerAxis | undefined;
  /** Sizes of the output, as PyTorch's `output_size`: chooses outputPadding. */
  readonly outputSize?: PerAxis | undefined;
}

/**
 * Transposed convolution, the gradient of `conv` to its input: x (n, ic, …input), w (ic, oc/groups,
 * …kernel) → (n, oc, …output) with output = (input − 1)·stride − padLo − padHi + (kernel −
 * 1)·dilation + 1 + outputPadding. Padding by name is that of the convolution whose gradient it is;
 * with "same" and its like the output is input·stride.
 */
export function convTranspose<T extends Arg>(x: T, w: T, options: ConvTransposeOptions = {}): T {
  checkOptions("convTranspose", options, `${CONV} outputPadding outputSize`);
  return apply(convGradInputOp, convTransposeGeometry(x.spec, w.spec, options), [x, w])[0];
}

/**
 * The geometry of the convolution whose gradient to the input `convTranspose(x, w, options)` is:
 * its y is our x.
 */
export function convTransposeGeometry(
  x: Spec,
  w: Spec,
  options: ConvTransposeOptions = {},
): ConvGeometry {
  const op = "convTranspose";
  const {
    stride = 1,
    padding = 0,
    dilation = 1,
    groups = 1,
    outputPadding,
    outputSize,
    precision,
  } = options;
  const rank = spatialRank(op, x);
  if (w.shape.length !== rank + 2)
    throw shapeError(
      op,
      "weight-rank",
      message`weight has ${{ weight: w.shape.length }} axes, input has ${{ input: x.shape.length }}`,
    );
  const [n, channels, ...output] = x.shape as [number, number, ...number[]];
  const [oc, icg, ...kernel] = w.shape as [number, number, ...number[]];
  if (oc !== channels)
    throw shapeError(
      op,
      "weight-channels",
      message`weight takes ${{ weight: oc }} channels, input has ${{ input: channels }}`,
    );
  mustBeWhole(op, "groups", groups, 1);
  mustDivide(op, "input channels", oc, groups);
  if (outputPadding !== undefined && outputSize !== undefined)
    throw shapeError(
      op,
      "output-size-twice",
      message`outputPadding and outputSize exclude each other; give one of them`,
    );
  perAxis(op, "kernel", kernel, rank, 1);
  const s = perAxis(op, "stride", stride, rank, 1);
  const d = perAxis(op, "dilation", dilation, rank, 1);
  const given =
    outputPadding === undefined ? null : perAxis(op, "outputPadding", outputPadding, rank, 0);
  const wanted = outputSize === undefined ? null : perAxis(op, "outputSize", outputSize, rank, 1);
  const span = spanOf(kernel, d);
  const kept = paddingPerAxis(padding, rank).map(keepsSize);
  const whole = output.map((size, a) => size * s[a]);
  const { padLo, padHi } = resolvePadding(op, padding, whole, span, s);
  const input = output.map((size, a) => {
    const axis = axisName(rank, a);
    const least = (size - 1) * s[a] - padLo[a] - padHi[a] + span[a];
    const end =
      wanted?.[a] ?? (given ? least + given[a] : kept[a] ? Math.max(least, whole[a]) : least);
    const most = Math.max(s[a], d[a]) - 1;
    if (given && given[a] > most)
      throw shapeError(
        op,
        "output-padding-too-large",
        message`outputPadding ${{ outputPadding: given[a] }} must be smaller than stride ${{ stride: s[a] }} or dilation ${{ dilation: d[a] }}; use at most ${{ most }}`,
        axis,
      );
    if (wanted && (end < least || end > least + most))
      throw shapeError(
        op,
        "output-size",
        message`outputSize ${{ outputSize: end }} cannot be reached; use ${{ least }} to ${{ most: least + most }}`,
        axis,
      );
    if (size > 0 && end < 1)
      throw shapeError(
        op,
        "output-empty",
        message`padding ${{ padLo: padLo[a] }} + ${{ padHi: padHi[a] }} leaves output size ${{ size: end }}; use less padding`,
        axis,
      );
    return Math.max(0, end);
  });
  return {
    n,
    groups,
    ic: icg * groups,
    oc,
    input,
    kernel,
    output,
    stride: s,
    dilation: d,
    padLo,
    padHi,
    ...precisionOf(op, precision),
  };
}
