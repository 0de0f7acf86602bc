// The kernels that run a network, without those that only gradients need.

import type { CpuKernel } from "../compile/code.ts";
import { depthwise } from "./depthwise/depthwise.ts";
import { direct } from "./direct/direct.ts";
import { create } from "./elementwise/create.ts";
import { fused } from "./elementwise/fused.ts";
import { reduce } from "./elementwise/reduce.ts";
import { softmax } from "./elementwise/softmax.ts";
import { fft } from "./fft/fft.ts";
import { igemm } from "./gemm/igemm.ts";
import { matmul } from "./gemm/matmul.ts";
import { thinConv } from "./gemm/thinConv.ts";
import { thinMatmul } from "./gemm/thinMatmul.ts";
import { take } from "./move/gather.ts";
import { move } from "./move/move.ts";
import { mix } from "./move/resample.ts";
import { poolIndices } from "./pool/indices.ts";
import { pool } from "./pool/pool.ts";
import { winograd } from "./winograd/winograd.ts";

/** What runs networks: every kernel but those of gradients to weights and of gradients of pools. */
export const inference: readonly CpuKernel[] = [
  depthwise,
  direct,
  igemm,
  thinConv,
  winograd(4, 2),
  winograd(6, 2),
  winograd(8, 2),
  winograd(6, 1),
  winograd(8, 1),
  fft,
  thinMatmul,
  matmul,
  reduce,
  pool,
  poolIndices,
  softmax,
  move,
  mix,
  take,
  create,
  fused,
];
