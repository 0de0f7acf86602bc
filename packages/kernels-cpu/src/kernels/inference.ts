// The other kernels of the forward pass of networks, and Fourier transforms for convolutions with
// large kernels. One line for each kernel.

export { create } from "./elementwise/create.ts";
export { reduce } from "./elementwise/reduce.ts";
export { softmax } from "./elementwise/softmax.ts";
export { fft } from "./fft/fft.ts";
export { matmul } from "./gemm/matmul.ts";
export { thinMatmul } from "./gemm/thinMatmul.ts";
export { gather } from "./move/gather.ts";
export { typed } from "./elementwise/typed.ts";
export { narrow } from "./move/narrow.ts";
export { move } from "./move/move.ts";
export { resample } from "./move/resample.ts";
export { poolIndices } from "./pool/indices.ts";
export { pool } from "./pool/pool.ts";
