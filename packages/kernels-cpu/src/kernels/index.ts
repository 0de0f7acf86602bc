// The one list of kernels. Production, tests and benchmarks choose from it by `declines` and the least `estimate`.

import type { CpuKernel } from "../code.ts";
import { create } from "./create.ts";
import { depthwise } from "./depthwise.ts";
import { depthwiseGradWeight } from "./depthwiseGradWeight.ts";
import { direct } from "./direct.ts";
import { fft } from "./fft.ts";
import { fused } from "./fused.ts";
import { gradWeight } from "./gradWeight.ts";
import { igemm } from "./igemm.ts";
import { matmul } from "./matmul.ts";
import { mix } from "./mix.ts";
import { move } from "./move.ts";
import { pool } from "./pool.ts";
import { poolGrad } from "./poolGrad.ts";
import { poolGradGather } from "./poolGradGather.ts";
import { poolGradTiled } from "./poolGradTiled.ts";
import { poolIndices } from "./poolIndices.ts";
import { reduce } from "./reduce.ts";
import { softmax } from "./softmax.ts";
import { take } from "./take.ts";
import { thinConv } from "./thinConv.ts";
import { thinMatmul } from "./thinMatmul.ts";
import { winograd } from "./winograd.ts";
import { winogradGradWeight } from "./winogradGradWeight.ts";

export const kernels: readonly CpuKernel[] = [
  depthwise,
  depthwiseGradWeight,
  direct,
  igemm,
  thinConv,
  winograd(4, 2),
  winograd(6, 2),
  winograd(8, 2),
  winograd(6, 1),
  winograd(8, 1),
  fft,
  gradWeight,
  winogradGradWeight(4, 2),
  winogradGradWeight(6, 2),
  winogradGradWeight(8, 2),
  winogradGradWeight(6, 1),
  winogradGradWeight(8, 1),
  thinMatmul,
  matmul,
  reduce,
  pool,
  poolGradTiled,
  poolGradGather,
  poolGrad,
  poolIndices,
  softmax,
  move,
  mix,
  take,
  create,
  fused,
];
