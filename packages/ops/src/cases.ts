// All cases of all ops, for conformance tests, gradient checks and benchmarks. Not part of the main
// entry point.

import type { OpCase } from "./case.ts";
import { cases as cast } from "./cast.cases.ts";
import { cases as compare } from "./compare.cases.ts";
import { cases as conv } from "./conv.cases.ts";
import { cases as create } from "./create.cases.ts";
import { cases as elementwise } from "./elementwise.cases.ts";
import { cases as gather } from "./gather.cases.ts";
import { cases as matmul } from "./matmul.cases.ts";
import { cases as move } from "./move.cases.ts";
import { cases as pool } from "./pool.cases.ts";
import { cases as reduce } from "./reduce.cases.ts";
import { cases as resample } from "./resample.cases.ts";
import { cases as softmax } from "./softmax.cases.ts";

export { caseInputs, opCase, traced, type CaseData, type OpCase } from "./case.ts";

export const cases: readonly OpCase[] = [
  ...conv,
  ...pool,
  ...elementwise,
  ...reduce,
  ...move,
  ...create,
  ...matmul,
  ...softmax,
  ...resample,
  ...gather,
  ...cast,
  ...compare,
];
