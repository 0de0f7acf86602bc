// All kernels. Production, tests and benchmarks choose from this list by `unsupportedReason` and the least
// `estimate`.

import type { CpuKernel } from "../compile/code.ts";
import { depthwiseGradWeight } from "./depthwise/gradWeight.ts";
import { gradWeight } from "./gemm/gradWeight.ts";
import { inference } from "./inference.ts";
import { poolGrad } from "./pool/grad.ts";
import { poolGradGather } from "./pool/gradGather.ts";
import { poolGradTiled } from "./pool/gradTiled.ts";
import { winogradGradWeight } from "./winograd/gradWeight.ts";

export const kernels: readonly CpuKernel[] = [
  ...inference,
  depthwiseGradWeight,
  gradWeight,
  winogradGradWeight(4, 2),
  winogradGradWeight(6, 2),
  winogradGradWeight(8, 2),
  winogradGradWeight(6, 1),
  winogradGradWeight(8, 1),
  poolGradTiled,
  poolGradGather,
  poolGrad,
];
