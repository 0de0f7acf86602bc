// The one list of kernels. Production, tests and benchmarks choose from it by `declines` and the least `estimate`.

import type { GpuKernel } from "../code.ts";
import { create } from "./create.ts";
import { direct, directGradWeight, directMatmul } from "./direct.ts";
import { fused } from "./fused.ts";
import { mix } from "./mix.ts";
import { move } from "./move.ts";
import { pool } from "./pool.ts";
import { poolGrad } from "./poolGrad.ts";
import { reduce } from "./reduce.ts";
import { softmax } from "./softmax.ts";
import { take } from "./take.ts";

export const kernels: readonly GpuKernel[] = [
  direct,
  directGradWeight,
  directMatmul,
  reduce,
  pool,
  poolGrad,
  softmax,
  move,
  mix,
  take,
  create,
  fused,
];
