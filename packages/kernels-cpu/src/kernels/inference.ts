// The kernels that run a network, without those that only gradients need.

import type { CpuKernel } from "../code.ts";
import { create } from "./create.ts";
import { depthwise } from "./depthwise.ts";
import { direct } from "./direct.ts";
import { fft } from "./fft.ts";
import { fused } from "./fused.ts";
import { igemm } from "./igemm.ts";
import { matmul } from "./matmul.ts";
import { mix } from "./mix.ts";
import { move } from "./move.ts";
import { pool } from "./pool.ts";
import { poolIndices } from "./poolIndices.ts";
import { reduce } from "./reduce.ts";
import { softmax } from "./softmax.ts";
import { take } from "./take.ts";
import { thinConv } from "./thinConv.ts";
import { thinMatmul } from "./thinMatmul.ts";
import { winograd } from "./winograd.ts";

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
