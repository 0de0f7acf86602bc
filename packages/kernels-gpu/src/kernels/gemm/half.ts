// Tiled products that multiply in float16, where precision "fast" allows it: twice as many
// multiply-adds at a time on devices that have them, and half the workgroup memory. A slice of at
// most 16 products is summed in float16, and the sums of slices in float32. Where the adapter has
// subgroup matrices, these multiply, and all sums are float32.

import type { GpuKernel } from "../../compile/code.ts";
import { gradWeight, igemm, matmul, tiledCode, tiledSeconds } from "./tiled.ts";

/**
 * Factor of the error bound |Δy| ≤ factor · 2⁻²³ · Σ |x|·|w|. In units of 2⁻¹¹, the operands
 * contribute two, the product one and the sums of a slice 17. The bound holds between 2⁻¹⁴, below
 * which float16 has fewer digits, and 65,504, above which it is infinite.
 */
export const HALF_ROUNDOFF = 20 * 2 ** 12;

/**
 * The same for exact products with sums in float32: two for the operands, and one for the order of
 * additions, which WGSL leaves to the device.
 */
const MATRIX_ROUNDOFF = 3 * 2 ** 12;

const NOT_ALLOWED = 'multiplies in float16, which precision "fast" allows';

const inHalf = (kernel: GpuKernel): GpuKernel => ({
  ...kernel,
  name: `${kernel.name}F16`,
  roundoff: HALF_ROUNDOFF,
  unsupportedReason: (_, { arithmetic }) => (arithmetic === "float16" ? null : NOT_ALLOWED),
  estimate: (task, caps) => tiledSeconds(task, caps, "float16"),
  build: (task, caps) => tiledCode(`${kernel.name} in float16`, task, caps, { how: "float16" }),
});

const byMatrices = (kernel: GpuKernel): GpuKernel => ({
  ...kernel,
  name: `${kernel.name}Matrix`,
  roundoff: MATRIX_ROUNDOFF,
  unsupportedReason: (_, { arithmetic, matrices }) =>
    arithmetic === "float32"
      ? NOT_ALLOWED
      : matrices
        ? null
        : "needs subgroup matrices of float16, which the adapter does not have",
  estimate: (task, caps) => tiledSeconds(task, caps, "matrices"),
  build: (task, caps) =>
    tiledCode(`${kernel.name} by matrices of subgroups`, task, caps, { how: "matrices" }),
});

export const igemmF16: GpuKernel = /* @__PURE__ */ inHalf(igemm);
export const gradWeightF16: GpuKernel = /* @__PURE__ */ inHalf(gradWeight);
export const matmulF16: GpuKernel = /* @__PURE__ */ inHalf(matmul);
export const igemmMatrix: GpuKernel = /* @__PURE__ */ byMatrices(igemm);
export const gradWeightMatrix: GpuKernel = /* @__PURE__ */ byMatrices(gradWeight);
export const matmulMatrix: GpuKernel = /* @__PURE__ */ byMatrices(matmul);
