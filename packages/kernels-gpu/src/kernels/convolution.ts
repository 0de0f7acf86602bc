// The kernels of convolution layers: convolution, its gradient to the input (transposed
// convolution), and elementwise ops. One line for each file.

export { direct } from "./direct/direct.ts";
export { fused } from "./elementwise/fused.ts";
export { dot } from "./gemm/dot.ts";
export { igemmF16, igemmMatrix } from "./gemm/half.ts";
export { igemm } from "./gemm/tiled.ts";
export {
  winograd1d4,
  winograd1d6,
  winograd1d8,
  winograd2d4,
  winograd2d6,
  winograd2d8,
} from "./winograd/winograd.ts";
