// The lists of kernels. A back end chooses from its list: of the kernels that can compute a task,
// the one with the least estimate. Tests and benchmarks run over all kernels.

import type { GpuKernel } from "../compile/code.ts";
import * as forConvolution from "./convolution.ts";
import * as forInference from "./inference.ts";
import * as forTraining from "./training.ts";

const listOf = (...modules: readonly Readonly<Record<string, GpuKernel>>[]): GpuKernel[] =>
  modules.flatMap((module) => Object.values(module));

/** The kernels of convolution layers: convolution, its gradient to the input, elementwise ops. */
export const convolution: readonly GpuKernel[] = /* @__PURE__ */ listOf(forConvolution);

/** The kernels of the forward pass of networks: all but those that only gradients need. */
export const inference: readonly GpuKernel[] = /* @__PURE__ */ listOf(forConvolution, forInference);

/** All kernels. */
export const kernels: readonly GpuKernel[] = /* @__PURE__ */ listOf(
  forConvolution,
  forInference,
  forTraining,
);
