// The kernels that only the backward pass needs: gradients of convolution to the weight, and of
// pooling. One line for each kernel.

export { depthwiseGradWeight } from "./depthwise/gradWeight.ts";
export { gradWeight } from "./gemm/gradWeight.ts";
export { poolGrad } from "./pool/grad.ts";
export { poolGradGather } from "./pool/gradGather.ts";
export { poolGradTiled } from "./pool/gradTiled.ts";
export {
  winogradGradWeight1d6,
  winogradGradWeight1d8,
  winogradGradWeight2d4,
  winogradGradWeight2d6,
  winogradGradWeight2d8,
} from "./winograd/gradWeight.ts";
