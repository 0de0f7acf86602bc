// The back end without the kernels that only training needs, so that bundles are smaller. An entry
// point of its own.

import { createCpuWith, type CpuBackend, type CpuOptions } from "./backend.ts";
import { fused } from "./kernels/elementwise/fused.ts";
import { inference } from "./kernels/inference.ts";

/**
 * Takes no task. It stands in errors among the kernels that decline, and says where the others are.
 */
const others = {
  ...fused,
  name: "createCpu of @conv/kernels-cpu",
  unsupportedReason: () => "has the kernels that only training needs",
};

/**
 * `createCpu` of `@conv/kernels-cpu` with the kernels for inference alone. `compile` throws
 * UnsupportedError, which names the other entry point, for gradients of convolution to the weight
 * and gradients of pooling.
 */
export const createCpu = (options?: CpuOptions): Promise<CpuBackend> =>
  createCpuWith([...inference, others], options);

export type { CpuBackend, CpuOptions };
