// For programs that measure tiles against each other, to fit the cost model that chooses among
// them: the tiles, and the shaders they lead to.

export type { GpuCode, Task } from "./compile/code.ts";
export { productsOf } from "./kernels/gemm/product.ts";
export { threadsOf, workgroupBytes, type Tile } from "./kernels/gemm/tile.ts";
export { tiledCode } from "./kernels/gemm/tiled.ts";
export { DEPTHS, SHAPES, tileFor } from "./kernels/gemm/tiles.ts";
export { GROUPS_PER_AXIS, shaderOf } from "./wgsl/wgsl.ts";
