// The vocabulary of padding: numbers, and the names that TensorFlow, Keras, PyTorch and ONNX have
// for what depends on sizes.

import { kindOf, message, shapeError } from "@conv/tensor";
import { mustBeWhole } from "./check.ts";

/** One number for all axes, or one per axis. */
export type PerAxis = number | readonly number[];

/**
 * Names of paddings. With span = (kernel − 1)·dilation + 1 and total = max(0, (⌈input/stride⌉ −
 * 1)·stride + span − input):
 *
 *     valid          nothing: the kernel stays inside (a narrow convolution)
 *     full           span − 1 on both sides: every overlap counts (a wide convolution)
 *     same           total, the odd one at the end: outputs are ⌈input/stride⌉. TensorFlow's and Keras's "same"
 *     same-upper     the same under ONNX's name, SAME_UPPER
 *     same-lower     total, the odd one at the beginning: ONNX's SAME_LOWER
 *     same-pytorch   span − 1 in all, the odd one at the end; stride 1 only: PyTorch's "same"
 *     causal         span − 1 before: an output sees nothing that comes after it. Keras's "causal"
 */
export type PaddingName =
  | "valid"
  | "full"
  | "same"
  | "same-upper"
  | "same-lower"
  | "same-pytorch"
  | "causal";

/** Padding of one axis: on both sides, `[lo, hi]`, or by name. */
export type AxisPadding = number | readonly [number, number] | PaddingName;

/** Padding of all axes: one number or name for all, or a list with an entry for each. */
export type Padding = number | PaddingName | readonly AxisPadding[];

/** All names, in the order in which they are explained. */
export const paddingNames: readonly PaddingName[] = [
  "valid",
  "full",
  "same",
  "same-upper",
  "same-lower",
  "same-pytorch",
  "causal",
];

/**
 * The customary name of a spatial axis: `w`, `h` `w` or `d` `h` `w` for up to three of them, its
 * number beyond.
 */
export const axisName = (rank: number, axis: number): string =>
  rank <= 3 ? "dhw".slice(-rank).charAt(axis) : `${axis}`;

/** One entry per axis; throws ShapeError unless each is a whole number ≥ `min`. */
export function perAxis(
  op: string,
  what: string,
  value: PerAxis,
  rank: number,
  min: number,
): number[] {
  if (typeof value !== "number" && !Array.isArray(value))
    throw shapeError(
      op,
      "per-axis",
      message`${{ what }} is ${{ kind: kindOf(value) }}, must be a whole number ≥ ${{ min }} or a list of ${{ rank }}, one for each spatial axis`,
    );
  const list = typeof value === "number" ? Array.from({ length: rank }, () => value) : [...value];
  mustHaveEach(op, what, list, rank);
  list.forEach((v, a) => mustBeWhole(op, what, v, min, axisName(rank, a)));
  return list;
}

function mustHaveEach(op: string, what: string, list: readonly unknown[], rank: number): void {
  if (list.length !== rank)
    throw shapeError(
      op,
      "entries",
      message`${{ what }} has ${{ entries: list.length }} entries for ${{ axes: rank }} spatial axes`,
    );
}

/** Input cells that a kernel with dilation covers: (kernel − 1)·dilation + 1. */
export const spanOf = (kernel: readonly number[], dilation: readonly number[]): number[] =>
  kernel.map((k, a) => (k - 1) * dilation[a] + 1);

/** The padding of each axis. */
export const paddingPerAxis = (padding: Padding, rank: number): readonly AxisPadding[] =>
  Array.isArray(padding) ? padding : Array.from({ length: rank }, () => padding as AxisPadding);

/** Whether it makes as many outputs as ⌈input/stride⌉. */
export const keepsSize = (padding: AxisPadding): boolean =>
  padding === "same" || padding === "same-upper" || padding === "same-lower";

/**
 * Padding before and after each axis. Throws ShapeError for a negative number, and for PyTorch's
 * "same" with a stride.
 */
export function resolvePadding(
  op: string,
  padding: Padding,
  input: readonly number[],
  span: readonly number[],
  stride: readonly number[],
): { padLo: number[]; padHi: number[] } {
  const rank = input.length;
  const list = paddingPerAxis(padding, rank);
  mustHaveEach(op, "padding", list, rank);
  const pairs = list.map((p, a) => {
    if (typeof p === "string")
      return namedPadding(op, p, input[a], span[a], stride[a], axisName(rank, a));
    if (typeof p !== "number" && !(Array.isArray(p) && p.length === 2))
      throw shapeError(
        op,
        "padding-kind",
        message`padding is ${{ kind: kindOf(p) }}, must be a whole number ≥ 0, a pair [before, after] or a name`,
        axisName(rank, a),
      );
    const pair = typeof p === "number" ? ([p, p] as const) : p;
    for (const v of pair) mustBeWhole(op, "padding", v, 0, axisName(rank, a));
    return pair;
  });
  return { padLo: pairs.map(([lo]) => lo), padHi: pairs.map(([, hi]) => hi) };
}

function namedPadding(
  op: string,
  name: PaddingName,
  input: number,
  span: number,
  stride: number,
  axis: string,
): readonly [number, number] {
  const total = Math.max(0, (Math.ceil(input / stride) - 1) * stride + span - input);
  const [less, more] = [total >> 1, total - (total >> 1)];
  switch (name) {
    case "valid":
      return [0, 0];
    case "full":
      return [span - 1, span - 1];
    case "same":
    case "same-upper":
      return [less, more];
    case "same-lower":
      return [more, less];
    case "same-pytorch":
      if (stride !== 1)
        throw shapeError(
          op,
          "same-pytorch-stride",
          message`padding "same-pytorch" takes stride 1 only, as PyTorch does, got ${{ stride }}`,
          axis,
        );
      return [(span - 1) >> 1, span - 1 - ((span - 1) >> 1)];
    case "causal":
      return [span - 1, 0];
  }
  throw shapeError(
    op,
    "padding-name",
    message`padding ${{ name: JSON.stringify(name) }} is none of ${{ known: paddingNames.join(", ") }}`,
    axis,
  );
}
