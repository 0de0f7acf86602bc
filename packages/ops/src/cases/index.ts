// All cases of all ops, for conformance tests, gradient checks and benchmarks, and the bounds of
// rounding errors. Not part of the main entry point.

import type { Op } from "@conv/tensor";
import type { OpCase } from "./case.ts";
import * as families from "./families.ts";
import type { Rule, Rules } from "./rounding.ts";

export { caseInputs, opCase, traced, type CaseData, type OpCase } from "./case.ts";
export { LARGEST, SUM_FACTOR, ULP, type Bounded } from "./rounding.ts";

/** What a file of cases exports. The bound of an elementwise op follows from its expression. */
interface Family {
  readonly cases: readonly OpCase[];
  readonly rules?: Rules;
}

const all: readonly Family[] = Object.values(families);

export const cases: readonly OpCase[] = all.flatMap((family) => family.cases);

/** The rounding errors of all ops that are not elementwise. */
export const roundingRules: ReadonlyMap<Op<never>, Rule> = new Map(
  all.flatMap((family) => family.rules ?? []),
);
