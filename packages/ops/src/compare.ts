// Comparisons, which give masks of uint8 (0 or 1), and the choice between two values by a mask.

import {
  apply,
  formatShape,
  hostArray,
  message,
  sameShape,
  shapeError,
  sizeOf,
  spec,
  type Arg,
  type Op,
  type Spec,
} from "@conv/tensor";
import { streamCost } from "./check.ts";
import { full } from "./create.ts";
import { broadcastShape } from "./elementwise.ts";
import { broadcastTo } from "./reduce.ts";

/** How a comparison relates its operands. */
export type Relation = "equal" | "notEqual" | "less" | "lessEqual" | "greater" | "greaterEqual";

export interface CompareParams {
  readonly relation: Relation;
}

const relations: Readonly<Record<Relation, (a: number, b: number) => boolean>> = {
  equal: (a, b) => a === b,
  notEqual: (a, b) => a !== b,
  less: (a, b) => a < b,
  lessEqual: (a, b) => a <= b,
  greater: (a, b) => a > b,
  greaterEqual: (a, b) => a >= b,
};

function mustAgree(op: string, a: Spec, b: Spec): void {
  if (a.dtype !== b.dtype)
    throw shapeError(
      op,
      "dtypes-differ",
      message`the operands are ${{ a: a.dtype }} and ${{ b: b.dtype }}; cast one to the dtype of the other`,
    );
  if (!sameShape(a.shape, b.shape))
    throw shapeError(
      op,
      "shapes-differ",
      message`the operands have shapes ${{ a: formatShape(a.shape) }} and ${{ b: formatShape(b.shape) }}`,
    );
}

/**
 * a, b of one dtype and shape → y uint8: 1 where the relation holds, else 0. With NaN only
 * `notEqual` holds. No gradient.
 */
export const compareOp: Op<CompareParams> = {
  name: "compare",
  infer([a, b], { relation }) {
    mustAgree(relation, a, b);
    return [spec(a.shape, "uint8")];
  },
  reference([a, b], { relation }) {
    const holds = relations[relation];
    return [
      hostArray(
        spec(a.shape, "uint8"),
        a.data.map((v, i) => Number(holds(v, b.data[i]))),
      ),
    ];
  },
  vjp: () => [null, null],
  cost: ([a, b]) => streamCost([a, b], spec(a.shape, "uint8"), sizeOf(a.shape)),
};

const comparison =
  (relation: Relation) =>
  <T extends Arg>(a: T, b: T): T =>
    apply(compareOp, { relation }, broadcast(relation, [a, b]))[0];

/** The operands broadcast to one shape. */
function broadcast<T extends Arg>(op: string, operands: readonly T[]): T[] {
  const shape = broadcastShape(
    op,
    operands.map((x) => x.shape),
  );
  return operands.map((x) => (sameShape(x.shape, shape) ? x : broadcastTo(x, shape)));
}

/** 1 where a = b, else 0, as uint8. Operands of one dtype; shapes broadcast. */
export const equal = /* @__PURE__ */ comparison("equal");
/** 1 where a ≠ b, else 0, as uint8; 1 where one is NaN. */
export const notEqual = /* @__PURE__ */ comparison("notEqual");
/** 1 where a < b, else 0, as uint8. */
export const less = /* @__PURE__ */ comparison("less");
/** 1 where a ≤ b, else 0, as uint8. */
export const lessEqual = /* @__PURE__ */ comparison("lessEqual");
/** 1 where a > b, else 0, as uint8. */
export const greater = /* @__PURE__ */ comparison("greater");
/** 1 where a ≥ b, else 0, as uint8. */
export const greaterEqual = /* @__PURE__ */ comparison("greaterEqual");

/**
 * condition (uint8), a, b → y: a where the condition is not 0, else b. a and b have one dtype, and
 * all have one shape. Gradients flow to the operand that is chosen.
 */
export const whereOp: Op<Record<string, never>> = {
  name: "where",
  infer([condition, a, b]) {
    if (condition.dtype !== "uint8")
      throw shapeError(
        "where",
        "condition-dtype",
        message`the condition is ${{ got: condition.dtype }}, must be uint8; use a comparison`,
      );
    mustAgree("where", a, b);
    if (!sameShape(condition.shape, a.shape))
      throw shapeError(
        "where",
        "shapes-differ",
        message`the condition has shape ${{ condition: formatShape(condition.shape) }}, the operands have ${{ operands: formatShape(a.shape) }}`,
      );
    return [a];
  },
  reference: ([condition, a, b]) => [
    hostArray(
      a,
      a.data.map((v, i) => (condition.data[i] ? v : b.data[i])),
    ),
  ],
  vjp({ inputs: [condition] }, [ct]) {
    const zero = full(ct.shape, 0);
    return [null, where(condition, ct, zero), where(condition, zero, ct)];
  },
  cost: (inputs) => streamCost(inputs, inputs[1], sizeOf(inputs[1].shape)),
};

/**
 * a where the condition (uint8) is not 0, else b. Shapes broadcast; a and b have one dtype. Throws
 * ShapeError.
 */
export const where = <T extends Arg>(condition: T, a: T, b: T): T =>
  apply(whereOp, {}, broadcast("where", [condition, a, b]))[0];
