// All kernels. Production, tests and benchmarks choose from this list by `declines` and the least
// `estimate`.

import type { CpuKernel } from "../code.ts";
import { depthwiseGradWeight } from "./depthwiseGradWeight.ts";
import { gradWeight } from "./gradWeight.ts";
import { inference } from "./inference.ts";
import { poolGrad } from "./poolGrad.ts";
import { poolGradGather } from "./poolGradGather.ts";
import { poolGradTiled } from "./poolGradTiled.ts";
import { winogradGradWeight } from "./winogradGradWeight.ts";

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
