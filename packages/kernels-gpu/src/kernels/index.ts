// The one list of kernels. Production, tests and benchmarks choose from it by `declines` and the least `estimate`.

import type { GpuKernel } from "../code.ts";
import { fused } from "./fused.ts";

export const kernels: readonly GpuKernel[] = [fused];
