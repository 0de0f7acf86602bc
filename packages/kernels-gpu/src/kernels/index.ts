// The one list of kernels. Production, tests and benchmarks choose from it by `unsupportedReason` and the
// least `estimate`.

import type { GpuKernel } from "../compile/code.ts";
import { depthwiseGradWeight } from "./depthwise/gradWeight.ts";
import { direct, directGradWeight, directMatmul } from "./direct/direct.ts";
import { create } from "./elementwise/create.ts";
import { fused } from "./elementwise/fused.ts";
import { reduce } from "./elementwise/reduce.ts";
import { softmax } from "./elementwise/softmax.ts";
import { dot, dotGradWeight, dotMatmul } from "./gemm/dot.ts";
import {
  gradWeightF16,
  gradWeightMatrix,
  igemmF16,
  igemmMatrix,
  matmulF16,
  matmulMatrix,
} from "./gemm/half.ts";
import { gradWeight, igemm, matmul } from "./gemm/tiled.ts";
import { gather } from "./move/gather.ts";
import { move } from "./move/move.ts";
import { resample } from "./move/resample.ts";
import { poolGrad } from "./pool/grad.ts";
import { pool } from "./pool/pool.ts";
import { winogradGradWeight } from "./winograd/gradWeight.ts";
import { winograd } from "./winograd/winograd.ts";

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
  resample,
  gather,
  create,
  fused,
];
