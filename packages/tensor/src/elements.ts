// Numbers from outside as elements of a dtype, checked: their kind, their count and their range.

import { encodeElements, infoOf, type Elements } from "./dtypes.ts";
import { kindOf, message, shapeError } from "./errors.ts";
import { formatShape, sizeOf, type Spec } from "./spec.ts";

/**
 * The values as elements for a spec. Values in the array type of the dtype are taken as they are:
 * for float16 and bfloat16 these are bits. Throws ShapeError unless there are exactly as many
 * numbers as the shape holds, and each fits an integer dtype; floating-point types round.
 */
export function elementsOf(
  op: string,
  values: ArrayLike<number>,
  { shape, dtype }: Spec,
): Elements {
  const typed = ArrayBuffer.isView(values) && "length" in values;
  if (!typed && !Array.isArray(values))
    throw shapeError(
      op,
      "values-kind",
      message`the values are ${{ got: kindOf(values) }}, must be a list of numbers or a typed array`,
    );
  if (values.length !== sizeOf(shape))
    throw shapeError(
      op,
      "values-count",
      message`${{ got: values.length }} values do not fill shape ${{ shape: formatShape(shape) }}, which holds ${{ size: sizeOf(shape) }}`,
    );
  const { Array: Type, range } = infoOf(dtype);
  if (values instanceof Type) return values;
  for (let index = 0; index < values.length; index++) {
    const v: unknown = values[index];
    if (typeof v !== "number")
      throw shapeError(
        op,
        "value-kind",
        message`value ${{ index }} is ${{ got: kindOf(v) }}, not a number; pass nested lists flat, with their shape`,
      );
    if (range && !(Number.isInteger(v) && v >= range[0] && v <= range[1]))
      throw shapeError(
        op,
        "value-range",
        message`value ${{ index }} is ${{ value: v }}; ${{ dtype }} holds whole numbers from ${{ min: range[0] }} to ${{ max: range[1] }}`,
      );
  }
  return encodeElements(dtype, values);
}
