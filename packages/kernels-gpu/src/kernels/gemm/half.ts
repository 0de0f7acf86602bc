// Products by tiles in workgroup memory that multiply in float16, where it is asked for: twice as
// many multiply-adds at a time on devices that have them, and half the workgroup memory. A slice of
// at most 16 products is summed in float16, what the slices come to in float32. Where the adapter
// has matrices of subgroups these multiply, and all sums are float32.

import type { GpuKernel } from "../../compile/code.ts";
import { gradWeight } from "./gradWeight.ts";
import { igemm } from "./igemm.ts";
import { matmul } from "./matmul.ts";
import { tiledCode, tiledSeconds } from "./tiles.ts";

/**
 * Factor of the stated bound of the error, |Δy| ≤ factor · 2⁻²³ · Σ |x|·|w|: of 2⁻¹¹ each, two are
 * for the operands, one for the product and 17 for the sums of a slice. It holds between 2⁻¹⁴,
 * below which float16 has fewer digits, and 65,504, above which it is infinite.
 */
export const HALF_ROUNDOFF = 20 * 2 ** 12;

/**
 * The same where float32 is summed, of products that are exact: two for the operands, and one for
 * how the device adds, which WGSL leaves open.
 */
const MATRIX_ROUNDOFF = 3 * 2 ** 12;

const NOT_ASKED = "multiplies in float16, which was not asked for";

const inHalf = (kernel: GpuKernel): GpuKernel => ({
  ...kernel,
  name: `${kernel.name}F16`,
  roundoff: HALF_ROUNDOFF,
  unsupportedReason: (task, caps) =>
    caps.arithmetic === "float16" ? kernel.unsupportedReason(task, caps) : NOT_ASKED,
  estimate: (task, caps) => tiledSeconds(task, caps, "float16"),
  build: (task, caps) => tiledCode(`${kernel.name} in float16`, task, caps, { how: "float16" }),
});

const byMatrices = (kernel: GpuKernel): GpuKernel => ({
  ...kernel,
  name: `${kernel.name}Matrix`,
  roundoff: MATRIX_ROUNDOFF,
  unsupportedReason: (task, caps) =>
    caps.arithmetic === "float32"
      ? NOT_ASKED
      : caps.matrices
        ? kernel.unsupportedReason(task, caps)
        : "needs subgroups that multiply matrices of float16, which the adapter does not have",
  estimate: (task, caps) => tiledSeconds(task, caps, "matrices"),
  build: (task, caps) =>
    tiledCode(`${kernel.name} by matrices of subgroups`, task, caps, { how: "matrices" }),
});

const products = [igemm, gradWeight, matmul];
export const [igemmF16, gradWeightF16, matmulF16] = products.map(inHalf);
export const [igemmMatrix, gradWeightMatrix, matmulMatrix] = products.map(byMatrices);
