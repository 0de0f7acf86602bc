// The one list of kernels. Production, tests and benchmarks choose from it by `declines` and the
// least `estimate`.

import type { GpuKernel } from "../code.ts";
import { create } from "./create.ts";
import { depthwiseGradWeight } from "./depthwiseGradWeight.ts";
import { direct, directGradWeight, directMatmul } from "./direct.ts";
import { dot, dotGradWeight, dotMatmul } from "./dot.ts";
import { fused } from "./fused.ts";
import { gradWeight } from "./gradWeight.ts";
import {
  gradWeightF16,
  gradWeightMatrix,
  igemmF16,
  igemmMatrix,
  matmulF16,
  matmulMatrix,
} from "./half.ts";
import { igemm } from "./igemm.ts";
import { matmul } from "./matmul.ts";
import { mix } from "./mix.ts";
import { move } from "./move.ts";
import { pool } from "./pool.ts";
import { poolGrad } from "./poolGrad.ts";
import { reduce } from "./reduce.ts";
import { softmax } from "./softmax.ts";
import { take } from "./take.ts";
import { winograd } from "./winograd.ts";
import { winogradGradWeight } from "./winogradGradWeight.ts";

export const kernels: readonly GpuKernel[] = [
  winograd(4, 1),
  winograd(4, 2),
  winograd(6, 1),
  winograd(6, 2),
  winograd(8, 1),
  winograd(8, 2),
  direct,
  igemm,
  igemmF16,
  igemmMatrix,
  dot,
  depthwiseGradWeight,
  winogradGradWeight(4, 1),
  winogradGradWeight(4, 2),
  winogradGradWeight(6, 1),
  winogradGradWeight(6, 2),
  winogradGradWeight(8, 1),
  winogradGradWeight(8, 2),
  directGradWeight,
  gradWeight,
  gradWeightF16,
  gradWeightMatrix,
  dotGradWeight,
  directMatmul,
  matmul,
  matmulF16,
  matmulMatrix,
  dotMatmul,
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
