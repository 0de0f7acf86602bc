// The one list of kernels. Production, tests and benchmarks choose from it by `declines` and the least `estimate`.

import type { GpuKernel } from "../code.ts";
import { direct, directGradWeight, directMatmul } from "./direct.ts";
import { fused } from "./fused.ts";

export const kernels: readonly GpuKernel[] = [direct, directGradWeight, directMatmul, fused];
