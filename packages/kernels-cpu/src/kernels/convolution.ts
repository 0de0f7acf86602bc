// The kernels of convolution layers: convolution, its gradient to the input (transposed
// convolution), and elementwise ops. One line for each kernel.

export { depthwise } from "./depthwise/depthwise.ts";
export { direct } from "./direct/direct.ts";
export { fused } from "./elementwise/fused.ts";
export { igemm } from "./gemm/igemm.ts";
export { thinConv } from "./gemm/thinConv.ts";
export {
  winograd1d6,
  winograd1d8,
  winograd2d4,
  winograd2d6,
  winograd2d8,
} from "./winograd/winograd.ts";
