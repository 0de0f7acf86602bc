// For programs that measure tiles one against another, to fit the model that chooses among them:
// the tiles, and the shaders they lead to.

export type { GpuCode, Task } from "./compile/code.ts";
export { productsOf } from "./kernels/gemm/product.ts";
export { threadsOf, workgroupBytes, type Tile } from "./kernels/gemm/tile.ts";
export { DEPTHS, SHAPES, tiledCode, tileFor } from "./kernels/gemm/tiles.ts";
export { GROUPS_PER_AXIS, shaderOf } from "./wgsl/wgsl.ts";
