// The other kernels of the forward pass of networks. One line for each file.

export { directMatmul } from "./direct/direct.ts";
export { create } from "./elementwise/create.ts";
export { reduce } from "./elementwise/reduce.ts";
export { softmax } from "./elementwise/softmax.ts";
export { typed } from "./elementwise/typed.ts";
export { dotMatmul } from "./gemm/dot.ts";
export { matmulF16, matmulMatrix } from "./gemm/half.ts";
export { matmul } from "./gemm/tiled.ts";
export { gather } from "./move/gather.ts";
export { move } from "./move/move.ts";
export { narrow } from "./move/narrow.ts";
export { resample } from "./move/resample.ts";
export { pool } from "./pool/pool.ts";
