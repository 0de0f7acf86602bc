// The lists of kernels. A back end chooses from its list: of the kernels that can compute a task,
// the one with the least estimate. Tests and benchmarks run over all kernels.

import type { CpuKernel } from "../compile/code.ts";
import * as forConvolution from "./convolution.ts";
import * as forInference from "./inference.ts";
import * as forTraining from "./training.ts";

const listOf = (...modules: readonly Readonly<Record<string, CpuKernel>>[]): CpuKernel[] =>
  modules.flatMap((module) => Object.values(module));

/**
 * The kernels of convolution layers: convolution, its gradient to the input (transposed
 * convolution) and elementwise ops. `fft`, which is faster for kernels from 7×7 on, is not in it.
 */
export const convolution: readonly CpuKernel[] = /* @__PURE__ */ listOf(forConvolution);

/** The kernels of the forward pass of networks: all but those that only gradients need. */
export const inference: readonly CpuKernel[] = /* @__PURE__ */ listOf(forConvolution, forInference);

/** All kernels. */
export const kernels: readonly CpuKernel[] = /* @__PURE__ */ listOf(
  forConvolution,
  forInference,
  forTraining,
);
