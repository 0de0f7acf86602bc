// Conversion between element types.

import {
  apply,
  hostArray,
  infoOf,
  isFloating,
  mustBeDType,
  roundTo,
  sizeOf,
  spec,
  type Arg,
  type DType,
  type Op,
} from "@conv/tensor";
import { streamCost } from "./check.ts";

export interface CastParams {
  readonly dtype: DType;
}

/**
 * x → y of another dtype. To a floating-point dtype: rounded to the nearest, ties to even. From a
 * floating-point dtype to an integer one: rounded toward 0, then limited to its range; NaN gives 0.
 * From an integer dtype to another: the lowest bits, as in PyTorch. The gradient passes between
 * floating-point dtypes.
 */
export const castOp: Op<CastParams> = {
  name: "cast",
  infer([x], { dtype }) {
    mustBeDType("cast", dtype);
    return [spec(x.shape, dtype)];
  },
  reference([x], { dtype }) {
    const { range } = infoOf(dtype);
    const limited = (v: number) =>
      Number.isNaN(v) ? 0 : Math.trunc(Math.min(range![1], Math.max(range![0], v))) + 0;
    const convert = range && isFloating(x.dtype) ? limited : (v: number) => roundTo(dtype, v);
    return [hostArray(spec(x.shape, dtype), x.data.map(convert))];
  },
  vjp: ({ inputs: [x], params }, [ct]) => [
    isFloating(x.dtype) && isFloating(params.dtype) ? cast(ct, x.dtype) : null,
  ],
  cost: ([x], { dtype }) => streamCost([x], spec(x.shape, dtype), sizeOf(x.shape)),
  simplify: ([x], { dtype }) => (x.dtype === dtype ? x : null),
};

/** The elements converted to a dtype; see {@link castOp}. Throws ShapeError for an unknown dtype. */
export const cast = <T extends Arg>(x: T, dtype: DType): T => apply(castOp, { dtype }, [x])[0];
