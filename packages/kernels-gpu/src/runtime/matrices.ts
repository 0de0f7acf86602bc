// Subgroup matrices, an experimental feature of Chromium (`chromium-experimental-subgroup-matrix`):
// the sizes of matrices that a device multiplies.

import type { Matrices } from "../compile/caps.ts";

export const SUBGROUP_MATRIX = "chromium-experimental-subgroup-matrix";

declare global {
  interface GPUAdapterInfo {
    /** Absent without the feature. */
    readonly subgroupMatrixConfigs?:
      | Iterable<{
          readonly componentType: string;
          readonly resultComponentType: string;
          readonly M: number;
          readonly N: number;
          readonly K: number;
        }>
      | undefined;
  }
}

/**
 * The largest matrices of float16 with sums in float32 that divide a tile of 32 × 32 and a slice of
 * 16 taps; null where there are none.
 */
export async function matricesOf(
  device: GPUDevice,
  info: Partial<Pick<GPUAdapterInfo, "subgroupMaxSize" | "subgroupMatrixConfigs">>,
): Promise<Matrices | null> {
  if (!["subgroups", "shader-f16", SUBGROUP_MATRIX].every((name) => device.features.has(name)))
    return null;
  const [best] = [...(info.subgroupMatrixConfigs ?? [])]
    .filter(
      (c) =>
        c.componentType === "f16" &&
        c.resultComponentType === "f32" &&
        32 % c.M === 0 &&
        32 % c.N === 0 &&
        16 % c.K === 0,
    )
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
  if (!best || !info.subgroupMaxSize) return null;
  const matrices = { rows: best.M, columns: best.N, depth: best.K, lanes: info.subgroupMaxSize };
  return (await compiles(device, matrices)) ? matrices : null;
}

/** Whether the device compiles the functions as written here; an experimental feature changes. */
async function compiles(
  device: GPUDevice,
  { rows, columns, depth, lanes }: Matrices,
): Promise<boolean> {
  device.pushErrorScope("validation");
  const module = device.createShaderModule({
    code: `enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
var<workgroup> a: array<f16, ${16 * 32}>;
var<workgroup> y: array<f32, ${32 * 32}>;
@diagnostic(off, chromium.subgroup_matrix_uniformity)
@compute @workgroup_size(${lanes})
fn main(@builtin(subgroup_id) subgroup: u32) {
  let left = subgroupMatrixLoad<subgroup_matrix_left<f16, ${depth}, ${rows}>, col_major>(&a, subgroup, 32);
  let right = subgroupMatrixLoad<subgroup_matrix_right<f16, ${columns}, ${depth}>, row_major>(&a, subgroup, 32);
  let sum = subgroupMatrixMultiplyAccumulate(left, right, subgroup_matrix_result<f32, ${columns}, ${rows}>());
  subgroupMatrixStore<row_major>(&y, subgroup, sum, ${columns});
}`,
  });
  await device.popErrorScope();
  return device
    .createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } })
    .then(
      () => true,
      () => false,
    );
}
