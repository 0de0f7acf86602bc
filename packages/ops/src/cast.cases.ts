// Conversions between all element types, on numbers within and beyond their ranges.

import { dtypeNames, input, spec } from "@conv/tensor";
import { traced, type OpCase } from "./cases/case.ts";
import { mapped, rule, type Rule, type Rules } from "./cases/rounding.ts";
import { cast, castOp, type CastParams } from "./cast.ts";

export const cases: readonly OpCase[] = [
  ...dtypeNames.flatMap((from) =>
    dtypeNames
      .filter((to) => to !== from)
      .map((to) =>
        traced(`${from} to ${to}`, cast(input(spec([3, 11], from)), to), {
          data: from === "int32" ? "labels:60000" : "wide",
          gradient: false,
        }),
      ),
  ),
  traced("a scalar", cast(input(spec([])), "int32"), { gradient: false }),
  traced("near 0", cast(input(spec([33])), "int32"), { gradient: false }),
  traced("of nothing", cast(input(spec([2, 0])), "uint8"), { gradient: false }),
];

/** A conversion of exact numbers is exact. A step to another number may follow an error. */
const rounded: Rule<CastParams> = ({ params }, [x]) => {
  const { dtype } = params;
  if (!x.error) return null;
  const wide = dtype === "float32";
  return mapped(x.error, (e) => (wide || e === 0 ? e : NaN));
};

export const rules: Rules = [rule(castOp, rounded)];
