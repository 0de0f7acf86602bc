// Comparisons and choices in all element types that compare, with equal elements among them.

import { input, spec, type DType, type Value } from "@conv/tensor";
import { opCase, type OpCase } from "./cases/case.ts";
import { applied, errorsOf, mapped, rule, type Rule, type Rules } from "./cases/rounding.ts";
import { compareOp, whereOp, type Relation } from "./compare.ts";

const relations: readonly Relation[] = [
  "equal",
  "notEqual",
  "less",
  "lessEqual",
  "greater",
  "greaterEqual",
];
const compared: readonly DType[] = ["float32", "int32", "uint8", "int8"];
const mask = (...shape: number[]): Value => input(spec(shape, "uint8"));

export const cases: readonly OpCase[] = [
  ...relations.flatMap((relation) =>
    compared.map((dtype) =>
      opCase(
        `${relation} of ${dtype}`,
        compareOp,
        { relation },
        [spec([5, 7], dtype), spec([5, 7], dtype)],
        {
          data: "ties",
          gradient: false,
        },
      ),
    ),
  ),
  opCase("of nothing", compareOp, { relation: "less" }, [spec([0, 3]), spec([0, 3])], {
    gradient: false,
  }),
  ...compared.map((dtype) =>
    opCase(
      `of ${dtype}`,
      whereOp,
      {},
      [mask(4, 9).spec, spec([4, 9], dtype), spec([4, 9], dtype)],
      {
        data: "ties",
        gradient: false,
      },
    ),
  ),
  opCase("of any mask", whereOp, {}, [mask(37).spec, spec([37]), spec([37])], { data: "normal" }),
];

/** What errors of the operands may decide otherwise is unknown. */
const decided: Rule = (_, [a, b]) => {
  if (!a.error && !b.error) return null;
  const [da, db] = [errorsOf(a).data, errorsOf(b).data];
  return mapped(a.value, (v, i) =>
    Math.abs(v - b.value.data[i]) > da[i] + db[i] || da[i] + db[i] === 0 ? 0 : NaN,
  );
};

/** The error of the operand that is chosen. */
const chosen: Rule = (node, [condition, a, b]) =>
  a.error || b.error ? applied(node, [condition.value, errorsOf(a), errorsOf(b)]) : null;

export const rules: Rules = [rule(compareOp, decided), rule(whereOp, chosen)];
