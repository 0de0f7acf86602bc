// Conversions between all element types, on numbers within and beyond their ranges.

import { dtypeNames, input, spec } from "@conv/tensor";
import { traced, type OpCase } from "./case.ts";
import { cast } from "./cast.ts";

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
